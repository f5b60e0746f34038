"""Spatio-temporal cells against dense transcriptions of their formulas, and what the whole network reads."""

import numpy as np
import pytest
import torch

from reprise.road_safety import RoadGNN, train
from reprise.road_safety.agcrn import AGCRN
from reprise.road_safety.dcrnn import DCRNN
from reprise.road_safety.diffusion import AdaptiveAdjacency, Walks
from reprise.road_safety.graph_wavenet import GraphWaveNet
from reprise.road_safety.spatiotemporal import TEMPORAL
from reprise.road_safety.stgcn import STGCN
from reprise.road_safety.training import Inputs

YEARS = {"train_years": (2019,), "valid_years": (2020,), "test_years": (2021,)}


@pytest.fixture
def example():
    """Six months of features on five nodes, edges both ways with features, and weights."""
    torch.manual_seed(0)
    one_way = torch.tensor([[0, 1, 2, 3, 0, 4], [1, 2, 0, 0, 2, 3]])
    edge_index = torch.cat([one_way, one_way.flip(0)], dim=1)
    return torch.randn(6, 5, 3), edge_index, torch.randn(12, 2)


def dense(edge_index, weight, nodes=5):
    """W[u, v] of edges (u, v)."""
    W = torch.zeros(nodes, nodes)
    for (u, v), w in zip(edge_index.T, weight):
        W[u, v] += w
    return W


def walk_matrices(W, hops):
    """Identity, powers of D_O^-1 W, powers of D_I^-1 W^T."""
    forward, backward = W / W.sum(1, keepdim=True), W.T / W.T.sum(1, keepdim=True)
    powers = [torch.linalg.matrix_power(P, k) for P in (forward, backward) for k in range(1, hops + 1)]
    return [torch.eye(len(W)), *powers]


def test_walks_are_powers_of_both_transition_matrices(example):
    x, edge_index, _ = example
    weight = torch.rand(12) + 0.1
    found = Walks(3)(x, edge_index, weight)
    for part, P in zip(found, walk_matrices(dense(edge_index, weight), 3), strict=True):
        assert torch.allclose(part, P @ x, atol=1e-6)


def test_dcrnn_is_its_equations(example):
    x, edge_index, z = example
    model = DCRNN(3, 2, 4, layers=2)
    W = dense(edge_index, model.weight(z))
    matrices = walk_matrices(W, 1)
    states = [torch.zeros(5, 4), torch.zeros(5, 4)]
    for month in x:
        given = month
        for layer, cell in enumerate(model.cells):
            h = states[layer]
            both = torch.cat([P @ torch.cat([given, h], 1) for P in matrices], 1)
            r, u = torch.sigmoid(both @ cell.gates.weight.T + cell.gates.bias).split(4, dim=1)
            kept = torch.cat([P @ torch.cat([given, r * h], 1) for P in matrices], 1)
            candidate = torch.tanh(kept @ cell.candidate.weight.T + cell.candidate.bias)
            given = states[layer] = u * h + (1 - u) * candidate
    assert torch.allclose(model(x, edge_index, z), states[-1], atol=1e-6)


def gated(convolution, x):
    """(P + R) * sigmoid(Q), month by month and node by node."""
    kernel = convolution.residual.kernel_size[0]
    out = convolution.residual.out_channels
    months = []
    for t in range(len(x) - kernel + 1):
        P, Q, R = 0, 0, 0
        for k in range(kernel):
            both = x[t + k] @ convolution.both.weight[:, :, k].T
            P, Q = P + both[:, :out], Q + both[:, out:]
            R = R + x[t + k] @ convolution.residual.weight[:, :, k].T
        P, Q = P + convolution.both.bias[:out], Q + convolution.both.bias[out:]
        months.append((P + R + convolution.residual.bias) * torch.sigmoid(Q))
    return torch.stack(months)


def test_stgcn_is_its_equations(example):
    x, edge_index, z = example
    model = STGCN(3, 2, 4, layers=1, steps=6)
    W = dense(edge_index, model.weight(z)).T  # into rows, as messages go
    root = W.T.sum(1).rsqrt()
    scaled = -root[:, None] * W * root[None]  # 2 L / λ − I with λ = 2
    block = model.blocks[0]
    h = gated(block.before, x)
    T = [torch.eye(5), scaled, 2 * scaled @ scaled - torch.eye(5)]
    mixed = sum(P @ h @ lin.weight.T for P, lin in zip(T, block.graph.lins, strict=True)) + block.graph.bias
    h = block.norm(gated(block.after, torch.relu(mixed)))
    assert h.shape == (2, 5, 4)
    assert torch.allclose(model(x, edge_index, z), gated(model.last, h)[0], atol=1e-5)


def test_agcrn_is_its_equations(example):
    x, edge_index, z = example
    model = AGCRN(3, 4, layers=2, num_nodes=5, dim=3)
    E = model.adjacency.source
    A = torch.softmax(torch.relu(E @ E.T), dim=1)

    def convolved(layer, h):
        weights = torch.einsum("nd,dio->nio", E, layer.pool)  # of every node
        return torch.einsum("ni,nio->no", torch.cat([h, A @ h], 1), weights) + E @ layer.bias

    states = [torch.zeros(5, 4), torch.zeros(5, 4)]
    for month in x:
        given = month
        for layer, cell in enumerate(model.cells):
            h = states[layer]
            zr = torch.sigmoid(convolved(cell.gates, torch.cat([given, h], 1)))
            candidate = torch.tanh(convolved(cell.candidate, torch.cat([given, zr[:, :4] * h], 1)))
            given = states[layer] = zr[:, 4:] * h + (1 - zr[:, 4:]) * candidate
    assert torch.allclose(model(x, edge_index, z), states[-1], atol=1e-5)


