"""What every measurement operator can do.

The operator 𝒜 takes a symmetric matrix X to the m numbers ⟨A_i, X⟩. Gradient descent needs it in two forms only: the
measurements of U Uᵀ (`forward`) and the weighted sum Σ w_i (A_i + A_iᵀ)/2 (`adjoint`), or at once both, applied to U
(`pullback`), so that an operator with structure never forms what it does not need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor


class Measurements(ABC):
    """m linear measurements X ↦ ⟨A_i, X⟩ of a symmetric d × d matrix; only the symmetric part of A_i matters.

    Every method accepts leading batch dimensions on factors, matrices and weights. Operators that hold a batch
    themselves (`stack`) measure the b-th matrix by the b-th set of measurements.

    Attributes
    ----------
    dimension : int
        d.
    count : int
        m.
    dtype, device
        Where and in which precision the measurements live.
    """

    dimension: int
    count: int
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def apply(self, matrix: Tensor) -> Tensor:
        """Measurements ⟨A_i, X⟩, shape (..., m), of symmetric matrices X of shape (..., d, d)."""

    @abstractmethod
    def adjoint(self, weights: Tensor) -> Tensor:
        """Σ_i w_i (A_i + A_iᵀ)/2, shape (..., d, d), for weights of shape (..., m)."""

    @abstractmethod
    def select(self, rows: Tensor) -> Self:
        """The operator made of the measurements with these indices (a mini-batch)."""

    @abstractmethod
    def square_sum(self) -> Tensor:
        """Σ_i S_i² with S_i = (A_i + A_iᵀ)/2, shape (..., d, d): what the Hessian trace needs of the measurements."""

    @abstractmethod
    def matrices(self) -> Tensor:
        """The symmetric matrices (A_i + A_iᵀ)/2 themselves, shape (..., m, d, d): m·d² numbers, for small problems."""

    @abstractmethod
    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""

    def forward(self, factor: Tensor) -> Tensor:
        """Measurements ⟨A_i, U Uᵀ⟩, shape (..., m), of factors U of shape (..., d, k)."""
        return self.apply(factor @ factor.mT)

    def pullback(self, factor: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Measure U Uᵀ, weigh the outcome, and send it back onto U.

        Parameters
        ----------
        factor : Tensor, shape (..., d, k)
        weigh : callable
            Takes the predictions p, shape (..., m), to weights of that shape, such as ``lambda p: (p - y) / m``.

        Returns
        -------
        predictions : Tensor, shape (..., m)
        product : Tensor, shape (..., d, k)
            ``(Σ_i w_i (A_i + A_iᵀ)/2) U`` with w = weigh(predictions).
        """
        predictions = self.forward(factor)
        return predictions, self.adjoint(weigh(predictions)) @ factor

    def traces(self) -> Tensor:
        """tr A_i, shape (..., m)."""
        return self.apply(torch.eye(self.dimension, dtype=self.dtype, device=self.device))

    @classmethod
    def stack(cls, operators: Sequence[Self]) -> Self:
        """One operator holding a batch of operators of the same kind and size."""
        raise TypeError(f"{cls.__name__} cannot be stacked into a batch: run such problems one at a time")

    def item(self, index: int) -> Measurements:
        """The operator at this place of a batch; one that holds no batch is its every item."""
        return self
