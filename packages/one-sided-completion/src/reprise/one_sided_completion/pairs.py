"""Sums over all pairs of entries that one row shows: the hot loops behind the second moment.

A set of pairs i ≤ j is kept as the upper triangle of a compressed sparse matrix with sorted columns: `indptr` of length
d + 1 and `indices`. Everything here costs Σ_rows C_row (C_row + 1)/2 multiply-adds, half of the product OᵀO.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import njit
from scipy import sparse

Array = np.ndarray[Any, Any]
PairSums = tuple[Array, Array, Array, Array, Array]

# Rows are added in order to full triangles of at most 72 MB when there are few entries per row: short rows of the
# other way, column by column, would be fetched from memory one by one. Measured on rows of 2 to 100 entries.
DENSE_DIMENSION = 2450
DENSE_ROW = 32
LARGE = 20_000_000  # pairs above which they are counted first, rather than given room for the most there can be


def pair_sums(ratings: sparse.csr_array) -> PairSums:
    """Pairs that at least one row shows, and their sums.

    Parameters
    ----------
    ratings : csr_array, shape (n, d)
        Columns sorted within each row, without duplicates; explicit zeros count as seen.

    Returns
    -------
    indptr : ndarray of int64, shape (d + 1,)
    indices : ndarray of int32, shape (pairs,)
        Upper triangle of the pairs i ≤ j that were seen.
    count, total, square : ndarray of float64, shape (pairs,)
        Number of rows that show both, Σ o_i o_j and Σ (o_i o_j)² over them.
    """
    dimension = ratings.shape[1]
    indptr, indices, data = ratings.indptr, ratings.indices, ratings.data.astype(np.float64, copy=False)
    work = _work(indptr)
    if dimension <= DENSE_DIMENSION and dimension**2 / 50 < work < DENSE_ROW * len(data):
        sums = _add_rows(indptr, indices, data, dimension)
        return cast(PairSums, _compress(sums, dimension))
    # Where row k of the compressed columns keeps its entry: j then runs over the rest of that row alone.
    position = sparse.csr_array((np.arange(len(data)), indices, indptr), shape=ratings.shape).tocsc()
    columns = position.indptr, position.indices, position.data
    most = int(min(work, dimension * (dimension + 1) / 2))
    if most > LARGE:
        most = _count_pairs(*columns, indptr, indices, dimension)
    return cast(PairSums, _sum_pairs(*columns, indptr, indices, data, most, dimension))


def _work(indptr: Array) -> float:
    lengths = np.diff(indptr).astype(np.float64)
    return float((lengths * (lengths + 1)).sum() / 2)


@njit(cache=True)
def _add_rows(indptr, indices, data, dimension):  # type: ignore[no-untyped-def]
    # The three sums of a pair lie side by side: one cache line per pair instead of three.
    sums = np.zeros((dimension * (dimension + 1) // 2, 3))
    for row in range(len(indptr) - 1):
        for first in range(indptr[row], indptr[row + 1]):
            i, value = indices[first], data[first]
            start = i * dimension - i * (i - 1) // 2 - i
            for second in range(first, indptr[row + 1]):
                product = value * data[second]
                place = start + indices[second]
                sums[place, 0] += 1.0
                sums[place, 1] += product
                sums[place, 2] += product * product
    return sums


@njit(cache=True)
def _compress(sums, dimension):  # type: ignore[no-untyped-def]
    pairs = 0
    for place in range(len(sums)):
        pairs += sums[place, 0] > 0
    indptr = np.zeros(dimension + 1, np.int64)
    indices = np.empty(pairs, np.int32)
    count, total, square = np.empty(pairs), np.empty(pairs), np.empty(pairs)
    place, filled = 0, 0
    for i in range(dimension):
        for j in range(i, dimension):
            if sums[place, 0] > 0:
                indices[filled] = j
                count[filled], total[filled], square[filled] = sums[place, 0], sums[place, 1], sums[place, 2]
                filled += 1
            place += 1
        indptr[i + 1] = filled
    return indptr, indices, count, total, square


@njit(cache=True)
def _count_pairs(column_ptr, rows, position, indptr, indices, dimension):  # type: ignore[no-untyped-def]
    pairs = 0
    marked = np.full(dimension, -1, np.int64)
    for i in range(dimension):
        for entry in range(column_ptr[i], column_ptr[i + 1]):
            for second in range(position[entry], indptr[rows[entry] + 1]):
                if marked[indices[second]] != i:
                    marked[indices[second]] = i
                    pairs += 1
    return pairs


@njit(cache=True)
def _sum_pairs(column_ptr, rows, position, indptr, indices, data, most, dimension):  # type: ignore[no-untyped-def]
    found = np.empty(most, np.int32)
    count, total, square = np.empty(most), np.empty(most), np.empty(most)
    counts, totals, squares = np.zeros(dimension), np.zeros(dimension), np.zeros(dimension)
    pairs = np.zeros(dimension + 1, np.int64)
    filled = 0
    for i in range(dimension):
        work = 0
        for entry in range(column_ptr[i], column_ptr[i + 1]):
            first, end = position[entry], indptr[rows[entry] + 1]
            work += end - first
            for second in range(first, end):
                j, product = indices[second], data[first] * data[second]
                counts[j] += 1.0
                totals[j] += product
                squares[j] += product * product
        begin = filled
        if work > (dimension - i) / 4:
            for j in range(i, dimension):
                if counts[j] > 0:
                    found[filled] = j
                    filled += 1
        else:
            # Few of many columns: walk the rows again, marking what was taken by its sign, and sort.
            for entry in range(column_ptr[i], column_ptr[i + 1]):
                for second in range(position[entry], indptr[rows[entry] + 1]):
                    j = indices[second]
                    if counts[j] > 0:
                        found[filled] = j
                        filled += 1
                        counts[j] = -counts[j]
            found[begin:filled].sort()
        for place in range(begin, filled):
            j = found[place]
            count[place], total[place], square[place] = abs(counts[j]), totals[j], squares[j]
            counts[j], totals[j], squares[j] = 0.0, 0.0, 0.0
        pairs[i + 1] = filled
    if filled < most:
        return pairs, found[:filled].copy(), count[:filled].copy(), total[:filled].copy(), square[:filled].copy()
    return pairs, found, count, total, square


@njit(cache=True)
def merge_pairs(left_ptr, left, left_sums, right_ptr, right, right_sums):  # type: ignore[no-untyped-def]
    """Union of two sets of pairs, and the rows of `left_sums` and `right_sums`, shape (pairs, k), added up."""
    dimension = len(left_ptr) - 1
    indptr = np.zeros(dimension + 1, np.int64)
    indices = np.empty(len(left) + len(right), np.int32)
    sums = np.zeros((len(left) + len(right), left_sums.shape[1]))
    filled = 0
    for i in range(dimension):
        a, b = left_ptr[i], right_ptr[i]
        while a < left_ptr[i + 1] or b < right_ptr[i + 1]:
            take_left = b == right_ptr[i + 1] or (a < left_ptr[i + 1] and left[a] <= right[b])
            take_right = a == left_ptr[i + 1] or (b < right_ptr[i + 1] and right[b] <= left[a])
            if take_left:
                indices[filled] = left[a]
                sums[filled] += left_sums[a]
                a += 1
            if take_right:
                indices[filled] = right[b]
                sums[filled] += right_sums[b]
                b += 1
            filled += 1
        indptr[i + 1] = filled
    return indptr, indices[:filled].copy(), sums[:filled].copy()
