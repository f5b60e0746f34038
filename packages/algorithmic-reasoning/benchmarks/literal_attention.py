"""Triangular attention as its formula reads: the values of all triples of nodes in one array."""

from __future__ import annotations

from math import sqrt

import torch

from reprise.algorithmic_reasoning.processors.edge_transformer import EdgeTransformerLayer

NODES, HIDDEN, HEADS = 64, 192, 12


def literal(layer, pairs):
    """One layer, with v₁[x, a] ⊙ v₂[a, y] held for every x, a and y."""
    seen = layer.before(pairs)
    query, key, left, right = (
        part(seen).unflatten(-1, (layer.heads, -1)) for part in (layer.query, layer.key, layer.left, layer.right)
    )
    scores = torch.einsum("bxahk,bayhk->bxayh", query, key) / sqrt(query.shape[-1])
    attention = torch.softmax(scores, dim=2)
    values = torch.einsum("bxahk,bayhk->bxayhk", left, right)
    mixed = torch.einsum("bxayh,bxayhk->bxyhk", attention, values)
    pairs = layer.between(pairs + layer.out(mixed.flatten(-2)))
    return layer.after(pairs + layer.feed_forward(pairs))


def problem():
    """A layer of the paper's size, and pairs of a graph of the official test split's size."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return EdgeTransformerLayer(HIDDEN, HEADS), torch.randn(1, NODES, NODES, HIDDEN)


def run(kind, backward):
    """One pass of either, to be measured in a process of its own."""
    layer, pairs = problem()
    apply = layer if kind == "ours" else lambda values: literal(layer, values)
    if backward:
        apply(pairs).square().sum().backward()
    else:
        with torch.no_grad():
            apply(pairs)
