"""Algorithm 2: with the span of the rows known, each row from the few entries that it shows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import njit

from reprise.one_sided_completion.validation import as_ratings, integer, matrix, number

Array = np.ndarray[Any, Any]


def recover_rows(factor: Array, ratings: Any, *, ridge: float = 1e-4) -> Array:
    """Coefficients of every row in the span of the factor, by ridge regression on the entries that the row shows.

    Parameters
    ----------
    factor : array, shape (d, r)
        X̂, from `impute` or any other basis of the row span.
    ratings : scipy sparse array, shape (n, d)
    ridge : float
        μ; positive, so that rows with fewer than r entries have one answer.

    Returns
    -------
    ndarray, shape (n, r)
        u_k = argmin ‖O_k − X̂_seen u‖² + μ ‖u‖²; zero for a row that shows nothing. Row k of M is then about X̂ u_k.

    Raises
    ------
    ValueError
        If shapes do not fit, or a number is not finite.

    Notes
    -----
    O(C r² + r³/3) per row: one Cholesky factorisation each, nothing of size n × d.

    References
    ----------
    Zhang, Zhang, Nguyen and Lan (2026), Algorithm 2.

    Examples
    --------
    >>> from reprise.one_sided_completion import observe
    >>> rows = recover_rows(np.array([[1.0], [2.0]]), observe([[3.0, 0.0]], [[True, False]]), ridge=1e-9)
    >>> round(float(rows[0, 0]), 3)
    3.0
    """
    factor = np.ascontiguousarray(matrix("factor", factor), dtype=np.float64)
    ratings = as_ratings(ratings, columns=len(factor))
    number("ridge", ridge, open_=True)
    return cast(Array, _ridge(factor, ratings.indptr, ratings.indices, ratings.data, ridge))


def recover_rows_by_descent(
    factor: Array,
    ratings: Any,
    *,
    step_size: float = 0.1,
    steps: int = 1000,
    weight_decay: float = 1e-10,
    seed: int = 0,
) -> Array:
    """Coefficients of all rows jointly, by Adam on the root of the summed squared residuals over their number.

    This is what the authors' program does; `recover_rows` solves the same problem exactly and is much faster.

    Parameters
    ----------
    factor : array, shape (d, r)
    ratings : scipy sparse array, shape (n, d)
    step_size, weight_decay : float
        Of Adam.
    steps : int
    seed : int
        Of the Gaussian start.

    Returns
    -------
    ndarray, shape (n, r)

    Raises
    ------
    ValueError
        If shapes do not fit, or an option is out of range.
    """
    factor = np.ascontiguousarray(matrix("factor", factor), dtype=np.float64)
    ratings = as_ratings(ratings, columns=len(factor))
    number("step_size", step_size, open_=True)
    integer("steps", steps)
    size = np.sqrt(np.square(ratings.data).mean()) if ratings.nnz else 0.0
    rows: Array = np.random.default_rng(seed).standard_normal((ratings.shape[0], factor.shape[1])) * np.sqrt(size)
    first, second = np.zeros_like(rows), np.zeros_like(rows)
    for step in range(1, steps + 1):
        misfit, gradient = row_gradient(factor, ratings.indptr, ratings.indices, ratings.data, rows)
        # d/dU ‖R‖_F / |Ω| = R X̂ / (‖R‖_F |Ω|)
        gradient = gradient / max(np.sqrt(misfit) * ratings.nnz, np.finfo(float).tiny) + weight_decay * rows
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient**2 - second)
        rows -= step_size * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return rows


@njit(cache=True, fastmath=True)
def _ridge(factor, indptr, indices, data, ridge):  # type: ignore[no-untyped-def]
    rank = factor.shape[1]
    result = np.zeros((len(indptr) - 1, rank))
    gram = np.empty((rank, rank))
    # The factor's rows that one row shows, turned: sums over entries then run through contiguous memory.
    turned = np.empty((rank, np.diff(indptr).max()))
    for row in range(len(indptr) - 1):
        begin, count = indptr[row], indptr[row + 1] - indptr[row]
        if count == 0:
            continue
        for entry in range(count):
            for a in range(rank):
                turned[a, entry] = factor[indices[begin + entry], a]
        values, solution = data[begin : begin + count], result[row]
        for a in range(rank):
            left = turned[a, :count]
            solution[a] = _dot(left, values)
            for b in range(a + 1):
                gram[a, b] = _dot(left, turned[b, :count])
        # Cholesky in place, then two triangular solves.
        for a in range(rank):
            gram[a, a] += ridge
            for b in range(a + 1):
                for k in range(b):
                    gram[a, b] -= gram[a, k] * gram[b, k]
                gram[a, b] = gram[a, b] / gram[b, b] if b < a else np.sqrt(gram[a, a])
        for a in range(rank):
            for k in range(a):
                solution[a] -= gram[a, k] * solution[k]
            solution[a] /= gram[a, a]
        for a in range(rank - 1, -1, -1):
            for k in range(a + 1, rank):
                solution[a] -= gram[k, a] * solution[k]
            solution[a] /= gram[a, a]
    return result


@njit(cache=True, fastmath=True)
def _dot(left, right):  # type: ignore[no-untyped-def]
    total = 0.0
    for entry in range(len(left)):
        total += left[entry] * right[entry]
    return total


@njit(cache=True, fastmath=True)
def row_gradient(factor, indptr, indices, data, rows):  # type: ignore[no-untyped-def]
    """Σ_seen ((rows factorᵀ)_ki − data)², and half of its gradient in `rows`."""
    gradient = np.zeros_like(rows)
    misfit = 0.0
    for row in range(len(indptr) - 1):
        for place in range(indptr[row], indptr[row + 1]):
            residual = -data[place]
            for k in range(rows.shape[1]):
                residual += rows[row, k] * factor[indices[place], k]
            misfit += residual * residual
            for k in range(rows.shape[1]):
                gradient[row, k] += residual * factor[indices[place], k]
    return misfit, gradient
