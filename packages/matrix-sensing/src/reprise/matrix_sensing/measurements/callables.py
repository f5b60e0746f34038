"""Measurements given as a pair of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.validation import positive_integer


class CallableMeasurements(Measurements):
    """Any linear map, as code: for operators with a fast transform.

    Parameters
    ----------
    apply : callable
        Takes a symmetric (d, d) tensor to its (m,) measurements.
    adjoint : callable
        Its transpose: takes weights (m,) to Σ w_i A_i, shape (d, d). The symmetric part is taken here.
    dimension, count : int
        d and m.
    dtype, device
        What the functions work with.

    Raises
    ------
    ValueError
        If the two functions are no transposes of one another on random input (`check=True`), or return wrong shapes.
    """

    def __init__(
        self,
        apply: Callable[[Tensor], Tensor],
        adjoint: Callable[[Tensor], Tensor],
        *,
        dimension: int,
        count: int,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        check: bool = True,
    ) -> None:
        self.dimension = positive_integer("dimension", dimension)
        self.count = positive_integer("count", count)
        self.dtype, self.device = dtype, torch.device(device)
        self._apply, self._adjoint = apply, adjoint
        if check:
            self._check_transposes()

    def _check_transposes(self) -> None:
        generator = torch.Generator().manual_seed(0)
        matrix = torch.randn((self.dimension, self.dimension), generator=generator, dtype=torch.float64)
        matrix = (matrix + matrix.mT).to(self.device, self.dtype)
        weights = torch.randn(self.count, generator=generator, dtype=torch.float64).to(self.device, self.dtype)
        measured, summed = self._apply(matrix), self._adjoint(weights)
        for name, got, expected in (("apply", measured, weights), ("adjoint", summed, matrix)):
            if got.shape != expected.shape:
                raise ValueError(f"{name} must return shape {tuple(expected.shape)}, got {tuple(got.shape)}")
        left, right = float(measured @ weights), float((summed * matrix).sum())
        if abs(left - right) > torch.finfo(self.dtype).eps ** 0.5 * float(measured.norm() * weights.norm()):
            raise ValueError(
                f"adjoint must be the transpose of apply: ⟨apply(X), w⟩ = {left:.6g}, ⟨X, adjoint(w)⟩ = {right:.6g}"
            )

    def apply(self, matrix: Tensor) -> Tensor:
        return _over_batch(self._apply, matrix, 2)

    def adjoint(self, weights: Tensor) -> Tensor:
        full = _over_batch(self._adjoint, weights, 1)
        return (full + full.mT) / 2

    def matrices(self) -> Tensor:
        return torch.stack([self.adjoint(unit) for unit in torch.eye(self.count, dtype=self.dtype, device=self.device)])

    def square_sum(self) -> Tensor:
        total = torch.zeros((self.dimension, self.dimension), dtype=self.dtype, device=self.device)
        for row in range(self.count):
            unit = torch.zeros(self.count, dtype=self.dtype, device=self.device)
            unit[row] = 1.0
            symmetric = self.adjoint(unit)
            total = total + symmetric @ symmetric
        return total

    def select(self, rows: Tensor) -> NoReturn:
        raise TypeError("CallableMeasurements cannot be split into mini-batches: use batch=None")

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> CallableMeasurements:
        if (device is None or torch.device(device) == self.device) and dtype in (None, self.dtype):
            return self
        raise TypeError("CallableMeasurements stay on the device and in the precision of their functions")


def _over_batch(function: Callable[[Tensor], Tensor], argument: Tensor, core: int) -> Tensor:
    """Apply `function` to each item of the leading dimensions before the last `core` ones."""
    if argument.ndim == core:
        return function(argument)
    return torch.stack([_over_batch(function, item, core) for item in argument])
