"""Processors of several layers, each with as many copies as the structure has modules there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from reprise.algorithmic_reasoning.processors.edge_transformer import EdgeTransformer, EdgeTransformerLayer
from reprise.algorithmic_reasoning.processors.gatv2 import GATv2Layer
from reprise.algorithmic_reasoning.processors.message_passing import MessagePassingLayer

PROCESSORS = ("edge_transformer", "mpnn", "gmpnn", "triplet_gmpnn", "gatv2", "pgn", "pgn_mask")
HEADED = ("edge_transformer", "gatv2")  # those whose width the heads share


class Processor(Protocol):
    """From features and states of nodes to new states of nodes and, with some, of edges."""

    returns_edges: bool
    layers: nn.ModuleList

    def __call__(
        self, x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor, route: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Take the modules of a route, one per layer."""


class NodeProcessor(nn.Module):
    """Layers over states of nodes, which all see the same features.

    Parameters
    ----------
    kind : str
    hidden, heads : int
    counts : sequence of int
        Copies of each layer.
    """

    def __init__(self, kind: str, hidden: int, heads: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.returns_edges = kind == "triplet_gmpnn"

        def layer() -> nn.Module:
            if kind == "gatv2":
                return GATv2Layer(hidden, heads)
            return MessagePassingLayer(
                hidden,
                restricted=kind.startswith("pgn"),
                gated="gmpnn" in kind,
                triplets=self.returns_edges,
            )

        self.layers = nn.ModuleList([nn.ModuleList([layer() for _ in range(count)]) for count in counts])

    def forward(
        self, x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor, route: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """New states of nodes, and of edges from the last layer where it has them."""
        edges: Tensor | None = None
        for copies, module in zip(self.layers, route):
            h, edges = copies[module](x, e, g, adjacency, h)  # type: ignore[index]
        return h, edges


class EdgeProcessor(nn.Module):
    """The Edge Transformer; arguments as of `NodeProcessor`."""

    returns_edges = True

    def __init__(self, hidden: int, heads: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.ends = EdgeTransformer(hidden)
        self.layers = nn.ModuleList(
            [nn.ModuleList([EdgeTransformerLayer(hidden, heads) for _ in range(count)]) for count in counts]
        )

    def forward(
        self, x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor, route: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """New states of nodes and edges; the adjacency is not looked at."""
        pairs = self.ends.start(x, e, g, h)
        for copies, module in zip(self.layers, route):
            pairs = copies[module](pairs)  # type: ignore[index]
        return self.ends.finish(pairs)


def make_processor(kind: str, hidden: int, heads: int, counts: Sequence[int]) -> NodeProcessor | EdgeProcessor:
    """A processor by its name; `kind` is one of `PROCESSORS`."""
    if kind == "edge_transformer":
        return EdgeProcessor(hidden, heads, counts)
    return NodeProcessor(kind, hidden, heads, counts)
