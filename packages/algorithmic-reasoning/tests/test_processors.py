"""Each kind of layer: equal to the reference's tensors where it has some, and what it must not depend on."""

import numpy as np
import pytest
import torch

from reprise.algorithmic_reasoning.processors import edge_transformer
from reprise.algorithmic_reasoning.processors.edge_transformer import (
    EdgeTransformer,
    EdgeTransformerLayer,
    TriangularAttention,
)
from reprise.algorithmic_reasoning.processors.gatv2 import GATv2Layer
from reprise.algorithmic_reasoning.processors.message_passing import MessagePassingLayer
from reprise.core.ratios import peak_tensor_bytes

# Largest difference of single-precision sums in another order; the reference's own was 1.2e-6.
CLOSE = {"rtol": 1e-4, "atol": 5e-6}


@pytest.fixture(scope="module")
def tensors(reference_file):
    with np.load(reference_file("processor_reference.npz")) as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file}


def parameters(tensors, layer):
    """Weights of a layer by the reference's names, as torch wants them."""
    found = {}
    for key, value in tensors.items():
        if key.startswith(f"{layer}|param|"):
            *_, module, kind = key.split("|")
            found[module, kind] = value.T if kind == "w" else value
    return found


def load(module, weights, names):
    """Copy weights into a module, where `names` maps its parts to the reference's."""
    with torch.no_grad():
        for part, name in names.items():
            target = module.get_submodule(part)
            kinds = ("scale", "offset") if isinstance(target, torch.nn.LayerNorm) else ("w", "b")
            target.weight.copy_(weights.pop((name, kinds[0])))
            if target.bias is not None:
                target.bias.copy_(weights.pop((name, kinds[1])))


def given(tensors, layer):
    x, e, g, adjacency, h = (tensors[f"{layer}|in|{k}"] for k in range(5))
    return x, e, g, adjacency > 0, h


def pgn_names(prefix, *, gated=False, triplets=False):
    parts = ["receiver", "sender", "edge", "graph", "own", "received"]
    if triplets:
        parts += [*(f"triplets.nodes.{k}" for k in range(3)), *(f"triplets.edges.{k}" for k in range(3))]
        parts += ["triplets.graph", "triplets.out"]
    if gated:
        parts += ["gate.own", "gate.received", "gate.last"]
    names = {part: f"{prefix}/linear{f'_{k}' if k else ''}" for k, part in enumerate(parts)}
    return names | {
        "message.1": f"{prefix}/mlp/~/linear_0",
        "message.3": f"{prefix}/mlp/~/linear_1",
        "norm": f"{prefix}/layer_norm",
    }


PGN = "mpnn_aggr_clrs_processor/~/pgn_aggr_clrs_processor/pgn_layer"


def test_two_message_passing_layers_equal_the_reference(tensors):
    x, e, g, adjacency, h = given(tensors, "mpnn_layer")
    weights = parameters(tensors, "mpnn_layer")
    for prefix in (PGN, f"{PGN}_1"):
        layer = MessagePassingLayer(12)
        load(layer, weights, pgn_names(prefix))
        h, edges = layer(x, e, g, adjacency, h)
        assert edges is None
    assert not weights
    torch.testing.assert_close(h, tensors["mpnn_layer|out|0"], **CLOSE)


def test_the_gated_triplet_layer_equals_the_reference(tensors):
    weights = parameters(tensors, "triplet_gmpnn_layer")
    layer = MessagePassingLayer(12, gated=True, triplets=True)
    load(layer, weights, pgn_names(PGN, gated=True, triplets=True))
    assert not weights
    nodes, edges = layer(*given(tensors, "triplet_gmpnn_layer"))
    torch.testing.assert_close(nodes, tensors["triplet_gmpnn_layer|out|0"], **CLOSE)
    torch.testing.assert_close(edges, tensors["triplet_gmpnn_layer|out|1"], **CLOSE)


def test_the_attention_layer_equals_the_reference(tensors):
    weights = parameters(tensors, "gatv2_layer")
    layer = GATv2Layer(12, heads=3)
    prefix = "gatv2_aggr_clrs_processor/gatv2_layer"
    parts = ["value", "skip", "receiver", "sender", "edge", "graph", *(f"scores.{k}" for k in range(3))]
    names = {part: f"{prefix}/linear{f'_{k}' if k else ''}" for k, part in enumerate(parts)}
    load(layer, weights, names | {"norm": f"{prefix}/layer_norm"})
    assert not weights
    nodes, _ = layer(*given(tensors, "gatv2_layer"))
    torch.testing.assert_close(nodes, tensors["gatv2_layer|out|0"], **CLOSE)


