"""What is seen of a matrix: uniformly at rate p, or exactly C entries of every row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from reprise.one_sided_completion.validation import integer, matrix, number

Array = np.ndarray[Any, Any]


def sample(M: Any, *, p: float | None = None, per_row: int | None = None, seed: int) -> sparse.csr_array:
    """Show a random part of a matrix.

    Parameters
    ----------
    M : array, shape (n, d)
    p : float, optional
        Show each entry independently with this chance.
    per_row : int, optional
        Show exactly this number of different columns of each row.
    seed : int

    Returns
    -------
    csr_array, shape (n, d)
        Stored entries are what is seen.

    Raises
    ------
    ValueError
        Unless exactly one of `p` and `per_row` is given, and is possible.

    Examples
    --------
    >>> seen = sample(np.ones((4, 6)), per_row=2, seed=0)
    >>> seen.shape, np.diff(seen.indptr)
    ((4, 6), array([2, 2, 2, 2]))
    """
    M = matrix("M", M)
    positions = sample_positions(*M.shape, p=p, per_row=per_row, seed=seed)
    indptr, indices = positions
    rows = np.repeat(np.arange(len(M)), np.diff(indptr))
    return sparse.csr_array((M[rows, indices].astype(np.float64), indices, indptr), shape=M.shape)


def sample_positions(
    rows: int, columns: int, *, p: float | None = None, per_row: int | None = None, seed: int
) -> tuple[Array, Array]:
    """Positions that `sample` shows of a matrix of this shape, without the matrix.

    Returns
    -------
    indptr : ndarray of int64, shape (rows + 1,)
    indices : ndarray of int32
        Sorted within each row.
    """
    if (p is None) == (per_row is None):
        raise ValueError(f"exactly one of p and per_row must be given, got p = {p} and per_row = {per_row}")
    generator = np.random.default_rng(seed)
    if p is not None:
        lengths = generator.binomial(columns, number("p", p, maximum=1.0, open_=True), rows)
    else:
        lengths = np.full(rows, integer("per_row", per_row, maximum=columns, limit="the number of columns"))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return indptr, _subsets(indptr, columns, generator)


@njit(cache=True)
def _subsets(indptr, columns, generator):  # type: ignore[no-untyped-def]
    """Draw a uniform subset of the columns for each row, by a partial shuffle that is carried from row to row."""
    deck = np.arange(columns).astype(np.int32)
    indices = np.empty(indptr[-1], np.int32)
    for row in range(len(indptr) - 1):
        size = indptr[row + 1] - indptr[row]
        for place in range(size):
            drawn = generator.integers(place, columns)
            deck[place], deck[drawn] = deck[drawn], deck[place]
        indices[indptr[row] : indptr[row + 1]] = np.sort(deck[:size])
    return indices


def observe(M: Any, mask: Any) -> sparse.csr_array:
    """Keep the entries of a dense matrix where `mask` is true; zeros among them stay seen.

    Parameters
    ----------
    M : array, shape (n, d)
        Values where `mask` is false are ignored, also NaN.
    mask : array of bool, shape (n, d)

    Returns
    -------
    csr_array, shape (n, d)

    Raises
    ------
    ValueError
        If the shapes differ or a seen value is not finite.

    Examples
    --------
    >>> observe([[0.0, np.nan], [1.0, 2.0]], [[True, False], [True, True]]).nnz
    3
    """
    mask = np.asarray(mask, dtype=bool)
    values = np.asarray(M, dtype=np.float64)
    if values.shape != mask.shape or mask.ndim != 2:
        raise ValueError(f"M and mask must have the same shape (n, d), got {values.shape} and {mask.shape}")
    rows, columns = np.nonzero(mask)
    seen = values[rows, columns]
    if not np.isfinite(seen).all():
        raise ValueError(f"M must be finite where mask is true, got {int((~np.isfinite(seen)).sum())} other entries")
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return sparse.csr_array((seen, columns.astype(np.int32), indptr), shape=mask.shape)