def test_graph_wavenet_is_its_equations(example):
    x, edge_index, z = example
    model = GraphWaveNet(3, 2, 4, layers=3, steps=6, num_nodes=5, dim=3).eval()
    W = dense(edge_index, model.weight(z))
    A = torch.softmax(torch.relu(model.adjacency.source @ model.adjacency.target.T), dim=1)
    matrices = [*walk_matrices(W, 2), A, A @ A]
    h, total = model.first(x), 0
    for layer, skip, dilation in zip(model.layers, model.skips, (1, 2, 4), strict=True):
        weight, bias = layer.time.weight, layer.time.bias
        before = torch.cat([torch.zeros(dilation, 5, 4), h[:-dilation]])
        both = before @ weight[:, :, 0].T + h @ weight[:, :, 1].T + bias
        value = torch.tanh(both[..., :4]) * torch.sigmoid(both[..., 4:])
        total = total + skip(value[-1])
        mixed = layer.mix(torch.cat([P @ value for P in matrices], dim=-1)) + h
        norm = layer.norm
        h = (mixed - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    assert torch.allclose(model(x, edge_index, z), model.last(torch.relu(total)), atol=1e-5)


def test_blocks_of_the_learnt_graph_are_the_whole_and_have_its_gradient():
    torch.manual_seed(0)
    whole = AdaptiveAdjacency(7, 3)
    blocks = AdaptiveAdjacency(7, 3, block=2)
    blocks.load_state_dict(whole.state_dict())
    h = torch.randn(4, 7, 2, requires_grad=True)
    assert blocks.matrix() is None
    first, second = whole(h, whole.matrix()), blocks(h)
    assert torch.allclose(first, second, atol=1e-6)
    weight = torch.randn_like(first)
    for a, b in zip(
        torch.autograd.grad((first * weight).sum(), [h, whole.source]),
        torch.autograd.grad((second * weight).sum(), [h, blocks.source]),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("conv", TEMPORAL)
def test_every_month_of_the_window_counts(conv, example):
    x, edge_index, z = example
    torch.manual_seed(1)
    model = RoadGNN(3, 2, 8, 1, conv, input_time_steps=6, num_nodes=5).eval()
    rows = torch.arange(12)
    first = model(x, z, edge_index, edge_index, rows)
    for month in range(1 if conv == "graph_wavenet" else 0, 6):
        changed = x.clone()
        changed[month] += 1.0
        differs = not torch.allclose(first, model(changed, z, edge_index, edge_index, rows), atol=1e-7)
        # One layer of Graph WaveNet with dilation one sees two months.
        assert differs == (conv != "graph_wavenet" or month >= 4)


def test_a_window_holds_different_months_in_order(town):
    inputs = Inputs(town, (2019,), True)
    x, z = inputs.month(14, steps=4)
    assert x.shape == (4, town.num_nodes, inputs.in_node) and torch.equal(z, inputs.month(14)[1])
    for place, row in enumerate((11, 12, 13, 14)):
        assert torch.equal(x[place], inputs.nodes(row))
    early, _ = inputs.month(1, steps=4)
    assert torch.equal(early, torch.stack([inputs.nodes(row) for row in (0, 0, 0, 1)]))
    assert not torch.equal(x[0], x[3])


@pytest.mark.parametrize("conv", TEMPORAL)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_spatio_temporal_networks_train_as_the_others_do(town, conv, task):
    def made(node, edge):
        return RoadGNN(node, edge, 8, 1, conv, input_time_steps=5, num_nodes=town.num_nodes)

    runs = [train(town, made, task, **YEARS, epochs=3, lr=1e-2, seed=seed, evaluate_every=3) for seed in (1, 1)]
    assert runs[0].history[-1]["loss"] < runs[0].history[0]["loss"]
    assert runs[0].metrics["test"]["mae_all"] == runs[1].metrics["test"]["mae_all"]
    assert np.isfinite(runs[0].metrics["test"]["auroc"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv": "gcn", "input_time_steps": 3}, "input_time_steps must be 1"),
        ({"conv": "dcrnn", "input_time_steps": 0}, "input_time_steps"),
        ({"conv": "agcrn"}, "num_nodes must be given"),
        ({"conv": "stgcn", "input_time_steps": 4}, "input_time_steps must be at least 5"),
    ],
)
def test_networks_that_cannot_be_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        RoadGNN(3, 2, **change)


def test_months_and_nodes_that_do_not_fit_are_named(example):
    x, edge_index, z = example
    rows = torch.arange(12)
    with pytest.raises(ValueError, match="x must have 4 months"):
        RoadGNN(3, 2, 4, 1, "dcrnn", input_time_steps=4)(x, z, edge_index, edge_index, rows)
    with pytest.raises(ValueError, match="num_nodes of the model, 9"):
        RoadGNN(3, 2, 4, 1, "agcrn", input_time_steps=6, num_nodes=9)(x, z, edge_index, edge_index, rows)
