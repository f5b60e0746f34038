"""Multi-gate mixture of experts (Ma et al. 2018): all tasks use all modules, each task in shares of its own.

One of the paper's baselines: nothing is decided about who shares what; a softmax gate of every task weighs the modules
of every layer, graph by graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.processors.families import Inputs, Process, State, make_processor
from reprise.algorithmic_reasoning.processors.initial import linear
from reprise.algorithmic_reasoning.validation import integer


class MixtureOfExperts(Reasoner):
    """A network for several algorithms, every layer of which mixes modules.

    Parameters
    ----------
    algorithms, processor, hidden, layers, heads, projection
        As of `Reasoner`.
    experts : int
        Modules of every layer.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    The state after a layer is Σ_k p_k module_k(state), where p = softmax(lin_task([mean x, mean state])), with means
    over nodes (of the Edge Transformer's state, over pairs). It costs `experts` times a shared network's time.

    Examples
    --------
    >>> from reprise.algorithmic_reasoning import sample
    >>> model = MixtureOfExperts(["bfs", "dfs"], "mpnn", experts=2, hidden=16, layers=1)
    >>> model(sample("bfs", nodes=5, samples=2, seed=0)).outputs["pi"].shape
    torch.Size([2, 5, 5])
    """

    def __init__(
        self,
        algorithms: Sequence[str],
        processor: str = "edge_transformer",
        *,
        experts: int = 4,
        hidden: int = 192,
        layers: int = 5,
        heads: int = 12,
        projection: int | None = 16,
    ) -> None:
        integer("experts", experts)
        super().__init__(algorithms, processor, hidden=hidden, layers=layers, heads=heads, projection=projection)
        self.processor = make_processor(self.kind, hidden, heads, [experts] * layers)
        self.gates = nn.ModuleDict(
            {name: nn.ModuleList([linear(2 * hidden, experts) for _ in range(layers)]) for name in self.routes}
        )

    def _bind_processor(self, name: str) -> Process:
        start, layers, finish = self.processor.pieces()
        gates = cast(nn.ModuleList, self.gates[name])

        def process(*inputs: Tensor) -> State:
            given: Inputs = inputs  # type: ignore[assignment]
            state = start(given)
            for modules, gate in zip(layers, gates):
                seen = torch.cat([given[0].mean(1), state[0].flatten(1, -2).mean(1)], dim=-1)
                state = mixed(torch.softmax(gate(seen), dim=-1), [module(given, state) for module in modules])
            return finish(state)

        return process


def mixed(shares: Tensor, states: Sequence[State]) -> State:
    """States added up in shares, shape (B, K), or (K,) for all graphs alike."""

    def total(parts: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack(list(parts), dim=-1)
        return (stacked * shares.reshape(*shares.shape[:-1], *(1,) * (stacked.ndim - 2), -1)).sum(-1)

    edges = [state[1] for state in states if state[1] is not None]
    return total([state[0] for state in states]), total(edges) if edges else None
