"""From probes to features of nodes, edges and the graph, each probe by its own linear map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import Summed
from reprise.algorithmic_reasoning.layout import Group, groups_of
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


Encode = Callable[[Sequence[Tensor], Features], Features]


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
        self.groups = groups_of(probes)
        self.maps = nn.ModuleDict()
        for name, probe in probes.items():
            hint_scalar = probe.stage == "hint" and probe.type == "scalar"
            std = 1 / sqrt(hidden) if hint_scalar else None
            count = 2 if (probe.location, probe.type) == ("edge", "pointer") else 1
            self.maps[name] = nn.ModuleList([linear(max(probe.categories, 1), hidden, std=std) for _ in range(count)])

    def bind(self) -> Encode:
        """A function that adds the encodings of probes to features, with the present weights.

        It takes one tensor for every group, see `Group`, and features.
        """
        places: tuple[Location, ...] = ("node", "edge", "graph")
        own = {place: [k for k, group in enumerate(self.groups) if group.place == place] for place in places}
        sums = {
            place: Summed([linear for k in numbers for linear in self._maps(self.groups[k])])
            for place, numbers in own.items()
        }

        def encode(values: Sequence[Tensor], features: Features) -> Features:
            def added(place: Location, total: Tensor) -> Tensor:
                return sums[place](total, [_columns(self.groups[k], values[k]) for k in own[place]])

            adjacency = features.adjacency
            if adjacency is not None:
                for k in own["edge"]:
                    adjacency = _with_edges(adjacency, self.groups[k], values[k])
            nodes, edges, graph = (
                added("node", features.nodes),
                added("edge", features.edges),
                added("graph", features.graph),
            )
            return Features(nodes, edges, graph, adjacency)

        return encode

    def _maps(self, group: Group) -> list[nn.Linear]:
        """Maps in the order of `_columns`."""
        maps = [cast(nn.ModuleList, self.maps[name]) for name in group.names]
        return [cast(nn.Linear, one[number]) for number in range(len(maps[0])) for one in maps]


def _columns(group: Group, value: Tensor) -> Tensor:
    """What the linear maps of a group read."""
    if (group.location, group.type) == ("edge", "pointer"):
        # The mean of a linear map is the map of the mean: nothing of size N³ d is formed.
        return torch.cat([value.mean(1), value.mean(2)], dim=-1)
    return value


def _with_edges(adjacency: Tensor, group: Group, value: Tensor) -> Tensor:
    """The adjacency and the edges that masks of edges or pointers of nodes imply."""
    if group.location == "node":
        return adjacency | (value + value.transpose(1, 2) > 0.5).any(dim=-1)
    return adjacency | (value + value.transpose(1, 2) > 0).any(dim=-1) if group.type == "mask" else adjacency


def blank(batch: int, nodes: int, hidden: int, like: Tensor, *, adjacency: bool) -> Features:
    """Features of nothing: zeros, and every node its own neighbour."""
    return Features(
        like.new_zeros(batch, nodes, hidden),
        like.new_zeros(batch, nodes, nodes, hidden),
        like.new_zeros(batch, hidden),
        torch.eye(nodes, dtype=torch.bool, device=like.device).expand(batch, -1, -1) if adjacency else None,
    )
