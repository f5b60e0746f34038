"""The objective of the imputation with torch, on a CPU or a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprise.one_sided_completion.objective import total_weight, upper_arrays

Array = np.ndarray[Any, Any]


class TorchObjective:
    """f and its gradient on seen pairs or on full arrays; see `reprise.one_sided_completion.objective`.

    Parameters
    ----------
    indptr, indices, targets, weights : ndarray
        As for `PairObjective`.
    form : {"pairs", "dense"}
    device : str
    dtype : torch.dtype
    """

    def __init__(
        self,
        indptr: Array,
        indices: Array,
        targets: Array,
        weights: Array,
        *,
        form: str,
        device: str,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.form, self.device, self.dtype = form, torch.device(device), dtype
        self.mass = total_weight(indptr, indices, weights)
        if form == "dense":
            upper = upper_arrays(indptr, indices, targets, weights, np.float64)
            self.targets, self.weights = (self._tensor(each + each.T) for each in self._mirrored(*upper))
            return
        rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        self.rows = torch.as_tensor(rows, device=self.device)
        self.columns = torch.as_tensor(indices.astype(np.int64), device=self.device)
        self.targets = self._tensor(targets)
        # Twice the weight off the diagonal, for the mirror image; the gradient adds to both rows.
        self.weights = self._tensor(np.where(rows == indices, weights, 2 * weights))

    def start(self, factor: Array) -> Tensor:
        """Return the factor as a tensor on the device."""
        return self._tensor(factor)

    def value_and_gradient(self, factor: Tensor) -> tuple[float, Tensor]:
        """Return f and its gradient."""
        if self.form == "dense":
            residual = factor @ factor.mT - self.targets
            pull = self.weights * residual
            return float((pull * residual).sum()) / (2 * self.mass), pull @ factor * (2 / self.mass)
        first, second = factor[self.rows], factor[self.columns]
        residual = (first * second).sum(1) - self.targets
        pull = self.weights * residual
        gradient = torch.zeros_like(factor)
        gradient.index_add_(0, self.rows, pull[:, None] * second)
        gradient.index_add_(0, self.columns, pull[:, None] * first)
        return float((pull * residual).sum()) / (2 * self.mass), gradient / self.mass

    def finish(self, factor: Tensor) -> Array:
        """Return the factor as an array."""
        return factor.cpu().numpy()

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    @staticmethod
    def _mirrored(targets: Array, weights: Array) -> tuple[Array, Array]:
        # The upper triangle holds the diagonal once; half of it survives being added to its transpose.
        np.fill_diagonal(targets, targets.diagonal() / 2)
        return targets, weights