def edge_names(prefix):
    parts = ["query", "key", "left", "right", "out"]
    return {part: f"{prefix}/EdgeAttention/linear{f'_{k}' if k else ''}" for k, part in enumerate(parts)} | {
        "before": f"{prefix}/layer_norm",
        "between": f"{prefix}/FFN/layer_norm_1",
        "after": f"{prefix}/FFN/layer_norm",
        "feed_forward.0": f"{prefix}/FFN/linear",
        "feed_forward.2": f"{prefix}/FFN/linear_1",
    }


def test_the_edge_transformer_layer_equals_the_reference(tensors):
    weights = parameters(tensors, "edge_transformer_layer")
    layer = EdgeTransformerLayer(12, heads=3)
    load(layer, weights, edge_names("ET_Layer"))
    assert not weights
    found = layer(tensors["edge_transformer_layer|in|0"])
    torch.testing.assert_close(found, tensors["edge_transformer_layer|out|0"], **CLOSE)


def test_the_edge_transformer_of_two_layers_equals_the_reference(tensors):
    weights = parameters(tensors, "edge_t_processor")
    x, e, g, _, h = given(tensors, "edge_t_processor")
    ends = EdgeTransformer(12)
    load(ends, weights, {"project": "edge_t_clrs_processor/linear_1"})
    pairs = ends.start(x, e, g, h)
    for name in ("ET_Layer", "ET_Layer_1"):
        layer = EdgeTransformerLayer(12, heads=3)
        load(layer, weights, edge_names(f"edge_t_clrs_processor/EdgeTransformer/{name}"))
        pairs = layer(pairs)
    assert not weights
    nodes, edges = ends.finish(pairs)
    torch.testing.assert_close(nodes, tensors["edge_t_processor|out|0"], **CLOSE)
    torch.testing.assert_close(edges, tensors["edge_t_processor|out|1"], **CLOSE)


def triangle(batch=2, nodes=3, heads=2, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, batch, nodes, nodes, heads, channels, generator=generator, dtype=torch.float64).unbind(0)


@pytest.mark.parametrize("triples", [1, 72, 10**6])  # a row, two rows and all rows at a time
def test_triangular_attention_is_the_literal_one_and_so_is_its_gradient(triples, monkeypatch):
    monkeypatch.setattr(edge_transformer, "_TRIPLES", triples)
    inputs = [part.clone().requires_grad_() for part in triangle()]
    query, key, left, right = inputs
    attention = torch.softmax(torch.einsum("bxahk,bayhk->bhxay", query, key), dim=3)
    literal = torch.einsum("bhxay,bxahk,bayhk->bxyhk", attention, left, right)
    torch.testing.assert_close(TriangularAttention.apply(*inputs), literal)
    assert torch.autograd.gradcheck(TriangularAttention.apply, inputs)


def test_triangular_attention_never_holds_values_of_all_triples(monkeypatch):
    monkeypatch.setattr(edge_transformer, "_TRIPLES", 1)
    nodes, heads, channels = 24, 2, 8
    inputs = triangle(1, nodes, heads, channels)
    triples = 8 * nodes**3 * heads * channels  # bytes

    def literal():
        query, key, left, right = inputs
        attention = torch.softmax(torch.einsum("bxahk,bayhk->bxayh", query, key), dim=2)
        return torch.einsum("bxayh,bxayhk->bxyhk", attention, torch.einsum("bxahk,bayhk->bxayhk", left, right))

    assert peak_tensor_bytes(literal) > triples
    assert peak_tensor_bytes(lambda: TriangularAttention.apply(*inputs)) < triples / 4

    def both_ways():
        given = [part.clone().requires_grad_() for part in inputs]
        TriangularAttention.apply(*given).sum().backward()

    assert peak_tensor_bytes(both_ways) < triples / 2


def test_gradients_of_many_samples_at_once_go_through_triangular_attention():
    layer = EdgeTransformerLayer(6, heads=2).double()
    pairs = torch.randn(4, 3, 3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = dict(layer.named_parameters())

    def loss(weights, one):
        return torch.func.functional_call(layer, weights, (one[None],)).square().sum()

    together = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, pairs)
    for k, one in enumerate(pairs):
        alone = torch.func.grad(loss)(weights, one)
        for name, gradient in alone.items():
            torch.testing.assert_close(together[name][k], gradient)


def test_messages_along_edges_only_come_from_neighbours():
    torch.manual_seed(0)
    layer = MessagePassingLayer(4, restricted=True)
    x, h = torch.randn(2, 1, 5, 4)
    e, g = torch.zeros(1, 5, 5, 4), torch.zeros(1, 4)
    adjacency = torch.eye(5, dtype=torch.bool)[None].clone()
    adjacency[0, 1, 0] = True
    before, _ = layer(x, e, g, adjacency, h)
    moved = x.clone()
    moved[0, 1] += 1.0
    after, _ = layer(moved, e, g, adjacency, h)
    changed = (before != after).any(dim=-1)[0].tolist()
    assert changed == [True, True, False, False, False]
