"""Branching low-rank adapters of a causal language model: at every adapted linear map one pair (A, B) per branch.

A frozen map W of a model of the `transformers` library becomes W x + (α/r) B A x, where the pair is the task's own at
that depth of the tree (Hu et al. 2022 for the adapter; Section 3 of the paper for the branches).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.validation import choice, integer, number

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


class LowRank(nn.Module):
    """One pair: A, shape (r, inputs), normal with standard deviation 1/√inputs, and B, shape (outputs, r), zero."""

    def __init__(self, base: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        # Half precision would lose the small steps of AdamW and most digits of gradients.
        like = base.weight.new_zeros((), dtype=torch.promote_types(base.weight.dtype, torch.float32))
        first = torch.randn(rank, base.in_features, generator=generator) / sqrt(base.in_features)
        self.A = nn.Parameter(first.to(like))
        self.B = nn.Parameter(like.new_zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """B A x, shape (…, outputs)."""
        return (x.to(self.A) @ self.A.T @ self.B.T).to(x)


class Adapted(nn.Module):
    """A frozen linear map with a pair per branch; `active` is the branch taken, None for none.

    Parameters
    ----------
    base : nn.Linear
    pairs : nn.ModuleList of LowRank
    scaling : float
        α/r.
    """

    def __init__(self, base: nn.Linear, pairs: nn.ModuleList, scaling: float) -> None:
        super().__init__()
        self.base, self.pairs, self.scaling = base, pairs, scaling
        self.active: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """W x + (α/r) B A x, shape (…, outputs)."""
        result: Tensor = self.base(x)
        return result if self.active is None else result + self.scaling * self.pairs[self.active](x)


class BranchingLoRA(nn.Module):
    """Adapters of a language model, shared by tasks as a tree says.

    Parameters
    ----------
    model : transformers.PreTrainedModel or nn.Module
        With blocks in a list called ``layers`` (or ``h``) whose linear maps have the names of `targets`. Its weights
        are frozen, and these maps are replaced by adapted ones in place; adapters of an earlier call are taken off.
    structure : BranchingStructure
        Of the tasks. Blocks are dealt to its layers in order: block b of n takes layer ⌊b L / n⌋.
    rank : int
        r.
    alpha : float
        α; the adapter is scaled by α/r.
    targets : sequence of str
        Names of the linear maps to adapt.
    seed : int
        Of the first A.

    Raises
    ------
    TypeError
        If `model` is no module.
    ValueError
        If a number is out of range, no linear map has such a name, or there are fewer blocks than layers.

    Notes
    -----
    The model itself is no submodule: parameters and state are those of the adapters alone, so that a state is small
    and `reprise.tasks` differentiates by adapters.

    Examples
    --------
    >>> block = nn.ModuleDict({"q_proj": nn.Linear(4, 4)})
    >>> adapters = BranchingLoRA(
    ...     nn.ModuleDict({"layers": nn.ModuleList([block])}),
    ...     BranchingStructure.separate(["bfs", "dfs"], 1),
    ...     rank=2,
    ... )
    >>> sum(p.numel() for p in adapters.parameters())
    32
    """

    def __init__(
        self,
        model: nn.Module,
        structure: BranchingStructure,
        *,
        rank: int = 16,
        alpha: float = 128.0,
        targets: Sequence[str] = TARGETS,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch module, got {type(model).__name__}")
        rank, scale = integer("rank", rank), number("alpha", alpha, open_=True)
        generator = torch.Generator().manual_seed(integer("seed", seed, minimum=0))
        places = _places(model, targets)
        blocks = sorted({block for block, _ in places.values()})
        if len(blocks) < len(structure.layers):
            raise ValueError(
                f"structure must have at most as many layers as the model has blocks, {len(blocks)}, got "
                f"{len(structure.layers)}"
            )
        self.structure = structure
        self.routes = {name: structure.route(name) for name in sorted(structure.tasks)}
        self._model = (model,)  # in a tuple, so that it is no submodule
        self._layers: dict[str, int] = {}
        self.adapters = nn.ModuleDict()
        model.requires_grad_(False)
        self._adapted: list[tuple[int, Adapted]] = []
        for name, (block, base) in places.items():
            layer = blocks.index(block) * len(structure.layers) // len(blocks)
            count = structure.counts[layer]
            pairs = nn.ModuleList([LowRank(base, rank, generator) for _ in range(count)])
            adapted = Adapted(base, pairs, scale / rank)
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, adapted)
            key = name.replace(".", "-")
            self.adapters[key] = pairs
            self._layers[key] = layer
            self._adapted.append((layer, adapted))

    @property
    def model(self) -> Any:
        """The language model."""
        return self._model[0]

    @contextmanager
    def task(self, name: str) -> Iterator[Any]:
        """The language model as it answers a task, to call or to generate with.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        route = self.routes[choice("task", name, tuple(self.routes))]
        for layer, adapted in self._adapted:
            adapted.active = route[layer]
        try:
            yield self.model
        finally:
            for _, adapted in self._adapted:
                adapted.active = None

    def forward(self, name: str, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits of the next token, shape (B, T, vocabulary), of tokens, shape (B, T), where `mask` is not 0."""
        with self.task(name) as model:
            found: Tensor = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        return found.to(torch.promote_types(found.dtype, torch.float32))

    def parameter_names(self, name: str, *, layer: int = 0) -> list[str]:
        """Names of the adapters' weights that a task uses from a layer of the tree on.

        Raises
        ------
        ValueError
            If there is no such task or layer.
        """
        integer("layer", layer, minimum=0, maximum=len(self.structure.layers) - 1, limit="the number of layers - 1")
        route = self.routes[choice("task", name, tuple(self.routes))]
        return [
            f"adapters.{key}.{route[depth]}.{part}"
            for key, depth in self._layers.items()
            if depth >= layer
            for part in ("A", "B")
        ]


def _places(model: nn.Module, targets: Sequence[str]) -> dict[str, tuple[int, nn.Linear]]:
    """Block and linear map of every name to adapt."""
    found = {}
    for name, module in model.named_modules():
        *before, own = name.split(".")
        base = module.base if isinstance(module, Adapted) else module
        numbers = [int(part) for kind, part in pairwise(before) if kind in ("layers", "h") and part.isdigit()]
        if own in targets and numbers and isinstance(base, nn.Linear):
            found[name] = (numbers[0], base)
    if not found:
        raise ValueError(f"targets must name linear maps in blocks of the model, got {', '.join(targets)}")
    return found
