"""Graph attention with a dynamic score (Brody, Alon and Yahav 2022), along the edges of the graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.processors.initial import linear

_ABSENT = -1e9  # score where there is no edge
_SLOPE = 0.01


class GATv2Layer(nn.Module):
    """Every node takes a weighted mean of its neighbours, in several heads.

    Parameters
    ----------
    hidden : int
        d, a multiple of `heads`.
    heads : int
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.value, self.skip = linear(2 * hidden, hidden), linear(2 * hidden, hidden)
        self.receiver, self.sender = linear(2 * hidden, hidden), linear(2 * hidden, hidden)
        self.edge, self.graph = linear(hidden, hidden), linear(hidden, hidden)
        self.scores = nn.ModuleList([linear(hidden // heads, 1) for _ in range(heads)])
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor) -> tuple[Tensor, None]:
        """New states of nodes, shape (B, N, d); arguments as of `MessagePassingLayer.forward`."""
        z = torch.cat([x, h], dim=-1)
        pairs = self.receiver(z)[:, None] + self.sender(z)[:, :, None] + self.edge(e) + self.graph(g)[:, None, None]
        parts = nn.functional.leaky_relu(pairs, _SLOPE).chunk(len(self.scores), dim=-1)
        scores = torch.stack([score(part)[..., 0] for score, part in zip(self.scores, parts)], dim=1)
        attention = torch.softmax(torch.where(adjacency[:, None], scores, scores + _ABSENT), dim=-1)
        values = torch.stack(self.value(z).chunk(len(self.scores), dim=-1), dim=1)
        mixed = (attention @ values).transpose(1, 2).flatten(-2)
        return self.norm(torch.relu(mixed + self.skip(z))), None
