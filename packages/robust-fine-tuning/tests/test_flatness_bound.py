"""The bound from Hessian traces against closed forms."""

import math

import pytest
import torch
from torch import nn

from reprise.robust_fine_tuning import trace_bound


def linear(seed=0):
    torch.manual_seed(seed)
    model = nn.Linear(4, 3, bias=False).double()
    start = {"weight": model.weight.detach() + torch.randn(3, 4).double()}
    return model, start, (torch.randn(10, 4).double(), torch.arange(10) % 3)


def test_the_bound_is_the_formula_with_the_trace_of_a_softmax_regression():
    model, start, (x, y) = linear()
    p = model(x).softmax(1).detach()
    alpha = float(((p - p.square()).sum(1) * x.square().sum(1)).max())  # tr(diag(p) − ppᵀ) |x|²
    r = float((model.weight.detach() - start["weight"]).norm())
    C = float(nn.functional.cross_entropy(model(x), y, reduction="none").detach().max())
    found = trace_bound(model, start, (x, y), n=50, probes=3000)
    assert found.radius == pytest.approx(r) and found.loss_bound == pytest.approx(C)
    assert found.trace == pytest.approx(alpha, rel=0.1)  # √(2/3000) of a norm that is a few times the trace
    assert found.value == pytest.approx(math.sqrt(C * found.trace * r**2 / 50))


def test_a_radius_of_ones_own_replaces_the_distance_and_n_is_the_examples():
    model, start, data = linear()
    found = trace_bound(model, start, data, radius=2.5)
    assert found.radius == 2.5 and found.n == 10
    assert trace_bound(model, start, data, radius=5.0).value == pytest.approx(2 * found.value)


def test_the_traces_of_a_tanh_network_are_those_of_its_dense_hessians():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.randn(6, 3).double(), torch.arange(6) % 2
    values = dict(model.named_parameters())
    names = ["0.weight", "2.weight"]

    def loss(flat, i):
        parts = torch.split(flat, [12, 8])
        held = values | {n: part.view_as(values[n]) for n, part in zip(names, parts)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, held, (x[i : i + 1],)), y[i : i + 1])

    flat = torch.cat([values[n].detach().flatten() for n in names])
    traces = [float(torch.autograd.functional.hessian(lambda v, i=i: loss(v, i), flat).trace()) for i in range(6)]
    found = trace_bound(model, {n: v.detach() * 0.5 for n, v in values.items()}, (x, y), probes=3000)
    assert found.trace == pytest.approx(max(traces), rel=0.15)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"radius": 0.0}, ValueError, "radius must be finite, above 0"),
        ({"radius": math.nan}, ValueError, "radius must be finite"),
        ({"probes": 1}, ValueError, "probes must be at least 2"),
        ({"n": True}, TypeError, "n must be a whole number"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"reference": {}}, ValueError, "reference lacks layer 'weight'"),
        ({"data": (torch.zeros(2, 4).double(), [0, 3])}, ValueError, "at most 2"),
        ({"loss": "hinge"}, ValueError, "loss must be 'cross_entropy' or a callable"),
        ({"model": 3}, TypeError, r"model must be a torch.nn.Module"),
    ],
)
def test_bad_input_is_named(change, error, match):
    model, start, data = linear()
    with pytest.raises(error, match=match):
        trace_bound(**({"model": model, "reference": start, "data": data} | change))


def test_dropout_in_train_mode_is_refused_unless_it_is_switched_off():
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    data = (torch.zeros(2, 2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="evaluation mode: 1"):
        trace_bound(model, model, data)
    assert trace_bound(model, model, data, eval_mode=True).value == 0.0
