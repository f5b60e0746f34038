"""From probes to features of nodes, edges and the graph, each probe by its own linear map."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.probes import Probe
from reprise.algorithmic_reasoning.processors.initial import linear


class Features(NamedTuple):
    """Features that encoders add up, and the edges that they imply.

    Shapes: nodes (B, N, d), edges (B, N, N, d), graph (B, d); adjacency (B, N, N), bool.
    """

    nodes: Tensor
    edges: Tensor
    graph: Tensor
    adjacency: Tensor


class Encoder(nn.Module):
    """Encodes some probes of one algorithm.

    Parameters
    ----------
    probes : dict of str to Probe
    hidden : int
        d.
    """

    def __init__(self, probes: dict[str, Probe], hidden: int) -> None:
        super().__init__()
        self.probes = probes
        self.maps = nn.ModuleDict()
        for name, probe in probes.items():
            hint_scalar = probe.stage == "hint" and probe.type == "scalar"
            std = 1 / sqrt(hidden) if hint_scalar else None
            count = 2 if (probe.location, probe.type) == ("edge", "pointer") else 1
            self.maps[name] = nn.ModuleList([linear(max(probe.categories, 1), hidden, std=std) for _ in range(count)])

    def forward(self, values: dict[str, Tensor], features: Features) -> Features:
        """Add the encodings of probes to features.

        Parameters
        ----------
        values : dict of str to Tensor, shape (B, …)
            Pointers as distributions over nodes, on a last axis; all in the precision of the network.
        features : Features

        Returns
        -------
        Features
        """
        nodes, edges, graph, adjacency = features
        for name, probe in self.probes.items():
            value, maps = values[name], list(cast(nn.ModuleList, self.maps[name]))
            if (probe.location, probe.type) == ("edge", "pointer"):
                # The mean of a linear map is the map of the mean: nothing of size N³ d is formed.
                edges = edges + maps[0](value.mean(1)[..., None]) + maps[1](value.mean(2)[..., None])
                continue
            encoded = maps[0](value if probe.type == "categorical" else value[..., None])
            if probe.location == "edge" or probe.type == "pointer":
                edges = edges + encoded
            elif probe.location == "node":
                nodes = nodes + encoded
            else:
                graph = graph + encoded
            if probe.type == "pointer":
                adjacency = adjacency | (value + value.mT > 0.5)
            elif (probe.location, probe.type) == ("edge", "mask"):
                adjacency = adjacency | (value + value.mT > 0)
        return Features(nodes, edges, graph, adjacency)


def blank(batch: int, nodes: int, hidden: int, like: Tensor) -> Features:
    """Features of nothing: zeros, and every node its own neighbour."""
    return Features(
        like.new_zeros(batch, nodes, hidden),
        like.new_zeros(batch, nodes, nodes, hidden),
        like.new_zeros(batch, hidden),
        torch.eye(nodes, dtype=torch.bool, device=like.device).expand(batch, -1, -1),
    )
