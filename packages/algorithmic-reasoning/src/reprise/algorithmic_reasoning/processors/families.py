"""Processors of several layers, each with as many copies as the structure has modules there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from reprise.algorithmic_reasoning.processors.edge_transformer import EdgeTransformer, EdgeTransformerLayer
from reprise.algorithmic_reasoning.processors.gatv2 import GATv2Layer
from reprise.algorithmic_reasoning.processors.message_passing import MessagePassingLayer

PROCESSORS = ("edge_transformer", "mpnn", "gmpnn", "triplet_gmpnn", "gatv2", "pgn", "pgn_mask")
ALONG_EDGES = ("gatv2", "pgn", "pgn_mask")  # those that look at the adjacency
HEADED = ("edge_transformer", "gatv2")  # those whose width the heads share


Process = Callable[..., tuple[Tensor, Tensor | None]]  # from x, e, g, adjacency and h to states of nodes and edges


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

    def bind(self, route: Sequence[int]) -> Process:
        """The modules of a route, one per layer, as one function with the present weights."""
        chosen: list[Any] = [copies[module] for copies, module in zip(self.layers, route)]  # type: ignore[index]
        layers = [layer.bind() if isinstance(layer, MessagePassingLayer) else layer for layer in chosen]

        def process(
            x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor | None, h: Tensor
        ) -> tuple[Tensor, Tensor | None]:
            edges: Tensor | None = None
            for layer in layers:
                h, edges = layer(x, e, g, adjacency, h)
            return h, edges

        return process


class EdgeProcessor(nn.Module):
    """The Edge Transformer; arguments as of `NodeProcessor`."""

    returns_edges = True

    def __init__(self, hidden: int, heads: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.ends = EdgeTransformer(hidden)
        self.layers = nn.ModuleList(
            [nn.ModuleList([EdgeTransformerLayer(hidden, heads) for _ in range(count)]) for count in counts]
        )

    def bind(self, route: Sequence[int]) -> Process:
        """As of `NodeProcessor`; the adjacency is not looked at."""
        return partial(self._process, [copies[module] for copies, module in zip(self.layers, route)])  # type: ignore[index]

    def _process(
        self, layers: Sequence[nn.Module], x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor | None, h: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        pairs = self.ends.start(x, e, g, h)
        for layer in layers:
            pairs = layer(pairs)
        return self.ends.finish(pairs)


def make_processor(kind: str, hidden: int, heads: int, counts: Sequence[int]) -> NodeProcessor | EdgeProcessor:
    """A processor by its name; `kind` is one of `PROCESSORS`."""
    if kind == "edge_transformer":
        return EdgeProcessor(hidden, heads, counts)
    return NodeProcessor(kind, hidden, heads, counts)
