"""Triangular attention as its formula reads: the values of all triples of nodes in one array."""

from __future__ import annotations

from math import sqrt

import torch

from reprise.algorithmic_reasoning.processors.edge_transformer import EdgeTransformerLayer, TriangularAttention

NODES, HIDDEN, HEADS = 64, 192, 12


def literal_attention(query, key, left, right):
    """Attention with v₁[x, a] ⊙ v₂[a, y] held for every x, a and y."""
    attention = torch.softmax(torch.einsum("bxahk,bayhk->bxayh", query, key), dim=2)
    values = torch.einsum("bxahk,bayhk->bxayhk", left, right)
    return torch.einsum("bxayh,bxayhk->bxyhk", attention, values)


def literal_layer(layer, pairs):
    """One layer with that attention."""
    seen = layer.before(pairs)
    query, key, left, right = (
        part(seen).unflatten(-1, (layer.heads, -1)) for part in (layer.query, layer.key, layer.left, layer.right)
    )
    mixed = literal_attention(query / sqrt(query.shape[-1]), key, left, right)
    pairs = layer.between(pairs + layer.out(mixed.flatten(-2)))
    return layer.after(pairs + layer.feed_forward(pairs))


def problem(nodes=NODES):
    """A layer of the paper's size, and pairs of a graph of the official test split's size."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return EdgeTransformerLayer(HIDDEN, HEADS), torch.randn(1, nodes, nodes, HIDDEN)


def attend(kind, backward, nodes=NODES):
    """One pass of either attention alone."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = (1, nodes, nodes, HEADS, HIDDEN // HEADS)
    factors = [torch.randn(shape, requires_grad=backward) for _ in range(4)]
    found = (TriangularAttention.apply if kind == "ours" else literal_attention)(*factors)
    if backward:
        found.square().sum().backward()


def run(kind, backward, nodes=NODES):
    """One pass of either layer."""
    layer, pairs = problem(nodes)
    apply = layer if kind == "ours" else lambda values: literal_layer(layer, values)
    if backward:
        apply(pairs).square().sum().backward()
    else:
        with torch.no_grad():
            apply(pairs)
