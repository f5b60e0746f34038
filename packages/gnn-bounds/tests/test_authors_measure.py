import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from reprise.gnn_bounds import Graph, UnifiedGNN, authors_measure, hessian_measure, prepare
from reprise.hvp import Hessian


@pytest.fixture(scope="module")
def problem():
    """A network that has moved, and six graphs."""
    rng = np.random.default_rng(0)
    graphs = []
    for index in range(6):
        upper = np.triu(rng.random((5, 5)) < 0.5, 1)
        graphs.append(Graph((upper | upper.T).astype(float), rng.standard_normal((5, 3)), label=index % 2))
    model = UnifiedGNN(3, 3, 2, 3, "mpgnn", generator=torch.Generator().manual_seed(0)).double()
    initial = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).double()
    return model, initial, graphs


def dense(model, graphs):
    """Hessian of each batch of four, all layers together."""
    data = prepare(graphs, kind=model.diffusion).batches(4, dtype=torch.float64)
    operators = [Hessian(model, nn.functional.cross_entropy, [batch], check=False) for batch in data]
    return operators[0].space, [operator.dense() for operator in operators]


def test_the_quadratic_form_is_that_of_the_whole_hessian_on_batches_of_four(problem):
    model, initial, graphs = problem
    found = authors_measure(model, initial, graphs)
    space, matrices = dense(model, graphs)
    v = space.flatten({name: parameter.detach() - initial[name] for name, parameter in model.named_parameters()})
    expected = torch.tensor(
        [[float((v * (H @ v))[space.slices[name]].sum()) for name in found.layers] for H in matrices]
    )
    torch.testing.assert_close(found.per_batch, expected.double(), rtol=1e-5, atol=1e-8)
    value = (found.largest_loss * found.per_batch.amax(0).clamp_min(0) / 6).sqrt().sum()
    assert found.value == pytest.approx(float(value)) and math.isfinite(found.value)
    assert found.largest_loss == pytest.approx(hessian_measure(model, initial, graphs, method="hessian").loss_bound)


def test_the_cruder_form_has_traces_and_the_smaller_distance(problem):
    model, initial, graphs = problem
    found = authors_measure(model, initial, graphs, form="trace", products=400)
    space, matrices = dense(model, graphs)
    traces = torch.stack(
        [torch.stack([H.diagonal()[space.slices[name]].sum() for name in found.layers]) for H in matrices]
    )
    # Hutchinson's standard error with 400 vectors is below 0.05 of the largest trace
    torch.testing.assert_close(found.per_batch, traces, rtol=0, atol=0.2 * float(traces.abs().max()))
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    squares = sum(
        min(float((weights[n] - initial[n]).square().sum()), float(weights[n].square().sum())) for n in initial
    )
    most = float(found.per_batch.amax(0).clamp_min(0).sum())
    assert found.value == pytest.approx(found.largest_loss * math.sqrt(most * squares / 6))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"form": "exact"}, ValueError, "form must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"products": 1}, ValueError, "products must be at least 2"),
        ({"seed": True}, TypeError, "seed must be a whole number"),
        ({"initial": {}}, ValueError, "initial must hold"),
    ],
)
def test_bad_arguments_are_refused(problem, options, error, message):
    model, initial, graphs = problem
    arguments = {"initial": initial} | options
    with pytest.raises(error, match=message):
        authors_measure(model, arguments.pop("initial"), graphs, **arguments)
