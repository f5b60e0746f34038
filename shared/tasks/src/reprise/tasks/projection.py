"""Random projections of long gradients, made block by block and never held whole.

A projection P of shape (p, d) with independent entries of mean 0 and variance 1/d keeps inner products: E⟨Pᵀa, Pᵀb⟩ =
⟨a, b⟩, with error of order ‖a‖‖b‖/√d (Johnson and Lindenstrauss 1984; signs: Achlioptas 2003). At p = 2 million and
d = 400 the dense matrix is 3 GB, so its rows come from a counter-based generator whenever they are needed: row i
depends on the seed and i alone, is the same on every device and for every block size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from reprise.tasks import _checks
from reprise.tasks.philox import philox

_BLOCK_ENTRIES = 1 << 21  # entries of P alive at once: 8 MiB in float32, which stays in a large cache


@dataclass(frozen=True)
class RandomProjection:
    """A random matrix P of shape (rows, dim) with entries of mean 0 and variance 1/dim.

    Parameters
    ----------
    rows : int
        Length p of the vectors to project.
    dim : int
        Length d of their projections.
    seed : int
        0 <= seed < 2^64.
    kind : {"rademacher", "gaussian"}
        Entries ±1/√d, or N(0, 1/d). The Gaussian is read from a table of its quantiles at 65,536 equally probable
        levels (within ±4.3 standard deviations), scaled to variance 1/d: table and index are the same on every device,
        where a logarithm or cosine would differ in its last digit.

    Notes
    -----
    `project` takes O(N p d) time, the products with P, plus O(p d) to make P; memory beyond input and output is
    some 8 MiB of P at a time.

    Examples
    --------
    >>> projection = RandomProjection(rows=100_000, dim=400, seed=0)
    >>> vector = torch.ones(100_000) / 100_000**0.5
    >>> bool((projection.project(vector).norm() - 1).abs() < 0.2)
    True
    """

    rows: int
    dim: int
    seed: int = 0
    kind: str = "rademacher"

    def __post_init__(self) -> None:
        """Refuse sizes and seeds out of range."""
        _checks.integer("rows", self.rows)
        _checks.integer("dim", self.dim)
        _checks.integer("seed", self.seed, minimum=0, maximum=2**64 - 1)
        _checks.choice("kind", self.kind, ("rademacher", "gaussian"))

    def block(self, start: int, stop: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
        """Rows start <= i < stop of P, shape (stop - start, dim)."""
        row = torch.arange(start, stop, dtype=torch.int64, device=device).unsqueeze(1)
        per_row = 128 if self.kind == "rademacher" else 8  # entries that one counter's 128 bits give
        column = torch.arange(-(-self.dim // per_row), dtype=torch.int64, device=device)
        kind = torch.full_like(column, int(self.kind == "gaussian"))
        key = (self.seed & 0xFFFFFFFF, self.seed >> 32)
        words = philox((row & 0xFFFFFFFF, row >> 32, column, kind), key)
        if self.kind == "rademacher":
            shifts = torch.arange(0, 32, 8, dtype=torch.int64, device=device)
            index = (words.unsqueeze(-1) >> shifts) & 0xFF
        else:
            shifts = torch.arange(0, 32, 16, dtype=torch.int64, device=device)
            index = (words.unsqueeze(-1) >> shifts) & 0xFFFF
        return _table(self.kind, self.dim, dtype, device)[index].flatten(1)[:, : self.dim]

    def blocks(self, start: int, stop: int, *, dtype: torch.dtype, device: str) -> Iterator[tuple[int, int, Tensor]]:
        """Yield (first row, end row, rows of P) over start <= i < stop, a few MiB at a time."""
        step = max(1, _BLOCK_ENTRIES // self.dim)
        for first in range(start, stop, step):
            end = min(first + step, stop)
            yield first, end, self.block(first, end, dtype=dtype, device=device)

    def project(self, vectors: Tensor, *, start: int = 0) -> Tensor:
        """Pᵀ applied to vectors, or the part of it that comes from the rows from `start` on.

        Parameters
        ----------
        vectors : floating Tensor, shape (..., length)
            With ``start + length <= rows``; the whole vector when start is 0 and length is rows.
        start : int
            Position of the vectors' first entry, for gradients that lie in pieces: the projections of the pieces add.

        Returns
        -------
        Tensor, shape (..., dim)

        Raises
        ------
        ValueError
            If the vectors reach beyond `rows`.
        """
        length = vectors.shape[-1]
        if not vectors.is_floating_point():
            raise TypeError(f"vectors must be floating point, got {vectors.dtype}")
        if start < 0 or start + length > self.rows:
            raise ValueError(f"vectors must lie within the {self.rows} rows of P, got {start} to {start + length}")
        result = vectors.new_zeros((*vectors.shape[:-1], self.dim))
        for first, end, block in self.blocks(start, start + length, dtype=vectors.dtype, device=str(vectors.device)):
            result += vectors[..., first - start : end - start] @ block
        return result

    def lift(self, coefficients: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """P applied to coefficients: the change of the parameters that they stand for.

        Parameters
        ----------
        coefficients : floating Tensor, shape (..., dim)
            In the projected space.
        start, stop : int
            Rows wanted; all by default.

        Returns
        -------
        Tensor, shape (..., stop - start)

        Raises
        ------
        ValueError
            If the last dimension isn't `dim` or the rows are out of range.
        """
        stop = self.rows if stop is None else stop
        if coefficients.shape[-1] != self.dim:
            raise ValueError(f"coefficients must have shape (..., {self.dim}), got {tuple(coefficients.shape)}")
        if not 0 <= start <= stop <= self.rows:
            raise ValueError(f"start and stop must satisfy 0 <= start <= stop <= {self.rows}, got {start}, {stop}")
        result = coefficients.new_empty((*coefficients.shape[:-1], stop - start))
        blocks = self.blocks(start, stop, dtype=coefficients.dtype, device=str(coefficients.device))
        for first, end, block in blocks:
            result[..., first - start : end - start] = coefficients @ block.T
        return result


@lru_cache(maxsize=8)
def _table(kind: str, dim: int, dtype: torch.dtype, device: str) -> Tensor:
    """What one draw can be: the eight entries that a byte stands for, or the Gaussian entry of 16 bits."""
    if kind == "rademacher":
        values = 2.0 * ((np.arange(256)[:, None] >> np.arange(8)) & 1) - 1
    else:
        values = ndtri((np.arange(65536) + 0.5) / 65536)
        values /= np.sqrt(np.mean(values**2))
    return torch.from_numpy(values / np.sqrt(dim)).to(dtype).to(device)  # rounded on the host: equal on all devices
