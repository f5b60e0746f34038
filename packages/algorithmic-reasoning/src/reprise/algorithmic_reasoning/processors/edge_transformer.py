"""The Edge Transformer (Bergen, O'Donnell and Bahdanau 2021): states of pairs of nodes, that attend through a third.

One layer costs O(B N³ d) time. Scores and values v₁[x, a] ⊙ v₂[a, y] belong to triples of nodes and would take N³ d
numbers. They are made for a few rows x at a time, and made again in the backward pass, so that nothing larger than the
states of pairs, N² d numbers, is kept.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.processors.initial import linear

_TRIPLES = 1 << 20  # numbers of triples at a time


class EdgeTransformerLayer(nn.Module):
    """Triangular attention and a feed-forward network, each added to what was there.

    Parameters
    ----------
    hidden : int
        d, a multiple of `heads`.
    heads : int
    pre_norm : bool
        Normalise what attention sees, as the authors do.
    """

    def __init__(self, hidden: int, heads: int, *, pre_norm: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.left, self.right, self.out = (linear(hidden, hidden, bias=False) for _ in range(5))
        self.before = nn.LayerNorm(hidden) if pre_norm else nn.Identity()
        self.between, self.after = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.feed_forward = nn.Sequential(linear(hidden, 2 * hidden), nn.ReLU(), linear(2 * hidden, hidden))

    def forward(self, pairs: Tensor) -> Tensor:
        """New states of pairs, shape (B, N, N, d), from old ones."""
        pairs = self.between(pairs + self._attended(self.before(pairs)))
        result: Tensor = self.after(pairs + self.feed_forward(pairs))
        return result

    def _attended(self, seen: Tensor) -> Tensor:
        query, key, left, right = (
            part(seen).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.left, self.right)
        )
        mixed = TriangularAttention.apply(query / sqrt(query.shape[-1]), key, left, right)
        result: Tensor = self.out(mixed.flatten(-2))
        return result


class EdgeTransformer(nn.Module):
    """What makes pairs of nodes, and reads nodes off them; the layers between are given to `forward`.

    Parameters
    ----------
    hidden : int
        d.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.project = linear(6 * hidden, hidden)

    def start(self, x: Tensor, e: Tensor, g: Tensor, h: Tensor) -> Tensor:
        """Pairs lin([z_i, g, z_j, g]) + e_ij with z = [x, h], shape (B, N, N, d)."""
        z = torch.cat([x, h, g[:, None].expand_as(x)], dim=-1)
        own, other = torch.split(self.project.weight, z.shape[-1], dim=1)
        pairs: Tensor = (z @ own.T)[:, :, None] + (z @ other.T)[:, None] + self.project.bias + e
        return pairs

    @staticmethod
    def finish(pairs: Tensor) -> tuple[Tensor, Tensor]:
        """States of nodes, the diagonal, and of edges."""
        return pairs.diagonal(dim1=1, dim2=2).mT, pairs


class TriangularAttention(torch.autograd.Function):
    """Σ_a softmax_a(⟨q[x, a], k[a, y]⟩) left[x, a] ⊙ right[a, y], a few rows x at a time.

    Shapes: all (B, N, N, H, k), heads apart. Between the passes nothing is kept but the four inputs.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(query: Tensor, key: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Sum over a."""
        mixed = torch.zeros_like(query + key + left + right)
        for rows in _blocks(query):
            values = left[:, rows, :, None] * right[:, None]
            mixed[:, rows] = (_attention(query[:, rows], key)[..., None] * values).sum(2)
        return mixed

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the inputs for the backward pass."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """Attention of the same rows again, and the derivatives of every factor."""
        query, key, left, right = ctx.saved_tensors
        # In place: small results kept between large temporaries would leave memory in pieces.
        to_query, to_key, to_left, to_right = (torch.zeros_like(query + key + left + right + grad) for _ in range(4))
        for rows in _blocks(query):
            attention = _attention(query[:, rows], key)  # (B, rows, a, y, H)
            # First what needs no third array of triples, (B, rows, a, y, H, k), beside factor and product.
            to_right += (attention[..., None] * grad[:, rows, None] * left[:, rows, :, None]).sum(1)
            seen = grad[:, rows, None] * right[:, None]
            to_attention = (seen * left[:, rows, :, None]).sum(-1)
            to_left[:, rows] = (seen * attention[..., None]).sum(3)
            del seen
            to_scores = attention * (to_attention - (attention * to_attention).sum(2, keepdim=True))
            to_query[:, rows] = torch.einsum("bxayh,bayhk->bxahk", to_scores, key)
            to_key += torch.einsum("bxayh,bxahk->bayhk", to_scores, query[:, rows])
        return to_query, to_key, to_left, to_right


def _attention(query: Tensor, key: Tensor) -> Tensor:
    """Shares of every a for some rows x, shape (B, rows, a, y, H)."""
    return torch.softmax(torch.einsum("bxahk,bayhk->bxayh", query, key), dim=2)


def _blocks(pairs: Tensor) -> list[slice]:
    """Rows x, so many at a time that their triples are about as large as caches, and at least one."""
    nodes = pairs.shape[1]
    size = max(1, _TRIPLES // (pairs[:, 0].numel() * nodes))
    return [slice(start, start + size) for start in range(0, nodes, size)]
