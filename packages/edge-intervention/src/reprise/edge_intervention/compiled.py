"""Entries of a low-rank matrix on the edges of a sparse one, compiled: O(rank) per edge and no dense product."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath={"reassoc", "contract"}, nogil=True)
def low_rank_entries(left: np.ndarray, right: np.ndarray, indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return ``Σ_k left[i, k] right[j, k]`` for every edge (i, j) of a CSR pattern, shape (nnz,).

    Parameters
    ----------
    left : ndarray, shape (n, k), C order
    right : ndarray, shape (m, k), C order
    indptr, indices : ndarray
    """
    entries = np.empty(len(indices))
    rank = left.shape[1]
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            total = 0.0
            for k in range(rank):
                total += left[i, k] * right[j, k]
            entries[e] = total
    return entries
