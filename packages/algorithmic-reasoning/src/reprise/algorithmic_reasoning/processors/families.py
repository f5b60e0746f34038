"""Processors of several layers, each with as many copies as the structure has modules there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import SideBySide
from reprise.algorithmic_reasoning.processors.edge_transformer import EdgeTransformer, EdgeTransformerLayer
from reprise.algorithmic_reasoning.processors.gatv2 import GATv2Layer
from reprise.algorithmic_reasoning.processors.message_passing import MessagePassingLayer

PROCESSORS = ("edge_transformer", "mpnn", "gmpnn", "triplet_gmpnn", "gatv2", "pgn", "pgn_mask")
ALONG_EDGES = ("gatv2", "pgn", "pgn_mask")  # those that look at the adjacency
HEADED = ("edge_transformer", "gatv2")  # those whose width the heads share


Process = Callable[..., tuple[Tensor, Tensor | None]]  # from x, e, g, adjacency and h to states of nodes and edges
State = tuple[Tensor, Tensor | None]  # between layers: of nodes and edges, or of pairs alone
Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]  # x, e, g, adjacency, h
Module = Callable[[Inputs, State], State]


class Pieces(NamedTuple):
    """A processor taken apart: where states begin, every module of every layer, and what is read off at the end."""

    start: Callable[[Inputs], State]
    layers: list[list[Module]]
    finish: Callable[[State], State]


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
        self.kind, self.returns_edges = kind, kind == "triplet_gmpnn"

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
        return _attention(chosen) if self.kind == "gatv2" else _messages(chosen)

    def pieces(self) -> Pieces:
        """All modules one by one, with the present weights, for those that mix them."""

        def module(layer: Any) -> Module:
            forward = layer.bind_alone() if isinstance(layer, MessagePassingLayer) else layer
            return lambda inputs, state: forward(*inputs[:4], state[0])

        layers = [[module(one) for one in copies] for copies in self.layers]  # type: ignore[attr-defined]
        return Pieces(lambda inputs: (inputs[4], None), layers, lambda state: state)


def _attention(layers: Sequence[GATv2Layer]) -> Process:
    def process(x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor) -> tuple[Tensor, None]:
        for layer in layers:
            h, _ = layer(x, e, g, adjacency, h)
        return h, None

    return process


def _messages(layers: Sequence[MessagePassingLayer]) -> Process:
    """All layers see the same features: their maps of edges and of the graph are one product each."""
    steps, triplets = [layer.bind() for layer in layers], layers[-1].triplets
    of_edges, of_graph = SideBySide([[layer.edge] for layer in layers]), SideBySide([[layer.graph] for layer in layers])

    def process(x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor | None, h: Tensor) -> tuple[Tensor, Tensor | None]:
        before = h
        for step, edges, graph in zip(steps, of_edges(e), of_graph(g)):
            before, h = h, step(x, edges, graph, adjacency, h)
        return h, None if triplets is None else triplets(torch.cat([x, before], dim=-1), e, g)

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

    def pieces(self) -> Pieces:
        """As of `NodeProcessor`; states are of pairs."""

        def start(inputs: Inputs) -> State:
            x, e, g, _, h = inputs
            return self.ends.start(x, e, g, h), None

        def module(layer: Any) -> Module:
            return lambda inputs, state: (layer(state[0]), None)

        layers = [[module(one) for one in copies] for copies in self.layers]  # type: ignore[attr-defined]
        return Pieces(start, layers, lambda state: self.ends.finish(state[0]))

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
