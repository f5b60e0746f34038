"""Diffusion convolutional recurrent network (Li, Yu, Shahabi and Liu, ICLR 2018): a GRU of diffusions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.road_safety.diffusion import EdgeWeight, Walks


class DiffusionGRU(nn.Module):
    """One step of a GRU in which every product with a weight matrix is a diffusion convolution (equations 2 and 3).

    Parameters
    ----------
    into, out : int
    hops : int
        K, steps of the walks either way; 0 reads no neighbour.
    """

    def __init__(self, into: int, out: int, hops: int = 1):
        super().__init__()
        self.walks = Walks(hops)
        self.gates = nn.Linear((1 + 2 * hops) * (into + out), 2 * out)
        self.candidate = nn.Linear((1 + 2 * hops) * (into + out), out)

    def forward(self, x: Tensor, h: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
        """Return the new state, shape (N, out)."""
        both = torch.cat(self.walks(torch.cat([x, h], dim=-1), edge_index, weight), dim=-1)
        reset, update = torch.sigmoid(self.gates(both)).chunk(2, dim=-1)
        kept = torch.cat(self.walks(torch.cat([x, reset * h], dim=-1), edge_index, weight), dim=-1)
        return update * h + (1 - update) * torch.tanh(self.candidate(kept))


class DCRNN(nn.Module):
    """Layers of `DiffusionGRU` over the months; the last state of the last layer.

    Notes
    -----
    K = 1 is one step along and one against the edges, as in the paper's own code. In PyTorch Geometric Temporal, which
    the authors of ML4RoadSafety use, K counts the identity, so that its K = 1 reads no neighbour: here ``hops=0``.
    """

    def __init__(self, in_node: int, in_edge: int, hidden: int, layers: int, hops: int = 1):
        super().__init__()
        self.weight = EdgeWeight(in_edge)
        self.cells = nn.ModuleList(DiffusionGRU(in_node if not i else hidden, hidden, hops) for i in range(layers))
        self.hidden = hidden

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes from features of shape (T, N, in_node), shape (N, hidden)."""
        weight = self.weight(z)
        states = [x.new_zeros(x.shape[1], self.hidden) for _ in self.cells]
        for month in x:
            given = month
            for layer, cell in enumerate(self.cells):
                given = states[layer] = cell(given, states[layer], edge_index, weight)
        return states[-1]
