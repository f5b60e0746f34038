"""Learning to Branch (Guo, Lee and Ulbricht 2020): every module chooses its parent, every task its last module.

One of the paper's baselines. Choices are drawn by the Gumbel-softmax while all modules train together; the most likely
ones are a tree, which is then trained on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.mixture_of_experts import mixed
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.processors.families import Inputs, Process, State, make_processor
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.training import History, fit
from reprise.algorithmic_reasoning.validation import integer, number


class LearningToBranch(Reasoner):
    """A network whose tree is drawn anew for every batch, from chances that are learned.

    Parameters
    ----------
    algorithms, processor, hidden, layers, heads, projection
        As of `Reasoner`.
    width : int
        Modules of every layer.
    seed : int
        Of the draws.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Module j of layer l reads Σ_k d_jk state_k of the layer before, with d_j = softmax((logits_j + Gumbel noise)/τ); in
    evaluation each takes its likeliest parent. It costs `width` times a shared network's time.

    Examples
    --------
    >>> model = LearningToBranch(["bfs", "dfs"], "mpnn", width=2, hidden=8, layers=2)
    >>> len(model.likeliest().layers)
    2
    """

    def __init__(
        self,
        algorithms: Sequence[str],
        processor: str = "edge_transformer",
        *,
        width: int = 3,
        hidden: int = 192,
        layers: int = 5,
        heads: int = 12,
        projection: int | None = 16,
        seed: int = 0,
    ) -> None:
        integer("width", width)
        integer("seed", seed, minimum=0)
        super().__init__(algorithms, processor, hidden=hidden, layers=layers, heads=heads, projection=projection)
        self.processor = make_processor(self.kind, hidden, heads, [width] * layers)
        self.parents = nn.ParameterList([nn.Parameter(torch.zeros(width, width)) for _ in range(layers - 1)])
        self.leaves = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in self.routes})
        self.temperature = 1.0
        self.generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            # Equal chances have no likeliest parent: begin with ever so slightly different ones.
            for logits in [*self.parents, *self.leaves.values()]:
                logits.copy_(1e-3 * torch.randn(logits.shape, generator=self.generator))

    def likeliest(self) -> BranchingStructure:
        """The tree of the likeliest choices: tasks share a module where their ways back from their leaves meet."""
        places = {name: int(logits.argmax()) for name, logits in self.leaves.items()}
        partitions = [places]
        for logits in reversed(list(self.parents)):
            chosen = logits.argmax(dim=-1).tolist()
            places = {name: chosen[place] for name, place in places.items()}
            partitions.append(places)
        return BranchingStructure.from_partitions(partitions[::-1])

    def _draw(self, logits: Tensor) -> Tensor:
        """Shares of the choices, shape of `logits`."""
        if not self.training:
            return nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits)
        uniform = torch.rand(logits.shape, generator=self.generator).clamp(1e-9, 1 - 1e-7).to(logits)
        return torch.softmax((logits - (-uniform.log()).log()) / self.temperature, dim=-1)

    def _bind_processor(self, name: str) -> Process:
        start, layers, finish = self.processor.pieces()
        choices = [self._draw(logits) for logits in self.parents]
        leaf = self._draw(self.leaves[name])

        def process(*inputs: Tensor) -> State:
            given: Inputs = inputs  # type: ignore[assignment]
            begin = start(given)
            states = [module(given, begin) for module in layers[0]]
            for modules, chosen in zip(layers[1:], choices):
                states = [module(given, mixed(chosen[j], states)) for j, module in enumerate(modules)]
            return finish(mixed(leaf, states))

        return process


def learn_branches(
    model: LearningToBranch, *, steps: int, temperatures: tuple[float, float] = (5.0, 0.5), **options: Any
) -> History:
    """Train weights and choices together, while draws become surer.

    Parameters
    ----------
    model : LearningToBranch
        Changed in place.
    steps : int
    temperatures : pair of float
        τ of the first and of the last step; it falls geometrically.
    **options
        Of `fit`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    first, last = (number("temperatures", value, open_=True) for value in temperatures)
    progress = options.pop("progress", None)

    def cool(done: int, total: int) -> None:
        model.temperature = first * (last / first) ** (done / total)
        if progress is not None:
            progress(done, total)

    model.temperature = first
    return fit(model, steps=steps, progress=cool, **options)
