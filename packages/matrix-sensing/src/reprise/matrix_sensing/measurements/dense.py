"""Measurement matrices without structure, stored as packed upper triangles.

A step of gradient descent is then two matrix-vector products with one m × d(d+1)/2 array: half the memory and half the
traffic of the m × d × d array. Several factors measured by the same matrices share one pass over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.measurements.packing import Packing
from reprise.matrix_sensing.validation import finite_tensor, positive_integer

_CHUNK = 1 << 24  # numbers unpacked at a time in square_sum


class DenseMeasurements(Measurements):
    """m arbitrary measurement matrices.

    Parameters
    ----------
    packed : Tensor, shape (m, d(d+1)/2) or (batch, m, d(d+1)/2)
        Upper triangles of the symmetric parts, row by row, off-diagonal entries times √2. Use `from_matrices` to
        make them from an (m, d, d) array.
    dimension : int
        d.

    Notes
    -----
    `forward` and `adjoint` cost m·d² operations each and read the packed array once.

    Examples
    --------
    >>> import torch
    >>> A = torch.arange(8.0).reshape(2, 2, 2)
    >>> DenseMeasurements.from_matrices(A).apply(torch.eye(2))
    tensor([ 3., 11.])
    """

    def __init__(self, packed: Tensor, dimension: int) -> None:
        self.packed = packed
        self.dimension = dimension
        self.count = packed.shape[-2]
        self.dtype = packed.dtype
        self.device = packed.device
        self._packing = Packing(dimension, packed.dtype, packed.device)
        if packed.shape[-1] != self._packing.size:
            raise ValueError(
                f"packed must have {self._packing.size} columns for dimension {dimension}, got {packed.shape[-1]}"
            )

    @classmethod
    def from_matrices(cls, matrices: Any) -> DenseMeasurements:
        """Operator of the given matrices, shape (m, d, d); ValueError unless they are finite and square."""
        matrices = finite_tensor("A", matrices)
        if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or 0 in matrices.shape:
            raise ValueError(f"A must have shape (m, d, d), got {tuple(matrices.shape)}")
        packing = Packing(matrices.shape[-1], matrices.dtype, matrices.device)
        return DenseMeasurements(packing.pack((matrices + matrices.mT) / 2), matrices.shape[-1])

    def apply(self, matrix: Tensor) -> Tensor:
        vector = self._packing.pack(matrix)
        if self.packed.ndim == 2:
            return vector @ self.packed.mT
        # A row times a batch of matrices: several times faster than the same with a column on the right.
        return (vector.unsqueeze(-2) @ self.packed.mT).squeeze(-2)

    def adjoint(self, weights: Tensor) -> Tensor:
        if self.packed.ndim == 2:
            return self._packing.unpack(weights @ self.packed)
        return self._packing.unpack((weights.unsqueeze(-2) @ self.packed).squeeze(-2))

    def select(self, rows: Tensor) -> DenseMeasurements:
        return DenseMeasurements(self.packed.index_select(-2, rows), self.dimension)

    def square_sum(self) -> Tensor:
        chunk = max(1, _CHUNK // self.dimension**2)
        total = torch.zeros((self.dimension, self.dimension), dtype=self.dtype, device=self.device)
        for rows in torch.split(self.packed, chunk, dim=-2):
            side_by_side = self._packing.unpack(rows).movedim(-3, -2).flatten(-2)  # (..., d, rows·d)
            total = total + side_by_side @ side_by_side.mT
        return total

    def matrices(self) -> Tensor:
        return self._packing.unpack(self.packed)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> DenseMeasurements:
        return DenseMeasurements(self.packed.to(device=device, dtype=dtype), self.dimension)

    @classmethod
    def stack(cls, operators: Sequence[Self]) -> DenseMeasurements:
        return DenseMeasurements(torch.stack([operator.packed for operator in operators]), operators[0].dimension)

    def item(self, index: int) -> DenseMeasurements:
        return DenseMeasurements(self.packed[index], self.dimension)


class GaussianMeasurements(DenseMeasurements):
    """m random measurement matrices A = (B + Bᵀ)/2, B with independent standard normal entries.

    They satisfy the restricted isometry property with m of the order of d·r, normalised: E⟨A, X⟩² = ‖X‖_F². Their
    packed entries are independent standard normal, which is how they are drawn.

    Parameters
    ----------
    count, dimension : int
        m and d.
    generator : torch.Generator
        Source of the randomness; the matrices are drawn on its device.
    dtype : torch.dtype
    """

    def __init__(
        self, count: int, dimension: int, *, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> None:
        count = positive_integer("count", count)
        dimension = positive_integer("dimension", dimension)
        shape = (count, dimension * (dimension + 1) // 2)
        super().__init__(torch.randn(shape, generator=generator, dtype=dtype, device=generator.device), dimension)
