"""What spatio-temporal encoders share: weights of edges, and random walks along and against them, as sparse products.

Nothing here is dense in nodes by nodes, but for `AdaptiveAdjacency`, which is so by its nature and on large graphs is
computed in blocks of rows that are not kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class EdgeWeight(nn.Module):
    """A positive weight for every message, ``softplus(w · z + b)``: these networks read one number per edge."""

    def __init__(self, in_edge: int):
        super().__init__()
        self.linear = nn.Linear(in_edge, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the weights of messages with features z, shape (M,)."""
        weight: Tensor = nn.functional.softplus(self.linear(z)).squeeze(-1)
        return weight


class Walks(nn.Module):
    """Random walks along and against weighted edges: powers of ``D_O⁻¹ W`` and ``D_I⁻¹ Wᵀ`` (Li et al. 2018, eq. 2).

    Parameters
    ----------
    hops : int
        Largest power.
    """

    def __init__(self, hops: int):
        super().__init__()
        self.hops = hops

    def forward(self, h: Tensor, edge_index: Tensor, weight: Tensor) -> list[Tensor]:
        """Return h, and what walks of 1 … hops steps bring from either side; h has shape (..., N, F)."""
        u, v = edge_index
        found = [h]
        for here, there in ((u, v), (v, u)):
            total = weight.new_zeros(h.shape[-2]).index_add(0, here, weight)
            share = weight / total[here].clamp(min=1e-12)
            walked = h
            for _ in range(self.hops):
                walked = spread(walked, here, there, share)
                found.append(walked)
        return found


def spread(h: Tensor, here: Tensor, there: Tensor, share: Tensor) -> Tensor:
    """Return for every node `here` the sum of ``share · h[there]``; h has shape (..., N, F)."""
    return torch.zeros_like(h).index_add(-2, here, h.index_select(-2, there) * share[:, None])


class AdaptiveAdjacency(nn.Module):
    """``softmax(ReLU(E₁ E₂ᵀ)) h`` with embeddings of the nodes that are learnt.

    Parameters
    ----------
    num_nodes : int
    dim : int
        Columns of the embeddings.
    shared : bool
        E₂ = E₁, as in AGCRN.
    block : int
        Rows that are computed at once. Up to so many nodes the matrix is computed once per forward pass; beyond, every
        block is computed anew where it is needed, also in the backward pass: memory grows as block · N.
    """

    def __init__(self, num_nodes: int, dim: int = 10, shared: bool = True, block: int = 4096):
        super().__init__()
        self.source = nn.Parameter(torch.randn(num_nodes, dim))
        self.target = self.source if shared else nn.Parameter(torch.randn(num_nodes, dim))
        self.block = block

    def rows(self, start: int, end: int) -> Tensor:
        """Return rows of the matrix, shape (end − start, N)."""
        return torch.softmax(torch.relu(self.source[start:end] @ self.target.T), dim=1)

    def matrix(self) -> Tensor | None:
        """Return the matrix if it is small, to be passed to `forward` again and again; else None."""
        n = len(self.source)
        return self.rows(0, n) if n <= self.block else None

    def forward(self, h: Tensor, matrix: Tensor | None = None) -> Tensor:
        """Return shape (N, F) or (T, N, F)."""
        if h.ndim == 3:  # one product for all months
            months, nodes, columns = h.shape
            wide = self.forward(h.transpose(0, 1).reshape(nodes, months * columns), matrix)
            return wide.view(nodes, months, columns).transpose(0, 1)
        if matrix is not None:
            return matrix @ h
        n = len(self.source)
        starts = range(0, n, self.block)

        def part(h: Tensor, start: int) -> Tensor:
            return self.rows(start, min(start + self.block, n)) @ h

        return torch.cat([checkpoint(part, h, start, use_reentrant=False) for start in starts], dim=-2)
