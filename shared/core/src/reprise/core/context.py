"""What a cell is given: seeds, a device, prepared things, progress, data. Nothing of it depends on order or workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from .data import DataSet
    from .paper import Cell


def canonical(value: Any, *, sort_keys: bool = True) -> str:
    """Return JSON in one fixed form: sorted keys, no spaces, numpy scalars as numbers."""
    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), default=_plain, allow_nan=True)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"expected JSON values, got {type(value).__name__}: {value!r}")


def no_progress(done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Context:
    """The surroundings of one cell.

    Parameters
    ----------
    experiment : str
        ``paper/experiment``; part of every seed.
    cell : mapping
        The cell; part of `seed` and `generator`.
    base_seed : int
        The seed of the run, ``--seed``.
    device : str
        ``cpu`` or ``cuda``.
    prepared : object
        What the experiment's ``prepare`` returned.
    progress : callable
        ``progress(done, total)`` within the cell.
    """

    experiment: str
    cell: Cell
    base_seed: int = 0
    device: str = "cpu"
    prepared: Any = None
    progress: Callable[[int, int], None] = field(default=no_progress, compare=False)

    @property
    def seed(self) -> int:
        """An integer seed of this cell, below 2**32."""
        return self._state("cell", self.cell)

    @cached_property
    def generator(self) -> np.random.Generator:
        """A numpy generator of this cell."""
        import numpy as np

        return np.random.default_rng(self._sequence("generator", self.cell))

    def shared_seed(self, *labels: Any) -> int:
        """Return a seed below 2**32 that all cells with the same labels share.

        ``context.shared_seed("problem", cell["trial"])`` gives every method of a comparison the same problem.
        """
        return self._state("shared", labels)

    def data(self, data_set: DataSet) -> Path:
        """Return the folder of a data set.

        Raises
        ------
        MissingData
            If it is not on this machine.
        """
        return data_set.find()

    def _sequence(self, kind: str, key: Any) -> np.random.SeedSequence:
        import numpy as np

        digest = hashlib.sha256(canonical([self.experiment, kind, key]).encode()).digest()
        words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
        return np.random.SeedSequence([self.base_seed, *words])

    def _state(self, kind: str, key: Any) -> int:
        return int(self._sequence(kind, key).generate_state(1)[0])
