"""The measure against dense Hessians, closed forms, and its invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn

from reprise.robust_fine_tuning import hessian_distance
from reprise.robust_fine_tuning.quadratic_forms import LARGEST_EXACT


def dense_block(model, name, x, y):
    """Hessian of the mean loss in one weight alone, by autograd twice."""
    parameters = dict(model.named_parameters())
    weight = parameters[name]

    def loss(flat):
        output = torch.func.functional_call(model, parameters | {name: flat.view_as(weight)}, (x,))
        return nn.functional.cross_entropy(output, y)

    return torch.autograd.functional.hessian(loss, weight.detach().flatten())


def positive_form(H, v):
    values, vectors = torch.linalg.eigh((H + H.mT) / 2)
    return float((vectors.mT @ v).square() @ values.clamp_min(0))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Tanh])
@pytest.mark.parametrize("method", ["exact", "lanczos"])
def test_values_equal_the_positive_part_of_each_dense_diagonal_block(network, activation, method):
    model, state, (x, y) = network(activation)
    found = hessian_distance(model, state, (x, y), method=method, steps=30)
    for column, name in enumerate(found.layers):
        v = (dict(model.named_parameters())[name].detach() - state[name]).flatten()
        expected = [positive_form(dense_block(model, name, x[i : i + 1], y[i : i + 1]), v) for i in range(len(x))]
        np.testing.assert_allclose(found.per_example[:, column], expected, rtol=1e-10, atol=1e-12)


def test_gauss_newton_equals_the_hessian_of_a_relu_network(network):
    model, state, data = network(nn.ReLU)
    exact, ggn = (hessian_distance(model, state, data, method=m) for m in ("exact", "ggn"))
    torch.testing.assert_close(ggn.per_example, exact.per_example, rtol=1e-10, atol=1e-12)


def test_neither_the_unclipped_form_nor_the_full_hessian_would_do(network):
    model, state, (x, y) = network(nn.GELU)
    exact = hessian_distance(model, state, (x, y), method="exact")
    name, weight = exact.layers[0], dict(model.named_parameters())[exact.layers[0]]
    v = (weight.detach() - state[name]).flatten()
    unclipped = [float(v @ dense_block(model, name, x[i : i + 1], y[i : i + 1]) @ v) for i in range(len(x))]
    assert min(unclipped) < -1e-3  # what √ would make NaN
    assert bool((exact.per_example >= 0).all())
    assert max(abs(exact.per_example[:, 0] - torch.tensor(unclipped))) > 1e-2


def test_lanczos_reports_how_far_it_is_from_the_end(network):
    model, state, data = network(nn.GELU)
    exact = hessian_distance(model, state, data, method="exact").per_example
    few = hessian_distance(model, state, data, method="lanczos", steps=5)
    assert float(few.errors.max()) > 0
    assert bool(((few.per_example - exact).abs() <= 10 * few.errors + 1e-9).all())


@pytest.mark.parametrize("method", ["exact", "lanczos", "ggn"])
def test_batches_of_four_use_the_hessian_of_the_mean_loss(network, method):
    model, state, (x, y) = network(nn.ReLU)
    found = hessian_distance(model, state, (x, y), method=method, reduction="batch", steps=30)
    name = found.layers[1]
    v = (dict(model.named_parameters())[name].detach() - state[name]).flatten()
    expected = [positive_form(dense_block(model, name, x[i : i + 4], y[i : i + 4]), v) for i in (0, 4, 8)]
    np.testing.assert_allclose(found.per_example[:, 1], expected, rtol=1e-9, atol=1e-12)
    single = hessian_distance(model, state, (x, y), method=method, steps=30)
    assert found.measure <= single.measure * (1 + 1e-9)


def test_the_measure_is_what_the_theorem_says(network):
    model, state, data = network()
    found = hessian_distance(model, state, data, n=50)
    losses = nn.functional.cross_entropy(model(data[0]), data[1], reduction="none").detach()
    expected = math.sqrt(float(losses.max()) / 50) * sum(math.sqrt(h) for h in found.per_example.amax(0).tolist())
    assert found.measure == pytest.approx(expected, rel=1e-12)
    assert found.measure_of("mean") < found.measure_of("p95") < found.measure


def test_the_optimal_posterior_gives_the_square_root(network):
    """min over Σ = s vvᵀ + τI of ⟨Σ, H⟩ + (C/n) vᵀΣ⁻¹v tends to 2 √(C/n) √(vᵀHv) as τ → 0 (H ≻ 0)."""
    torch.manual_seed(1)
    A = torch.randn(5, 5).double()
    H, v, ratio, tau = A @ A.mT + 0.1 * torch.eye(5), torch.randn(5).double(), 0.03, 1e-9

    def objective(log_s):
        sigma = math.exp(log_s) * torch.outer(v, v) + tau * torch.eye(5)
        return float((sigma * H).sum() + ratio * v @ torch.linalg.solve(sigma, v))

    found = minimize_scalar(objective, bounds=(-10, 10), method="bounded", options={"xatol": 1e-9}).fun
    assert found == pytest.approx(2 * math.sqrt(ratio * float(v @ H @ v)), rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 5.0))
def test_the_measure_is_linear_in_the_distance(factor):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    data = (torch.randn(6, 3).double(), torch.arange(6) % 2)
    moves = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    one, many = (
        hessian_distance(model, {k: p.detach() - f * moves[k] for k, p in model.named_parameters()}, data, method="ggn")
        for f in (1.0, factor)
    )
    assert many.measure == pytest.approx(factor * one.measure, rel=1e-9)


def test_nothing_moved_means_zero(network):
    model, _, data = network()
    assert hessian_distance(model, model, data, method="lanczos").measure == 0.0


def test_the_head_moves_from_zero(network):
    model, state, data = network()
    zero = state | {"4.weight": torch.zeros_like(state["4.weight"])}
    expected = hessian_distance(model, zero, data, method="ggn").per_layer
    reference = {name: value for name, value in state.items() if not name.startswith("4")}
    assert hessian_distance(model, reference, data, head="4", method="ggn").per_layer == expected


def test_a_flipped_label_is_the_first_culprit(network):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2)).double()
    state = {name: p.detach().clone() for name, p in model.named_parameters()}
    x = torch.randn(40, 2).double() * 0.3
    x[:20, 0] += 2
    x[20:, 0] -= 2
    y = torch.arange(40) // 20
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    y[7] = 1
    assert hessian_distance(model, state, (x, y), method="lanczos").culprits(1) == [7]


def test_convolutions_iterables_of_batches_and_frozen_dtypes_are_taken():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    state = {name: p.detach() * 0.5 for name, p in model.named_parameters()}
    x, y = torch.randn(10, 1, 4, 4), torch.arange(10) % 3
    whole = hessian_distance(model, state, (x, y), method="ggn")
    parts = hessian_distance(model, state, [(x[:4], y[:4]), (x[4:], y[4:])], method="ggn")
    assert whole.layers == ("0.weight", "3.weight")
    torch.testing.assert_close(parts.per_example, whole.per_example)
    big_endian = hessian_distance(model, state, (x.numpy().astype(">f4"), y.numpy()[::-1][::-1]), method="ggn")
    torch.testing.assert_close(big_endian.per_example, whole.per_example)


def test_the_table_names_layers_and_measure(network):
    model, state, data = network()
    found = hessian_distance(model, state, data, method="ggn")
    assert all(layer in found.table() for layer in found.layers) and "measure" in found.table()


def test_training_mode_is_refused_or_switched_off_and_put_back(network):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    state = {name: p.detach() * 0.9 for name, p in model.named_parameters()}
    data = (torch.randn(8, 3), torch.arange(8) % 2)
    with pytest.raises(ValueError, match=r"evaluation mode: 1 \(BatchNorm1d\)"):
        hessian_distance(model, state, data, method="ggn")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = hessian_distance(model, state, data, method="ggn", eval_mode=True).measure
    assert model[1].training and model[2].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    assert hessian_distance(model, state, data, method="ggn").measure == first


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"reference": {}}, ValueError, "reference lacks layer '0.weight'"),
        ({"reference": 3}, TypeError, "reference must be a Module or a mapping"),
        ({"data": (torch.zeros(2, 6).double(), torch.tensor([0, 3]))}, ValueError, "at most 2"),
        ({"data": (torch.zeros(2, 6).double(), torch.tensor([0, -1]))}, ValueError, "at least 0"),
        ({"data": (torch.zeros(2, 6).double(), torch.tensor([0.0, 1.0]))}, TypeError, "whole numbers"),
        ({"data": (torch.zeros(3, 6).double(), torch.tensor([0, 1]))}, ValueError, "as many inputs as labels"),
        ({"data": (torch.full((2, 6), math.nan).double(), torch.tensor([0, 1]))}, ValueError, "finite"),
        ({"data": []}, ValueError, "at least one example"),
        ({"data": 5}, TypeError, "pair"),
        ({"method": "newton"}, ValueError, "method must be one of"),
        ({"reduction": "sum"}, ValueError, "reduction must be one of"),
        ({"layers": []}, ValueError, "layers must name at least one"),
        ({"layers": ["nope"]}, ValueError, "no parameter 'nope'"),
        ({"head": "nope"}, ValueError, "head: no layer"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"steps": True}, TypeError, "steps must be a whole number"),
        ({"n": 1.5}, TypeError, "n must be a whole number"),
        ({"loss": "hinge"}, ValueError, "loss must be 'cross_entropy' or a callable"),
        ({"model": 3}, TypeError, r"model must be a torch.nn.Module"),
    ],
)
def test_bad_input_is_named(network, change, error, match):
    model, state, data = network()
    arguments = {"model": model, "reference": state, "data": data} | change
    with pytest.raises(error, match=match):
        hessian_distance(**arguments)


def test_a_wrong_shape_names_the_layer(network):
    model, state, data = network()
    with pytest.raises(ValueError, match=r"reference\['2.weight'\] must have shape \(4, 5\), got \(4, 4\)"):
        hessian_distance(model, state | {"2.weight": torch.zeros(4, 4)}, data)


def test_exact_refuses_layers_that_are_too_large():
    model = nn.Linear(LARGEST_EXACT, 2)
    data = (torch.zeros(2, LARGEST_EXACT), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="at most 2048 weights"):
        hessian_distance(model, model, data, method="exact")
