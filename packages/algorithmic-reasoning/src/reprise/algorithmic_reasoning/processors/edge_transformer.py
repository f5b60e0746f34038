"""The Edge Transformer (Bergen, O'Donnell and Bahdanau 2021): states of pairs of nodes, that attend through a third.

One layer costs O(B N³ d) time. Values v₁[x, a] ⊙ v₂[a, y] belong to triples and would take N³ d numbers; they are
summed as they are formed, so that attention, N³ numbers per head, is the largest array.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.processors.initial import linear


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
        seen = self.before(pairs)
        query, key, left, right = (
            part(seen).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.left, self.right)
        )
        # score[x, a, y] = ⟨q[x, a], k[a, y]⟩: for each a, a product of matrices
        scores = torch.einsum("bxahk,bayhk->bhxay", query, key) / sqrt(query.shape[-1])
        attention = torch.softmax(scores, dim=3)
        mixed = TriangularSum.apply(attention, left, right)
        pairs = self.between(pairs + self.out(mixed.flatten(-2)))
        result: Tensor = self.after(pairs + self.feed_forward(pairs))
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


class TriangularSum(torch.autograd.Function):
    """Σ_a attention[x, a, y] left[x, a] ⊙ right[a, y], of which neither pass holds all terms.

    Shapes: attention (B, H, N, N, N), left and right (B, N, N, H, k); the result (B, N, N, H, k).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(attention: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Sum over a, one channel at a time."""
        return _over_channels(lambda v, w: torch.einsum("bhxay,bxah,bayh->bxyh", attention, v, w), left, right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the inputs for the backward pass."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same sums over y and x; that over channels is a product of matrices for each channel."""
        attention, left, right = ctx.saved_tensors
        to_left = _over_channels(lambda g, w: torch.einsum("bhxay,bxyh,bayh->bxah", attention, g, w), grad, right)
        to_right = _over_channels(lambda g, v: torch.einsum("bhxay,bxyh,bxah->bayh", attention, g, v), grad, left)
        to_attention = torch.zeros_like(attention)
        for g, v, w in zip(grad.unbind(-1), left.unbind(-1), right.unbind(-1)):
            to_attention = to_attention + torch.einsum("bxyh,bxah,bayh->bhxay", g, v, w)
        return to_attention, to_left, to_right


def _over_channels(product: Any, first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([product(one, other) for one, other in zip(first.unbind(-1), second.unbind(-1))], dim=-1)
