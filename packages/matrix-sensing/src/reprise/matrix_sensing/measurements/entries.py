"""Measurements of single entries: completion of a symmetric positive semidefinite matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.validation import positive_integer


class EntryMeasurements(Measurements):
    """Measurements X[row_i, column_i], times an optional weight.

    Parameters
    ----------
    rows, columns : array of int, shape (m,)
    dimension : int
        d.
    weight : float
        Factor on every measurement. Observing a uniformly random entry with weight d makes
        E⟨A, X⟩² = ‖X‖_F², as for Gaussian measurements; targets must then be multiplied likewise.
    dtype : torch.dtype

    Notes
    -----
    A step on a factor of k columns costs O(m k): only the observed entries of U Uᵀ are computed.
    """

    def __init__(
        self, rows: Any, columns: Any, dimension: int, *, weight: float = 1.0, dtype: torch.dtype = torch.float64
    ) -> None:
        self.dimension = positive_integer("dimension", dimension)
        self.rows, self.columns = torch.as_tensor(rows), torch.as_tensor(columns)
        for name, index in (("rows", self.rows), ("columns", self.columns)):
            if index.is_floating_point() or index.ndim != 1 or len(index) == 0:
                raise ValueError(f"{name} must be a one-dimensional array of integers, got {tuple(index.shape)}")
            if int(index.min()) < 0 or int(index.max()) >= dimension:
                raise ValueError(
                    f"{name} must lie between 0 and dimension - 1 ({dimension - 1}), "
                    f"got {int(index.min())} to {int(index.max())}"
                )
        if len(self.rows) != len(self.columns):
            raise ValueError(f"rows and columns must have one length, got {len(self.rows)} and {len(self.columns)}")
        self.count = len(self.rows)
        self.weight = weight
        self.dtype = dtype
        self.device = self.rows.device

    def apply(self, matrix: Tensor) -> Tensor:
        return self.weight * matrix[..., self.rows, self.columns]

    def forward(self, factor: Tensor) -> Tensor:
        return self.weight * (factor[..., self.rows, :] * factor[..., self.columns, :]).sum(-1)

    def adjoint(self, weights: Tensor) -> Tensor:
        flat = weights.new_zeros((*weights.shape[:-1], self.dimension**2))
        flat = flat.index_add(-1, self.rows * self.dimension + self.columns, self.weight * weights)
        full = flat.reshape(*weights.shape[:-1], self.dimension, self.dimension)
        return (full + full.mT) / 2

    def pullback(self, factor: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        left, right = factor[..., self.rows, :], factor[..., self.columns, :]
        predictions = self.weight * (left * right).sum(-1)
        weights = (self.weight / 2 * weigh(predictions)).unsqueeze(-1)
        product = torch.zeros_like(factor)
        product = product.index_add(-2, self.rows, weights * right).index_add(-2, self.columns, weights * left)
        return predictions, product

    def select(self, rows: Tensor) -> EntryMeasurements:
        return self._like(self.rows[rows], self.columns[rows], self.dtype)

    def square_sum(self) -> Tensor:
        # ((E_ij + E_ji)/2)² is (E_ii + E_jj)/4 off the diagonal and E_ii on it.
        share = torch.where(self.rows == self.columns, 0.5, 0.25).to(self.dtype) * self.weight**2
        diagonal = torch.zeros(self.dimension, dtype=self.dtype, device=self.device)
        return torch.diag(diagonal.index_add(0, self.rows, share).index_add(0, self.columns, share))

    def matrices(self) -> Tensor:
        full = torch.zeros((self.count, self.dimension, self.dimension), dtype=self.dtype, device=self.device)
        full[torch.arange(self.count, device=self.device), self.rows, self.columns] = self.weight
        return (full + full.mT) / 2

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> EntryMeasurements:
        return self._like(self.rows.to(device), self.columns.to(device), dtype or self.dtype)

    def _like(self, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> EntryMeasurements:
        return EntryMeasurements(rows, columns, self.dimension, weight=self.weight, dtype=dtype)
