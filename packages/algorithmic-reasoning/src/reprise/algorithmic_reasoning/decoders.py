"""From states of nodes, edges and the graph to logits of probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import SideBySide
from reprise.algorithmic_reasoning.probes import Probe
from reprise.algorithmic_reasoning.processors.initial import linear

Read = tuple[Tensor, Tensor, Tensor]  # states of nodes (B, N, ·), edges (B, N, N, ·) and the graph (B, ·)
Parts = Sequence[Tensor]


class Widths:
    """Widths of what decoders read, nodes, edges and graph, and of the pointers' inner space."""

    def __init__(self, nodes: int, edges: int, graph: int, inner: int) -> None:
        self.nodes, self.edges, self.graph, self.inner = nodes, edges, graph, inner


class Decoder(nn.Module):
    """Linear maps of nodes and of edges, and how their outputs make logits."""

    def node_maps(self) -> list[nn.Linear]:
        """Maps of states of nodes."""
        raise AssertionError("every decoder has its own")

    def edge_maps(self) -> list[nn.Linear]:
        """Maps of states of edges."""
        return []

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """Logits from the outputs of these maps."""
        raise AssertionError("every decoder has its own")


class NodeDecoder(Decoder):
    """Scalars, masks and categories of nodes: logits (B, N) or (B, N, C)."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.categorical = probe.type == "categorical"
        self.map = linear(widths.nodes, max(probe.categories, 1))

    def node_maps(self) -> list[nn.Linear]:
        """The one."""
        return [self.map]

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """Its output."""
        return nodes[0] if self.categorical else nodes[0][..., 0]


class PointerDecoder(Decoder):
    """From every node to one: logits lin(max(p₁_i, p₂_j + p₃_ji)), shape (B, N, N)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source, self.target = linear(widths.nodes, widths.inner), linear(widths.nodes, widths.inner)
        self.edge, self.last = linear(widths.edges, widths.inner), linear(widths.inner, 1)

    def node_maps(self) -> list[nn.Linear]:
        """p₁ and p₂."""
        return [self.source, self.target]

    def edge_maps(self) -> list[nn.Linear]:
        """p₃."""
        return [self.edge]

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """The larger of source and target, read by one more map."""
        source, target = nodes
        pairs = target[:, :, None] + edges[0]
        logits: Tensor = self.last(torch.maximum(source[:, :, None], pairs.transpose(1, 2)))
        return logits[..., 0]


class EdgeDecoder(Decoder):
    """Scalars and masks of edges: logits (B, N, N)."""

    def __init__(self, widths: Widths, outputs: int = 1) -> None:
        super().__init__()
        self.first, self.second = linear(widths.nodes, outputs), linear(widths.nodes, outputs)
        self.edge = linear(widths.edges, outputs)

    def node_maps(self) -> list[nn.Linear]:
        """Of either end."""
        return [self.first, self.second]

    def edge_maps(self) -> list[nn.Linear]:
        """Of the edge itself."""
        return [self.edge]

    @staticmethod
    def pairs(nodes: Parts, edges: Parts) -> Tensor:
        """Numbers of pairs of nodes, shape (B, N, N, outputs)."""
        return nodes[0][:, :, None] + nodes[1][:, None] + edges[0]

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """Their sum."""
        return self.pairs(nodes, edges)[..., 0]


class EdgePointerDecoder(Decoder):
    """From every pair of nodes to one node: logits (B, N, N, N)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source = EdgeDecoder(widths, widths.inner)
        self.target, self.last = linear(widths.nodes, widths.inner), linear(widths.inner, 1)

    def node_maps(self) -> list[nn.Linear]:
        """Of the pair's ends, and of the node pointed to."""
        return [*self.source.node_maps(), self.target]

    def edge_maps(self) -> list[nn.Linear]:
        """Of the pair."""
        return self.source.edge_maps()

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """The larger of pair and node, read by one more map."""
        pairs = self.source.pairs(nodes[:2], edges)
        logits: Tensor = self.last(torch.maximum(pairs[:, :, :, None], nodes[2][:, None, None]))
        return logits[..., 0]


class GraphDecoder(Decoder):
    """Scalars, masks and categories of the graph: logits (B,) or (B, C)."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.categorical = probe.type == "categorical"
        self.nodes = linear(widths.nodes, max(probe.categories, 1))
        self.graph = linear(widths.graph, max(probe.categories, 1))

    def node_maps(self) -> list[nn.Linear]:
        """None: it reads the largest state of all nodes."""
        return []

    def combine(self, nodes: Parts, edges: Parts, read: Read) -> Tensor:
        """From the largest state of the nodes and that of the graph."""
        found: Tensor = self.nodes(read[0].amax(dim=1)) + self.graph(read[2])
        return found if self.categorical else found[..., 0]


def decoder(probe: Probe, widths: Widths) -> Decoder:
    """The decoder that a probe needs."""
    if probe.location == "graph":
        return GraphDecoder(probe, widths)
    if probe.location == "edge":
        return EdgePointerDecoder(widths) if probe.type == "pointer" else EdgeDecoder(widths)
    return PointerDecoder(widths) if probe.type == "pointer" else NodeDecoder(probe, widths)


def bind(decoders: Mapping[str, Decoder]) -> Callable[[Read], dict[str, Tensor]]:
    """A function from states to the logits of all decoders, by name, with the present weights."""
    of_nodes = {name: found.node_maps() for name, found in decoders.items()}
    of_edges = {name: found.edge_maps() for name, found in decoders.items()}
    nodes_joined = SideBySide([linear for maps in of_nodes.values() for linear in maps])
    edges_joined = SideBySide([linear for maps in of_edges.values() for linear in maps])

    def decode(read: Read) -> dict[str, Tensor]:
        nodes, edges = iter(nodes_joined(read[0])), iter(edges_joined(read[1]))
        return {
            name: found.combine([next(nodes) for _ in of_nodes[name]], [next(edges) for _ in of_edges[name]], read)
            for name, found in decoders.items()
        }

    return decode
