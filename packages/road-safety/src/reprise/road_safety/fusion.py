"""Three ways to join the embedding of a node in the graph with that of its aerial image (Zhang et al. 2026)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

FUSIONS = ("basic", "gated", "moe")


def mlp(widths: list[int], dropout: float = 0.3) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them."""
    layers: list[nn.Module] = []
    for index, (into, out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(into, out))
        if index < len(widths) - 2:
            layers += [nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


class BasicFusion(nn.Module):
    """Five linear layers of width 128 on both embeddings side by side."""

    def __init__(self, graph: int, image: int, dropout: float = 0.3):
        super().__init__()
        self.joint = mlp([graph + image, 128, 128, 128, 128, 128], dropout)
        self.width = 128

    def forward(self, g: Tensor, i: Tensor) -> Tensor:
        """Return shape (N, 128)."""
        joined: Tensor = self.joint(torch.cat([g, i], dim=1))
        return joined


class GatedFusion(nn.Module):
    """``α g + (1 − α) W i`` with a gate α of every node, then four linear layers of width 128."""

    def __init__(self, graph: int, image: int, dropout: float = 0.3):
        super().__init__()
        self.gate = mlp([graph + image, 128, 128, 1], dropout)
        self.project = nn.Linear(image, graph)
        self.out = mlp([graph, 128, 128, 128, 128], dropout)
        self.width = 128

    def forward(self, g: Tensor, i: Tensor) -> Tensor:
        """Return shape (N, 128)."""
        alpha = torch.sigmoid(self.gate(torch.cat([g, i], dim=1)))
        mixed: Tensor = self.out(alpha * g + (1 - alpha) * self.project(i))
        return mixed


class MixtureOfExperts(nn.Module):
    """Four experts of three layers each on both embeddings, mixed by a softmax.

    Parameters
    ----------
    graph, image : int
    experts : int
    relu_gate : bool
        As published: a ReLU before the softmax, so that no expert can be scored below zero.
    """

    def __init__(self, graph: int, image: int, dropout: float = 0.3, experts: int = 4, relu_gate: bool = False):
        super().__init__()
        self.experts = nn.ModuleList(mlp([graph + image, 256, 256, 256], dropout) for _ in range(experts))
        self.gate = mlp([graph + image, 128, experts], dropout)
        self.relu_gate = relu_gate
        self.width = 256

    def forward(self, g: Tensor, i: Tensor) -> Tensor:
        """Return shape (N, 256)."""
        both = torch.cat([g, i], dim=1)
        score = self.gate(both)
        weight = torch.softmax(torch.relu(score) if self.relu_gate else score, dim=1)
        return torch.stack([expert(both) for expert in self.experts], dim=2).mul(weight[:, None, :]).sum(dim=2)


MODULES: dict[str, type[BasicFusion | GatedFusion | MixtureOfExperts]] = {
    "basic": BasicFusion,
    "gated": GatedFusion,
    "moe": MixtureOfExperts,
}
