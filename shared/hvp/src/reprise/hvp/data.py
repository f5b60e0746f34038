"""The batches of a curvature operator: the same ones, in the same order, at every product."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, RandomSampler

Resident = bool | Literal["auto"]


class Batches:
    """Batches held in memory, or read anew from a loader at every pass.

    Parameters
    ----------
    data : iterable of batches
    device : torch.device
        Where batches are moved to.
    resident : bool or "auto"
        Hold all; hold none; or hold all when they fit into a quarter of the budget.
    budget : int
        Bytes that batches and linearisations may take.

    Raises
    ------
    TypeError
        If `data` is not iterable.
    ValueError
        If it is empty, or a shuffling loader that is not to be held.
    """

    def __init__(self, data: Iterable[Any], device: torch.device, *, resident: Resident, budget: int) -> None:
        if not isinstance(data, Iterable) or isinstance(data, (str, dict, Tensor)):
            raise TypeError(f"data must be an iterable of batches, got {type(data).__name__}")
        self.device = device
        self.held: list[Any] | None = None
        self.source = data
        once = iter(data) is data
        shuffled = isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler)
        if resident is True or once or isinstance(data, (list, tuple)):
            self.held = list(data)
        elif resident == "auto":
            self.held = self._gather(data, budget // 4)
        if self.held is None and shuffled:
            raise ValueError(
                "data shuffles, so that every product would see other batches: pass shuffle=False, or resident=True "
                "to keep the batches of one pass"
            )
        if self.held is not None:
            if resident is True:
                self.held = [move(batch, device) for batch in self.held]
            if not self.held:
                raise ValueError("data must hold at least one batch, got none")

    def __iter__(self) -> Iterator[Any]:
        empty = True
        for batch in self.source if self.held is None else self.held:
            empty = False
            yield move(batch, self.device)
        if empty:
            raise ValueError("data must hold at least one batch, got none")

    @property
    def single(self) -> bool:
        """Whether there is exactly one batch."""
        return self.held is not None and len(self.held) == 1

    def first(self) -> Any:
        """The first batch."""
        return next(iter(self))

    @staticmethod
    def _gather(data: Iterable[Any], limit: int) -> list[Any] | None:
        held, taken = [], 0
        for batch in data:
            taken += tensor_bytes(tensors_of(batch))
            if taken > limit:
                return None
            held.append(batch)
        return held


def tensors_of(batch: Any) -> list[Tensor]:
    """All tensors of a batch: of a tree, a dataclass, or an object with attributes."""
    found = []
    for leaf in pytree.tree_leaves(batch):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "to_dict"):
            found += [value for value in pytree.tree_leaves(leaf.to_dict()) if isinstance(value, Tensor)]
        elif hasattr(leaf, "__dict__"):
            found += [value for value in vars(leaf).values() if isinstance(value, Tensor)]
    return found


def move(batch: Any, device: torch.device) -> Any:
    """The batch with its tensors on `device`; what is there already is not copied."""
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{field.name: move(getattr(batch, field.name), device) for field in fields(batch)})

    def place(leaf: Any) -> Any:
        return leaf.to(device) if hasattr(leaf, "to") else leaf

    return pytree.tree_map(place, batch)


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the memory behind the tensors, shared memory counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def default_budget(device: torch.device) -> int:
    """Half of the memory that is free on `device`, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] // 2)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, AttributeError, OSError):
        return 2**32  # 4 GiB where the system does not say
