"""Measurements xᵀ X x: those of a network with quadratic activations, and of phase retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.validation import finite_tensor


class RankOneMeasurements(Measurements):
    """Measurements by A_i = x_i x_iᵀ; the matrices are never formed.

    Parameters
    ----------
    vectors : array, shape (m, d) or (batch, m, d)
        The x_i.

    Notes
    -----
    A step on a factor of k columns costs two products of m × d with d × k and memory m·(d + k).

    Examples
    --------
    >>> import torch
    >>> measurements = RankOneMeasurements(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
    >>> measurements.forward(torch.eye(2))
    tensor([5., 9.])
    """

    def __init__(self, vectors: Any) -> None:
        self.vectors = finite_tensor("vectors", vectors)
        if self.vectors.ndim not in (2, 3) or 0 in self.vectors.shape:
            raise ValueError(f"vectors must have shape (m, d), got {tuple(self.vectors.shape)}")
        self.count, self.dimension = self.vectors.shape[-2:]
        self.dtype = self.vectors.dtype
        self.device = self.vectors.device

    def apply(self, matrix: Tensor) -> Tensor:
        return ((self.vectors @ matrix) * self.vectors).sum(-1)

    def forward(self, factor: Tensor) -> Tensor:
        return (factor.mT @ self.vectors.mT).square().sum(-2)

    def adjoint(self, weights: Tensor) -> Tensor:
        return self.vectors.mT @ (weights.unsqueeze(-1) * self.vectors)

    def pullback(self, factor: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        # Units before examples: BLAS is several times faster at wide products than at tall ones.
        outputs = factor.mT @ self.vectors.mT  # hidden units before the square, (..., k, m)
        predictions = outputs.square().sum(-2)
        return predictions, ((weigh(predictions).unsqueeze(-2) * outputs) @ self.vectors).mT

    def traces(self) -> Tensor:
        return self.vectors.square().sum(-1)

    def select(self, rows: Tensor) -> RankOneMeasurements:
        return RankOneMeasurements(self.vectors.index_select(-2, rows))

    def square_sum(self) -> Tensor:
        return self.adjoint(self.traces())

    def matrices(self) -> Tensor:
        return self.vectors.unsqueeze(-1) * self.vectors.unsqueeze(-2)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> RankOneMeasurements:
        return RankOneMeasurements(self.vectors.to(device=device, dtype=dtype))

    @classmethod
    def stack(cls, operators: Sequence[Self]) -> RankOneMeasurements:
        return RankOneMeasurements(torch.stack([operator.vectors for operator in operators]))

    def item(self, index: int) -> RankOneMeasurements:
        return RankOneMeasurements(self.vectors[index])
