"""How far a factor is from the seen entries of a second moment, with its gradient: on pairs, and dense.

    f(X) = 1/(2m) Σ_(i,j) w_ij ((X Xᵀ)_ij − T̂_ij)²,   m = Σ w_ij,   ∇f = (2/m) (W ∘ (X Xᵀ − T̂)) X

where the sums run over both (i, j) and (j, i), so that the authors' step sizes hold here. Both forms work on the upper
half alone and make value and gradient in one pass.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

TILE = 128  # rows of the dense form at a time: a tile of residuals stays in the cache


class Objective(Protocol):
    """A value and a gradient; factors are arrays of the library that the objective computes with."""

    def start(self, factor: Array) -> Any:
        """Bring a factor, shape (d, r), to where and in which precision the objective computes."""

    def value_and_gradient(self, factor: Any) -> tuple[float, Any]:
        """Return the misfit f and its gradient, shape (d, r)."""

    def finish(self, factor: Any) -> Array:
        """Bring a factor back."""


class PairObjective:
    """The objective on seen pairs: time O(pairs · r), memory O(pairs).

    Parameters
    ----------
    indptr, indices : ndarray
        Upper triangle of the pairs i ≤ j, as in `SecondMoment`.
    targets, weights : ndarray, shape (pairs,)
        T̂_ij and w_ij.
    """

    def __init__(self, indptr: Array, indices: Array, targets: Array, weights: Array) -> None:
        self.indptr, self.indices = indptr, indices
        self.targets, self.weights = targets, weights
        self.mass = total_weight(indptr, indices, weights)

    def start(self, factor: Array) -> Array:
        """Return the factor in double precision, rows contiguous."""
        return np.ascontiguousarray(factor, dtype=np.float64)

    def value_and_gradient(self, factor: Array) -> tuple[float, Array]:
        """Return f and its gradient."""
        misfit, gradient = _pairs(self.indptr, self.indices, self.targets, self.weights, factor)
        return misfit / (2 * self.mass), gradient * (2 / self.mass)

    def finish(self, factor: Array) -> Array:
        """Return the factor as it is."""
        return factor


class DenseObjective:
    """The objective on full arrays: faster than on pairs where most entries are seen; memory O(d²).

    Parameters
    ----------
    indptr, indices, targets, weights : ndarray
        As for `PairObjective`.
    dtype : dtype
        Of the arrays and of the descent.
    """

    def __init__(self, indptr: Array, indices: Array, targets: Array, weights: Array, dtype: Any = np.float64) -> None:
        self.targets, self.weights = upper_arrays(indptr, indices, targets, weights, dtype)
        self.mass = total_weight(indptr, indices, weights)

    def start(self, factor: Array) -> Array:
        """Return the factor in the precision of the objective."""
        return np.ascontiguousarray(factor, dtype=self.targets.dtype)

    def value_and_gradient(self, factor: Array) -> tuple[float, Array]:
        """Return f and its gradient."""
        dimension = len(factor)
        gradient = np.zeros_like(factor)
        misfit = 0.0
        for start in range(0, dimension, TILE):
            stop = min(start + TILE, dimension)
            rows, rest = factor[start:stop], factor[start:]
            residual = rows @ rest.T
            misfit += _weigh(residual, self.targets[start:stop, start:], self.weights[start:stop, start:])
            gradient[start:stop] += residual @ rest
            gradient[start:] += residual.T @ rows
        return misfit / (2 * self.mass), gradient * (2 / self.mass)

    def finish(self, factor: Array) -> Array:
        """Return the factor as it is."""
        return factor


def total_weight(indptr: Array, indices: Array, weights: Array) -> float:
    """m: the weights of both (i, j) and (j, i), and once of the diagonal."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return float(2 * weights.sum() - weights[rows == indices].sum())


def upper_arrays(indptr: Array, indices: Array, targets: Array, weights: Array, dtype: Any) -> tuple[Array, Array]:
    """Targets and weights as dense upper triangles; the diagonal has half of its weight, as it has no mirror image."""
    dimension = len(indptr) - 1
    rows = np.repeat(np.arange(dimension), np.diff(indptr))
    dense_targets, dense_weights = np.zeros((2, dimension, dimension), dtype=dtype)
    dense_targets[rows, indices] = targets
    dense_weights[rows, indices] = np.where(rows == indices, weights / 2, weights)
    return dense_targets, dense_weights


@njit(cache=True, fastmath=True)
def _pairs(indptr, indices, targets, weights, factor):  # type: ignore[no-untyped-def]
    dimension, rank = factor.shape
    gradient = np.zeros((dimension, rank))
    own = np.empty(rank)
    misfit = 0.0
    for i in range(dimension):
        own[:] = 0.0
        for place in range(indptr[i], indptr[i + 1]):
            j = indices[place]
            product = 0.0
            for k in range(rank):
                product += factor[i, k] * factor[j, k]
            residual = product - targets[place]
            pull = weights[place] * residual
            if i == j:
                misfit += pull * residual
                for k in range(rank):
                    own[k] += pull * factor[i, k]
            else:
                misfit += 2 * pull * residual
                for k in range(rank):
                    own[k] += pull * factor[j, k]
                    gradient[j, k] += pull * factor[i, k]
        for k in range(rank):
            gradient[i, k] += own[k]
    return misfit, gradient


@njit(cache=True, fastmath=True)
def _weigh(residual, targets, weights):  # type: ignore[no-untyped-def]
    """Turn products of a tile into weighted residuals, in place, and return their part of 2 m f."""
    misfit = 0.0
    for i in range(residual.shape[0]):
        for j in range(residual.shape[1]):
            difference = residual[i, j] - targets[i, j]
            pull = weights[i, j] * difference
            misfit += pull * difference
            residual[i, j] = pull
    return 2 * misfit
