"""From states of nodes, edges and the graph to logits of probes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.probes import Probe
from reprise.algorithmic_reasoning.processors.initial import linear


class Widths:
    """Widths of what decoders read, nodes, edges and graph, and of the pointers' inner space."""

    def __init__(self, nodes: int, edges: int, graph: int, inner: int) -> None:
        self.nodes, self.edges, self.graph, self.inner = nodes, edges, graph, inner


class NodeDecoder(nn.Module):
    """Scalars, masks and categories of nodes."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.categorical = probe.type == "categorical"
        self.map = linear(widths.nodes, max(probe.categories, 1))

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits, shape (B, N) or (B, N, C)."""
        found: Tensor = self.map(nodes)
        return found if self.categorical else found[..., 0]


class PointerDecoder(nn.Module):
    """From every node to one."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source, self.target = linear(widths.nodes, widths.inner), linear(widths.nodes, widths.inner)
        self.edge, self.last = linear(widths.edges, widths.inner), linear(widths.inner, 1)

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits lin(max(p₁_i, p₂_j + p₃_ji)), shape (B, N, N)."""
        pairs = self.target(nodes)[:, :, None] + self.edge(edges)
        logits: Tensor = self.last(torch.maximum(self.source(nodes)[:, :, None], pairs.transpose(1, 2)))
        return logits[..., 0]


class EdgeDecoder(nn.Module):
    """Scalars and masks of edges."""

    def __init__(self, widths: Widths, outputs: int = 1) -> None:
        super().__init__()
        self.first, self.second = linear(widths.nodes, outputs), linear(widths.nodes, outputs)
        self.edge = linear(widths.edges, outputs)

    def pairs(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Numbers of pairs of nodes, shape (B, N, N, outputs)."""
        found: Tensor = self.first(nodes)[:, :, None] + self.second(nodes)[:, None] + self.edge(edges)
        return found

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits, shape (B, N, N)."""
        return self.pairs(nodes, edges)[..., 0]


class EdgePointerDecoder(nn.Module):
    """From every pair of nodes to one node."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.source = EdgeDecoder(widths, widths.inner)
        self.target, self.last = linear(widths.nodes, widths.inner), linear(widths.inner, 1)

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits, shape (B, N, N, N)."""
        pairs = self.source.pairs(nodes, edges)
        logits: Tensor = self.last(torch.maximum(pairs[:, :, :, None], self.target(nodes)[:, None, None]))
        return logits[..., 0]


class GraphDecoder(nn.Module):
    """Scalars, masks and categories of the graph."""

    def __init__(self, probe: Probe, widths: Widths) -> None:
        super().__init__()
        self.categorical = probe.type == "categorical"
        self.nodes = linear(widths.nodes, max(probe.categories, 1))
        self.graph = linear(widths.graph, max(probe.categories, 1))

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits, shape (B,) or (B, C)."""
        found: Tensor = self.nodes(nodes.amax(dim=1)) + self.graph(graph)
        return found if self.categorical else found[..., 0]


def decoder(probe: Probe, widths: Widths) -> nn.Module:
    """The decoder that a probe needs."""
    if probe.location == "graph":
        return GraphDecoder(probe, widths)
    if probe.location == "edge":
        return EdgePointerDecoder(widths) if probe.type == "pointer" else EdgeDecoder(widths)
    return PointerDecoder(widths) if probe.type == "pointer" else NodeDecoder(probe, widths)
