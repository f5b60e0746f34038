"""Message passing with a maximum: MPNN, gated and with triplets (Ibarz et al. 2022); PGN (Veličković et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.joined import SideBySide
from reprise.algorithmic_reasoning.processors.initial import linear

TRIPLET_WIDTH = 8
_GATE = -3.0  # bias of the gate: at first, little of a message passes
_ABSENT = -1e6  # message where there is no edge

Step = Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor], Tensor]


class MessagePassingLayer(nn.Module):
    """Every node takes the largest message, coordinate by coordinate, of all others.

    Parameters
    ----------
    hidden : int
        d.
    restricted : bool
        Messages run along edges only (PGN), instead of between all nodes.
    gated : bool
        Mix the new state with the old one by a learned gate.
    triplets : bool
        Also return new edge features, made of triples of nodes; time and memory then grow like N³.

    Notes
    -----
    With z = [x, h] the message from i to j is MLP(lin₁(z_j) + lin₂(z_i) + lin_e(e_ij) + lin_g(g)), and the new state
    LN(relu(o₁(z_j) + o₂(max_i message))).
    """

    def __init__(self, hidden: int, *, restricted: bool = False, gated: bool = False, triplets: bool = False) -> None:
        super().__init__()
        self.restricted = restricted
        self.receiver, self.sender = linear(2 * hidden, hidden), linear(2 * hidden, hidden)
        self.edge, self.graph = linear(hidden, hidden), linear(hidden, hidden)
        self.message = nn.Sequential(nn.ReLU(), linear(hidden, hidden), nn.ReLU(), linear(hidden, hidden))
        self.own, self.received = linear(2 * hidden, hidden), linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.gate = Gate(hidden) if gated else None
        self.triplets = Triplets(hidden) if triplets else None

    def forward(self, x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """New states of nodes and edges.

        Parameters
        ----------
        x, h : Tensor, shape (B, N, d)
            Features and states of nodes.
        e : Tensor, shape (B, N, N, d)
        g : Tensor, shape (B, d)
        adjacency : Tensor of bool, shape (B, N, N)

        Returns
        -------
        h : Tensor, shape (B, N, d)
        e : Tensor, shape (B, N, N, d), or None without triplets
        """
        return self.bind_alone()(x, e, g, adjacency, h)

    def bind_alone(self) -> Callable[..., tuple[Tensor, Tensor | None]]:
        """`forward` with the present weights joined, for many steps."""
        step = self.bind()

        def forward(
            x: Tensor, e: Tensor, g: Tensor, adjacency: Tensor | None, h: Tensor
        ) -> tuple[Tensor, Tensor | None]:
            new = step(x, self.edge(e), self.graph(g), adjacency, h)
            return new, None if self.triplets is None else self.triplets(torch.cat([x, h], dim=-1), e, g)

        return forward

    def bind(self) -> Step:
        """New states of nodes from x, lin_e(e), lin_g(g), adjacency and h, with the present weights.

        They are joined: what reads the same is one product.
        """
        gate = self.gate
        of_nodes = SideBySide([[self.receiver], [self.sender], [self.own, *([] if gate is None else [gate.own])]])
        of_messages = SideBySide([[self.received, *([] if gate is None else [gate.received])]])

        def step(x: Tensor, of_edges: Tensor, of_graph: Tensor, adjacency: Tensor | None, h: Tensor) -> Tensor:
            receiver, sender, own = of_nodes(torch.cat([x, h], dim=-1))
            pairs = of_edges + (receiver + of_graph[:, None])[:, None] + sender[:, :, None]
            messages = self.message(pairs)
            if self.restricted:
                messages = torch.where(cast(Tensor, adjacency)[..., None], messages, _ABSENT)
            seen = torch.relu(own + of_messages(messages.amax(dim=1))[0])
            if gate is None:
                return cast(Tensor, self.norm(seen))
            new, passing = seen.chunk(2, dim=-1)
            return torch.lerp(h, self.norm(new), gate(passing))

        return step


class Gate(nn.Module):
    """The share of the new state in the mix, from 0 to 1."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own, self.received = linear(2 * hidden, hidden), linear(hidden, hidden)
        self.last = linear(hidden, hidden, offset=_GATE)

    def forward(self, seen: Tensor) -> Tensor:
        """From what the maps of [x, h] and of the largest messages give together, rectified, shape (B, N, d)."""
        return torch.sigmoid(self.last(seen))


class Triplets(nn.Module):
    """Edge features e'_jk = relu(o(max_i t_ijk)), with t_ijk linear in the three nodes, their edges and the graph."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList([linear(2 * hidden, TRIPLET_WIDTH) for _ in range(3)])
        self.edges = nn.ModuleList([linear(hidden, TRIPLET_WIDTH) for _ in range(3)])
        self.graph = linear(hidden, TRIPLET_WIDTH)
        self.out = linear(TRIPLET_WIDTH, hidden)

    def forward(self, z: Tensor, e: Tensor, g: Tensor) -> Tensor:
        """From [x, h], shape (B, N, 2 d), edges, shape (B, N, N, d), and the graph, shape (B, d)."""
        first, second, third = (part(z) for part in self.nodes)
        ij, ik, jk = (part(e) for part in self.edges)
        ij = ij + first[:, :, None]
        largest = (ij[:, :, :, None] + ik[:, :, None]).amax(dim=1)  # what does not depend on i comes after
        return torch.relu(self.out(largest + second[:, :, None] + third[:, None] + jk + self.graph(g)[:, None, None]))
