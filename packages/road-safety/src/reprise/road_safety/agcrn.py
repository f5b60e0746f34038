"""Adaptive graph convolutional recurrent network (Bai, Yao, Li, Wang and Wang, NeurIPS 2020).

It reads no edges: who influences whom, and with which weights, comes from an embedding of every node that is learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.road_safety.diffusion import AdaptiveAdjacency


class NodeAdaptive(nn.Module):
    """``[h, A h] (E W) + E b``: a graph convolution with weights of its own for every node (equations 4 to 6).

    Notes
    -----
    ``Σ_d E_nd (h_n W_d)`` is summed over the columns of the embedding, so that the weights of all nodes, N · into ·
    out numbers, are never there at once.
    """

    def __init__(self, into: int, out: int, dim: int):
        super().__init__()
        self.pool = nn.Parameter(torch.empty(dim, 2 * into, out))
        self.bias = nn.Parameter(torch.zeros(dim, out))
        # The sum over the embedding has dim terms of variance one.
        nn.init.normal_(self.pool, std=(2 * into * dim) ** -0.5)

    def forward(self, h: Tensor, spread: Tensor, E: Tensor) -> Tensor:
        """Return shape (N, out) from h and A h, shapes (N, into), and the embedding E, shape (N, dim)."""
        wide = torch.cat([h, spread], dim=1) @ self.pool.permute(1, 0, 2).flatten(1)
        return (wide.view(len(h), *self.bias.shape) * E[:, :, None]).sum(dim=1) + E @ self.bias


class AdaptiveGRU(nn.Module):
    """One step of a GRU whose products are `NodeAdaptive` (equation 7)."""

    def __init__(self, into: int, out: int, dim: int):
        super().__init__()
        self.gates = NodeAdaptive(into + out, 2 * out, dim)
        self.candidate = NodeAdaptive(into + out, out, dim)

    def forward(
        self, x: Tensor, spread: Tensor, h: Tensor, adjacency: AdaptiveAdjacency, matrix: Tensor | None
    ) -> Tensor:
        """Return the new state, shape (N, out), from the input x, A x and the state h."""

        def convolved(layer: NodeAdaptive, state: Tensor) -> Tensor:
            around = torch.cat([spread, adjacency(state, matrix)], dim=1)
            found: Tensor = layer(torch.cat([x, state], dim=1), around, adjacency.source)
            return found

        update, reset = torch.sigmoid(convolved(self.gates, h)).chunk(2, dim=1)
        return reset * h + (1 - reset) * torch.tanh(convolved(self.candidate, update * h))


class AGCRN(nn.Module):
    """Layers of `AdaptiveGRU` over the months; the last state of the last layer."""

    def __init__(self, in_node: int, hidden: int, layers: int, num_nodes: int, dim: int = 10):
        super().__init__()
        self.adjacency = AdaptiveAdjacency(num_nodes, dim)
        self.cells = nn.ModuleList(AdaptiveGRU(in_node if not i else hidden, hidden, dim) for i in range(layers))
        self.hidden = hidden

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes from features of shape (T, N, in_node), shape (N, hidden)."""
        matrix = self.adjacency.matrix()
        for cell in self.cells:
            state = x.new_zeros(x.shape[1], self.hidden)
            states = []
            # What the input brings is there for all months at once.
            for month, spread in zip(x, self.adjacency(x, matrix)):
                state = cell(month, spread, state, self.adjacency, matrix)
                states.append(state)
            x = torch.stack(states)
        return x[-1]
