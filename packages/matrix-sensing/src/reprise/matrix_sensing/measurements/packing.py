"""Symmetric matrices as vectors of their upper triangle.

Off-diagonal entries carry a factor √2, so that ⟨S, X⟩ is the plain inner product of the packed vectors: a dense
measurement costs d(d+1)/2 numbers instead of d², and half the memory traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """The isometry between symmetric d × d matrices and vectors of length d(d+1)/2."""

    dimension: int
    dtype: torch.dtype
    device: torch.device

    @property
    def size(self) -> int:
        """d(d+1)/2."""
        return self.dimension * (self.dimension + 1) // 2

    @cached_property
    def rows_columns(self) -> Tensor:
        """Row and column of each packed entry, shape (2, d(d+1)/2)."""
        return torch.triu_indices(self.dimension, self.dimension, device=self.device)

    def pack(self, matrix: Tensor) -> Tensor:
        """Packed vectors, shape (..., d(d+1)/2), of symmetric matrices of shape (..., d, d)."""
        packed: Tensor = matrix.flatten(-2).index_select(-1, self._flat) * self._weights
        return packed

    def unpack(self, vector: Tensor) -> Tensor:
        """Symmetric matrices, shape (..., d, d), of packed vectors of shape (..., d(d+1)/2)."""
        entries = (vector / self._weights).index_select(-1, self._positions)
        return entries.reshape(*vector.shape[:-1], self.dimension, self.dimension)

    @cached_property
    def _flat(self) -> Tensor:
        rows, columns = self.rows_columns
        flat: Tensor = rows * self.dimension + columns
        return flat

    @cached_property
    def _weights(self) -> Tensor:
        rows, columns = self.rows_columns
        weights = torch.full((self.size,), 2.0**0.5, dtype=self.dtype, device=self.device)
        return weights.masked_fill_(rows == columns, 1.0)

    @cached_property
    def _positions(self) -> Tensor:
        """For each entry of the full matrix, where it lies in the packed vector; shape (d²,)."""
        rows, columns = self.rows_columns
        positions = torch.empty((self.dimension, self.dimension), dtype=torch.long, device=self.device)
        order = torch.arange(self.size, device=self.device)
        positions[rows, columns] = order
        positions[columns, rows] = order
        return positions.flatten()
