"""From probes to features of nodes, edges and the graph, each probe by its own linear map."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import Summed
from reprise.algorithmic_reasoning.probes import Location, Probe
from reprise.algorithmic_reasoning.processors.initial import linear


class Features(NamedTuple):
    """Features that encoders add up, and the edges that they imply.

    Shapes: nodes (B, N, d), edges (B, N, N, d), graph (B, d); adjacency (B, N, N), bool, or None where no processor
    asks for it.
    """

    nodes: Tensor
    edges: Tensor
    graph: Tensor
    adjacency: Tensor | None


Encode = Callable[[dict[str, Tensor], Features], Features]


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

    def bind(self) -> Encode:
        """A function that adds the encodings of probes to features, with the present weights.

        It takes probes by name, shape (B, …), pointers as distributions over nodes on a last axis and all in the
        precision of the network, and features.
        """
        places: dict[Location, list[str]] = {"node": [], "edge": [], "graph": []}
        for name, probe in self.probes.items():
            places["edge" if probe.type == "pointer" else probe.location].append(name)
        sums = {
            place: Summed([cast(nn.Linear, m) for name in names for m in cast(nn.ModuleList, self.maps[name])])
            for place, names in places.items()
        }

        def encode(values: dict[str, Tensor], features: Features) -> Features:
            def parts(place: Location) -> list[Tensor]:
                return [part for name in places[place] for part in _columns(self.probes[name], values[name])]

            adjacency = features.adjacency
            if adjacency is not None:
                for name in places["edge"]:
                    adjacency = _with_edges(adjacency, self.probes[name], values[name])
            return Features(
                sums["node"](features.nodes, parts("node")),
                sums["edge"](features.edges, parts("edge")),
                sums["graph"](features.graph, parts("graph")),
                adjacency,
            )

        return encode

    def forward(self, values: dict[str, Tensor], features: Features) -> Features:
        """Features with the encodings of probes: see `bind`."""
        return self.bind()(values, features)


def _columns(probe: Probe, value: Tensor) -> list[Tensor]:
    """What the linear maps of a probe read."""
    if (probe.location, probe.type) == ("edge", "pointer"):
        # The mean of a linear map is the map of the mean: nothing of size N³ d is formed.
        return [value.mean(1)[..., None], value.mean(2)[..., None]]
    return [value if probe.type == "categorical" else value[..., None]]


def _with_edges(adjacency: Tensor, probe: Probe, value: Tensor) -> Tensor:
    """The adjacency and the edges that a mask of edges or a pointer of nodes implies."""
    if probe.location == "node":
        return adjacency | (value + value.mT > 0.5)
    return adjacency | (value + value.mT > 0) if probe.type == "mask" else adjacency


def blank(batch: int, nodes: int, hidden: int, like: Tensor, *, adjacency: bool) -> Features:
    """Features of nothing: zeros, and every node its own neighbour."""
    return Features(
        like.new_zeros(batch, nodes, hidden),
        like.new_zeros(batch, nodes, nodes, hidden),
        like.new_zeros(batch, hidden),
        torch.eye(nodes, dtype=torch.bool, device=like.device).expand(batch, -1, -1) if adjacency else None,
    )
