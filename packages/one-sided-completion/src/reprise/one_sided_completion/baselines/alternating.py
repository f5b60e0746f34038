"""Matrix completion of M itself by alternating gradient descent on two factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.one_sided_completion.recovery import row_gradient
from reprise.one_sided_completion.validation import as_ratings, integer, number

Array = np.ndarray[Any, Any]

GROWTH = 1.2
HALVINGS = 40


def alternating_descent(
    ratings: Any, rank: int = 10, *, max_iter: int = 1000, tol: float = 1e-7, seed: int = 0
) -> tuple[Array, Array]:
    """Complete M to U Vᵀ, a gradient step on U and one on V in turn.

    Parameters
    ----------
    ratings : scipy sparse array, shape (n, d)
    rank : int
    max_iter : int
        Pairs of steps.
    tol : float
        Stop when the misfit changes by less than this share of itself, after ten pairs of steps.
    seed : int
        Of the Gaussian start, on the scale of the entries seen.

    Returns
    -------
    U : ndarray, shape (n, rank)
    V : ndarray, shape (d, rank)

    Raises
    ------
    ValueError
        If the rank exceeds d.

    Notes
    -----
    Minimises Σ_seen ((U Vᵀ)_ki − M_ki)². Each step is halved until the misfit falls, and grows by a fifth after that.
    Where rows show fewer than `rank` entries, every one of them can be fitted, and what was not seen stays as it began.
    """
    ratings = as_ratings(ratings)
    integer("rank", rank, maximum=ratings.shape[1], limit="the number of columns")
    integer("max_iter", max_iter)
    number("tol", tol)
    by_column = ratings.T.tocsr()
    by_column.sort_indices()
    generator = np.random.default_rng(seed)
    size = np.sqrt(np.sqrt(np.square(ratings.data).mean() / rank))
    factors = [size * generator.standard_normal((length, rank)) for length in ratings.shape]
    steps = [1.0 / max(ratings.nnz * size**2 / length, np.finfo(float).tiny) for length in ratings.shape]
    before = np.inf
    for taken in range(max_iter):
        for side, seen in ((0, ratings), (1, by_column)):
            misfit = _step(factors, steps, side, seen)
        if taken > 10 and abs(before - misfit) <= tol * before:
            break
        before = misfit
    return factors[0], factors[1]


def _step(factors: list[Array], steps: list[float], side: int, seen: Any) -> float:
    """Move one of the two factors downhill, in place of its list; return the misfit."""
    other = factors[1 - side]
    parts = (other, seen.indptr, seen.indices, seen.data)
    misfit, gradient = row_gradient(*parts, factors[side])
    for _ in range(HALVINGS):
        trial = factors[side] - steps[side] * gradient
        found = row_gradient(*parts, trial)[0]
        if found < misfit:
            factors[side] = trial
            steps[side] *= GROWTH
            return float(found)
        steps[side] /= 2
    return float(misfit)
