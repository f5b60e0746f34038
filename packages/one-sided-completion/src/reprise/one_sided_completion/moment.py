"""The second moment of a matrix from a few entries per row, by self-normalisation (Zhang et al. 2026, Section 2).

Of an unknown M, shape (n, d), only O = I ∘ M is seen. Entry (i, j) of OᵀO sums over the rows that show both columns, a
number that differs from pair to pair. Hájek's estimator divides each sum by its own number; Horvitz and Thompson's by
the number expected. What is kept are sums, so that moments of different rows can be added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import sparse

from reprise.one_sided_completion.pairs import merge_pairs, pair_sums
from reprise.one_sided_completion.validation import as_ratings, choice, number

Array = np.ndarray[Any, Any]
Estimator = Literal["hajek", "horvitz-thompson"]

LARGE = 5_000  # above this dimension nothing is made dense unless asked


@dataclass(frozen=True, eq=False)
class SecondMoment:
    """An estimate of T = MᵀM/n on the pairs of columns that some row shows together.

    Made by `second_moment` or `second_moment_from`; moments of different rows add up with ``+``.

    Parameters
    ----------
    rows : int
        n, all rows, also those that show nothing.
    indptr : ndarray of int64, shape (d + 1,)
    indices : ndarray of int32, shape (pairs,)
        The seen pairs i ≤ j: row i of the upper triangle holds ``indices[indptr[i]:indptr[i + 1]]``, sorted.
    count, total, square : ndarray of float64, shape (pairs,)
        Number of rows that show both columns, and over them Σ o_i o_j and Σ (o_i o_j)².
    estimator : {"hajek", "horvitz-thompson"}
    p : float, optional
        Chance of an entry to be seen; Horvitz-Thompson needs it.
    """

    rows: int
    indptr: Array
    indices: Array
    count: Array
    total: Array
    square: Array
    estimator: Estimator = "hajek"
    p: float | None = None

    def __post_init__(self) -> None:
        choice("estimator", self.estimator, ("hajek", "horvitz-thompson"))
        if self.p is not None:
            number("p", self.p, maximum=1.0, open_=True)
        elif self.estimator == "horvitz-thompson":
            raise ValueError("p must be given for the Horvitz-Thompson estimator: the chance of an entry to be seen")

    @property
    def dimension(self) -> int:
        """d, the number of columns."""
        return len(self.indptr) - 1

    @property
    def pair_rows(self) -> Array:
        """The smaller column i of every seen pair, shape (pairs,)."""
        return np.repeat(np.arange(self.dimension, dtype=np.int32), np.diff(self.indptr))

    @property
    def pair_values(self) -> Array:
        """The estimate on every seen pair i ≤ j, shape (pairs,)."""
        return self.total / self._expected_count()

    @property
    def values(self) -> sparse.csr_array:
        """The estimate, symmetric, shape (d, d); stored entries are seen, also those that are zero."""
        return self.symmetric(self.pair_values)

    @property
    def counts(self) -> sparse.csr_array:
        """Number of rows that show both columns, symmetric, shape (d, d)."""
        return self.symmetric(self.count)

    @property
    def seen_fraction(self) -> float:
        """Share of all d² entries that were seen."""
        diagonal = int((self.pair_rows == self.indices).sum())
        return (2 * len(self.indices) - diagonal) / self.dimension**2

    @property
    def empty_columns(self) -> Array:
        """Columns that no row shows: nothing is known of their rows of T."""
        return np.setdiff1d(np.arange(self.dimension), self.indices[self.indices == self.pair_rows])

    def standard_error(self) -> sparse.csr_array:
        """Standard error of every seen entry, symmetric, shape (d, d).

        Returns
        -------
        csr_array
            Infinite where a Hájek estimate rests on one row, which says nothing of its spread.

        Notes
        -----
        Hájek, a ratio of sums (Taylor): Var T̂_ij ≈ Σ_k (y_k − T̂_ij)² / (N (N − 1)) over the N rows k that show both,
        y_k = o_ki o_kj. Horvitz-Thompson: Σ_k (1 − π) y_k² / (n π)², where π = p² is the chance of a pair and p that
        of a diagonal entry.
        """
        return self.symmetric(self.pair_standard_errors())

    def pair_standard_errors(self) -> Array:
        """`standard_error` of the pairs i ≤ j, shape (pairs,)."""
        if self.estimator == "horvitz-thompson":
            chance = self._expected_count() / self.rows
            return np.sqrt((1 - chance) * self.square) / self._expected_count()
        spread = np.maximum(self.square - self.total**2 / self.count, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.count > 1, np.sqrt(spread / (self.count * (self.count - 1))), np.inf)

    def to_dense(self, *, missing: float = 0.0, allow_large: bool = False) -> Array:
        """The estimate as a dense symmetric array with `missing` where nothing was seen, shape (d, d).

        Raises
        ------
        ValueError
            If d exceeds 5,000 and `allow_large` is not set.
        """
        if self.dimension > LARGE and not allow_large:
            raise ValueError(
                f"a dense moment of dimension {self.dimension} takes {8e-9 * self.dimension**2:.1f} GB: "
                f"above {LARGE} set allow_large=True"
            )
        dense = np.full((self.dimension, self.dimension), missing)
        rows = self.pair_rows
        dense[rows, self.indices] = self.pair_values
        dense[self.indices, rows] = self.pair_values
        return dense

    def with_estimator(self, estimator: Estimator, *, p: float | None = None) -> SecondMoment:
        """The same sums under another estimator."""
        return replace(self, estimator=estimator, p=p)

    def __add__(self, other: SecondMoment) -> SecondMoment:
        """The moment of the rows of both; neither is changed.

        Raises
        ------
        ValueError
            If they have different columns, estimators or p.
        """
        if not isinstance(other, SecondMoment):
            return NotImplemented
        if (self.dimension, self.estimator, self.p) != (other.dimension, other.estimator, other.p):
            raise ValueError(
                "moments must agree to be added: "
                f"got {self.dimension} columns, {self.estimator}, p = {self.p} and "
                f"{other.dimension} columns, {other.estimator}, p = {other.p}"
            )
        rows = self.rows + other.rows
        if np.array_equal(self.indptr, other.indptr) and np.array_equal(self.indices, other.indices):
            return replace(
                self,
                rows=rows,
                count=self.count + other.count,
                total=self.total + other.total,
                square=self.square + other.square,
            )
        indptr, indices, merged = merge_pairs(
            self.indptr, self.indices, self._sums(), other.indptr, other.indices, other._sums()
        )
        count, total, square = (np.ascontiguousarray(merged[:, k]) for k in range(3))
        return SecondMoment(rows, indptr, indices, count, total, square, self.estimator, self.p)

    def _sums(self) -> Array:
        return np.stack([self.count, self.total, self.square], axis=1)

    def _expected_count(self) -> Array:
        """What the sums are divided by."""
        if self.estimator == "hajek":
            return self.count
        assert self.p is not None
        return self.rows * np.where(self.pair_rows == self.indices, self.p, self.p**2)

    def symmetric(self, upper: Array) -> sparse.csr_array:
        """Place one number per seen pair, shape (pairs,), at (i, j) and (j, i) of a sparse array, shape (d, d)."""
        rows, columns = self.pair_rows, self.indices
        off = rows != columns
        result = sparse.csr_array(
            (
                np.concatenate([upper, upper[off]]),
                (np.concatenate([rows, columns[off]]), np.concatenate([columns, rows[off]])),
            ),
            shape=(self.dimension, self.dimension),
        )
        result.sort_indices()
        return result


def second_moment(ratings: Any, *, estimator: Estimator = "hajek", p: float | None = None) -> SecondMoment:
    """Estimate the second moment T = MᵀM/n from what is seen of M.

    Parameters
    ----------
    ratings : scipy sparse array, shape (n, d)
        Stored entries are what was seen; an explicit zero is a rating of zero, not a missing one.
    estimator : {"hajek", "horvitz-thompson"}
        Divide each sum by its own count, or by the count expected at rate `p`.
    p : float, optional
        Chance of an entry to be seen.

    Returns
    -------
    SecondMoment

    Raises
    ------
    TypeError
        If `ratings` is not sparse or not real.
    ValueError
        If it holds NaN, infinities or an entry twice, or `p` is needed and absent.

    Notes
    -----
    T̂_ij = (OᵀO)_ij / (IᵀI)_ij where the count is positive; T̄_ij = (OᵀO)_ij / (n p²), with p instead of p² on the
    diagonal. Time Σ_rows C_row², memory of the seen pairs.

    References
    ----------
    Zhang, Zhang, Nguyen and Lan (2026), Section 2. Hájek (1971). Horvitz and Thompson (1952).

    Examples
    --------
    >>> from scipy import sparse
    >>> ratings = sparse.csr_array(([2.0, 3.0, 4.0, 1.0], ([0, 0, 1, 2], [0, 1, 0, 1])), shape=(3, 2))
    >>> second_moment(ratings).to_dense()
    array([[10.,  6.],
           [ 6.,  5.]])
    """
    ratings = as_ratings(ratings)
    return SecondMoment(ratings.shape[0], *pair_sums(ratings), estimator, p)


def second_moment_from(
    blocks: Iterable[Any], *, estimator: Estimator = "hajek", p: float | None = None
) -> SecondMoment:
    """Estimate the second moment from blocks of rows, each of which is dropped before the next is read.

    Parameters
    ----------
    blocks : iterable of scipy sparse arrays, each of shape (rows of the block, d)
        No row may be split over two blocks.
    estimator, p
        As in `second_moment`.

    Returns
    -------
    SecondMoment
        To rounding the same as `second_moment` of all rows at once.

    Raises
    ------
    ValueError
        If there is no block, or one has another number of columns.

    Examples
    --------
    >>> from scipy import sparse
    >>> ratings = sparse.random_array((100, 5), density=0.4, rng=0, format="csr")
    >>> whole, streamed = second_moment(ratings), second_moment_from([ratings[:60], ratings[60:]])
    >>> bool(abs(whole.to_dense() - streamed.to_dense()).max() < 1e-12)
    True
    """
    result: SecondMoment | None = None
    for block in blocks:
        moment = second_moment(block, estimator=estimator, p=p)
        result = moment if result is None else result + moment
    if result is None:
        raise ValueError("blocks must hold at least one block of rows, got none")
    return result
