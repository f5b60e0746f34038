"""Measurement matrices with few nonzero entries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.validation import finite_tensor, positive_integer


class SparseMeasurements(Measurements):
    """m sparse measurement matrices in coordinate form.

    Parameters
    ----------
    index : array of int, shape (nonzeros,)
        Which measurement (0 … m-1) the entry belongs to.
    rows, columns : array of int, shape (nonzeros,)
        Where in A_index the entry lies.
    values : array, shape (nonzeros,)
    count, dimension : int
        m and d.

    Notes
    -----
    `apply` and `adjoint` cost O(nonzeros). `from_scipy` takes a scipy sparse array of shape (m, d²) whose i-th row is
    A_i, row by row.
    """

    def __init__(self, index: Any, rows: Any, columns: Any, values: Any, *, count: int, dimension: int) -> None:
        self.count = positive_integer("count", count)
        self.dimension = positive_integer("dimension", dimension)
        self.values = finite_tensor("values", values)
        self.dtype, self.device = self.values.dtype, self.values.device
        self.index, self.rows, self.columns = (
            torch.as_tensor(indices, dtype=torch.long, device=self.device) for indices in (index, rows, columns)
        )
        limits = (("index", self.index, count), ("rows", self.rows, dimension), ("columns", self.columns, dimension))
        for name, indices, limit in limits:
            if indices.shape != self.values.shape:
                raise ValueError(f"{name} must be as long as values ({len(self.values)}), got {tuple(indices.shape)}")
            if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < limit:
                raise ValueError(
                    f"{name} must lie between 0 and {limit - 1}, got {int(indices.min())} to {int(indices.max())}"
                )

    @classmethod
    def from_scipy(cls, matrix: Any) -> SparseMeasurements:
        """Operator of a scipy sparse array of shape (m, d²), row i holding A_i row by row."""
        entries = matrix.tocoo()
        dimension = round(entries.shape[1] ** 0.5)
        if dimension**2 != entries.shape[1]:
            raise ValueError(f"A must have d² columns when it is sparse, got shape {tuple(entries.shape)}")
        rows, columns = entries.col // dimension, entries.col % dimension
        return cls(entries.row, rows, columns, entries.data, count=entries.shape[0], dimension=dimension)

    def apply(self, matrix: Tensor) -> Tensor:
        products = self.values * (matrix[..., self.rows, self.columns] + matrix[..., self.columns, self.rows]) / 2
        return products.new_zeros((*products.shape[:-1], self.count)).index_add(-1, self.index, products)

    def adjoint(self, weights: Tensor) -> Tensor:
        flat = weights.new_zeros((*weights.shape[:-1], self.dimension**2))
        flat = flat.index_add(-1, self.rows * self.dimension + self.columns, weights[..., self.index] * self.values)
        full = flat.reshape(*weights.shape[:-1], self.dimension, self.dimension)
        return (full + full.mT) / 2

    def select(self, rows: Tensor) -> SparseMeasurements:
        position = torch.full((self.count,), -1, dtype=torch.long, device=self.device)
        position[rows] = torch.arange(len(rows), device=self.device)
        new = position[self.index]
        keep = new >= 0
        return SparseMeasurements(
            new[keep], self.rows[keep], self.columns[keep], self.values[keep], count=len(rows), dimension=self.dimension
        )

    def square_sum(self) -> Tensor:
        total = torch.zeros((self.dimension, self.dimension), dtype=self.dtype, device=self.device)
        for rows in torch.split(torch.arange(self.count, device=self.device), max(1, (1 << 22) // self.dimension**2)):
            symmetric = self.select(rows).matrices()
            total = total + (symmetric @ symmetric).sum(0)
        return total

    def matrices(self) -> Tensor:
        full = torch.zeros((self.count, self.dimension, self.dimension), dtype=self.dtype, device=self.device)
        full.index_put_((self.index, self.rows, self.columns), self.values, accumulate=True)
        return (full + full.mT) / 2

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SparseMeasurements:
        values = self.values.to(device=device, dtype=dtype)
        return SparseMeasurements(
            self.index, self.rows, self.columns, values, count=self.count, dimension=self.dimension
        )
