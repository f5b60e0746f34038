"""From states of nodes, edges and the graph to logits of probes.

Decoders of one kind act together: each class says, for some of its members, which linear maps of nodes and of edges
they need side by side, and how the outputs of these make logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import Diagonal, SideBySide
from reprise.algorithmic_reasoning.layout import Group
from reprise.algorithmic_reasoning.probes import Probe
from reprise.algorithmic_reasoning.processors.initial import linear

Read = tuple[Tensor, Tensor, Tensor]  # states of nodes (B, N, ·), edges (B, N, N, ·) and the graph (B, ·)
Maps = list[list[nn.Linear]]
Parts = Sequence[Tensor]


class Bound(NamedTuple):
    """Decoders of one kind with their present weights: maps of nodes, maps of edges, and logits of their outputs."""

    nodes: Maps
    edges: Maps
    combine: Callable[[Parts, Parts, Read], Tensor]


class Widths:
    """Widths of what decoders read, nodes, edges and graph, and of the pointers' inner space."""

    def __init__(self, nodes: int, edges: int, graph: int, inner: int) -> None:
        self.nodes, self.edges, self.graph, self.inner = nodes, edges, graph, inner


class NodeDecoder(nn.Module):
    """Scalars, masks and categories of nodes: logits (B, N, C)."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.map = linear(widths.nodes, max(probe.categories, 1))

    @staticmethod
    def bind(members: Sequence[Any]) -> Bound:
        """One map each, whose outputs they are."""
        return Bound([[one.map for one in members]], [], lambda nodes, edges, read: nodes[0])


class PointerDecoder(nn.Module):
    """From every node to one: logits lin(max(p₁_i, p₂_j + p₃_ji)), shape (B, N, N, C)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source, self.target = linear(widths.nodes, widths.inner), linear(widths.nodes, widths.inner)
        self.edge, self.last = linear(widths.edges, widths.inner), linear(widths.inner, 1)

    @staticmethod
    def bind(members: Sequence[Any]) -> Bound:
        """Maps of sources, of targets and of edges; the larger is read by one more map."""
        last = Diagonal([one.last for one in members])

        def combine(nodes: Parts, edges: Parts, read: Read) -> Tensor:
            source, target = nodes
            # max(p, q) = p + relu(q − p), at [j, i], is far cheaper to differentiate than a maximum of two.
            above = (edges[0] + (target[:, :, None] - source[:, None])).relu()
            return last(above, bias=False).transpose(1, 2) + last(source)[:, :, None]

        return Bound(
            [[one.source for one in members], [one.target for one in members]],
            [[one.edge for one in members]],
            combine,
        )


class EdgeDecoder(nn.Module):
    """Scalars and masks of edges: logits (B, N, N, C)."""

    def __init__(self, widths: Widths, outputs: int = 1) -> None:
        super().__init__()
        self.first, self.second = linear(widths.nodes, outputs), linear(widths.nodes, outputs)
        self.edge = linear(widths.edges, outputs)

    @staticmethod
    def bind(members: Sequence[Any]) -> Bound:
        """Maps of either end and of the edge, added."""

        def combine(nodes: Parts, edges: Parts, read: Read) -> Tensor:
            return edges[0] + (nodes[0][:, :, None] + nodes[1][:, None])

        return Bound(
            [[one.first for one in members], [one.second for one in members]], [[one.edge for one in members]], combine
        )


class EdgePointerDecoder(nn.Module):
    """From every pair of nodes to one node: logits (B, N, N, N, C)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source = EdgeDecoder(widths, widths.inner)
        self.target, self.last = linear(widths.nodes, widths.inner), linear(widths.inner, 1)

    @staticmethod
    def bind(members: Sequence[Any]) -> Bound:
        """The larger of pair and node pointed to, read by one more map."""
        pairs, last = EdgeDecoder.bind([one.source for one in members]), Diagonal([one.last for one in members])

        def combine(nodes: Parts, edges: Parts, read: Read) -> Tensor:
            *ends, target = nodes
            above = (pairs.combine(ends, edges, read)[:, :, :, None] - target[:, None, None]).relu()
            return last(above, bias=False) + last(target)[:, None, None]

        return Bound([*pairs.nodes, [one.target for one in members]], pairs.edges, combine)


class GraphDecoder(nn.Module):
    """Scalars, masks and categories of the graph: logits (B, C)."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.nodes = linear(widths.nodes, max(probe.categories, 1))
        self.graph = linear(widths.graph, max(probe.categories, 1))

    @staticmethod
    def bind(members: Sequence[Any]) -> Bound:
        """From the largest state of all nodes and that of the graph."""
        of_nodes, of_graph = SideBySide([[one.nodes for one in members]]), SideBySide([[one.graph for one in members]])
        return Bound([], [], lambda nodes, edges, read: of_nodes(read[0].amax(dim=1))[0] + of_graph(read[2])[0])


Decoder = NodeDecoder | PointerDecoder | EdgeDecoder | EdgePointerDecoder | GraphDecoder


def decoder(probe: Probe, widths: Widths) -> Decoder:
    """The decoder that a probe needs."""
    if probe.location == "graph":
        return GraphDecoder(probe, widths)
    if probe.location == "edge":
        return EdgePointerDecoder(widths) if probe.type == "pointer" else EdgeDecoder(widths)
    return PointerDecoder(widths) if probe.type == "pointer" else NodeDecoder(probe, widths)


def bind(decoders: Mapping[str, Any], groups: Sequence[Group]) -> Callable[[Read], list[Tensor]]:
    """A function from states to the logits of every group, with the present weights."""
    members = [[decoders[name] for name in group.names] for group in groups]
    bound: list[Bound] = [type(some[0]).bind(some) for some in members]
    of_nodes = SideBySide([maps for one in bound for maps in one.nodes])
    of_edges = SideBySide([maps for one in bound for maps in one.edges])

    def decode(read: Read) -> list[Tensor]:
        nodes, edges = iter(of_nodes(read[0])), iter(of_edges(read[1]))
        return [one.combine([next(nodes) for _ in one.nodes], [next(edges) for _ in one.edges], read) for one in bound]

    return decode
