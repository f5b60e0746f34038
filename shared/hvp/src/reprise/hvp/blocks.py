"""Products with a block of vectors: one after the other, or at once by vmap, whichever is faster here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .settings import Block

CPU_CHUNK = 8  # on a CPU the intermediate values of more vectors at once leave the caches


@dataclass(frozen=True)
class Prepared:
    """The product of one batch with a vector, ready to apply; `size` is what keeping it costs in bytes."""

    apply: Callable[[Tensor], Tensor]
    size: int = 0
    vectorised: bool = True


@dataclass
class BlockProduct:
    """Multiplies blocks by loop or vmap; "auto" is settled by timing both on the first block.

    On a CPU, convolutions are up to several times slower under vmap; small models on a GPU gain most from it.
    """

    choice: Block
    chunk_size: int | None

    def __call__(self, prepared: Prepared, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        if len(rows) == 1 or not prepared.vectorised:
            return loop(prepared, rows)
        if self.choice == "auto":
            self.choice = self._faster(prepared, rows)
        return self._vmap(prepared, rows) if self.choice == "vmap" else loop(prepared, rows)

    def _vmap(self, prepared: Prepared, rows: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*batching rule.*")
            return torch.vmap(prepared.apply, chunk_size=self.chunk_size)(rows)

    def _faster(self, prepared: Prepared, rows: Tensor) -> Block:
        """The way that takes less per vector, by the faster of two runs: two vectors in a loop against a chunk."""
        if self.chunk_size is None and rows.device.type == "cpu":
            self.chunk_size = CPU_CHUNK
        chunk = rows[: self.chunk_size]
        prepared.apply(rows[0])
        looped = min(elapsed(lambda: loop(prepared, rows[:2]), rows.device) for _ in range(2)) / 2
        try:
            vectorised = min(elapsed(lambda: self._vmap(prepared, chunk), rows.device) for _ in range(2)) / len(chunk)
        except (RuntimeError, NotImplementedError):
            return "loop"
        return "vmap" if vectorised < looped else "loop"


def loop(prepared: Prepared, rows: Tensor) -> Tensor:
    """Products with the rows of a block one after the other, (K, P) to (K, P)."""
    return torch.stack([prepared.apply(row) for row in rows])


def elapsed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes on a device."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    function()
    return now() - start
