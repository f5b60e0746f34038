"""Spectral norms of many sparse matrices in one call: each is worked off in cache by one compiled kernel.

Matrices are not copied, not even into a block-diagonal one: on graphs of this size that costs more than the norms.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from reprise.gnn_bounds.lanczos import CONVERGED, OUT_OF_RANGE, norm
from reprise.gnn_bounds.validation import positive

Array = np.ndarray[Any, Any]


class ConvergenceWarning(UserWarning):
    """A spectral norm did not reach the tolerance."""


def spectral_norm(P: Any, *, tol: float = 1e-8) -> float:
    """Largest singular value of a matrix.

    Parameters
    ----------
    P : sparse or dense array (n, n)
    tol : float
        Relative accuracy.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        See `spectral_norms`.

    Examples
    --------
    >>> star = np.zeros((5, 5)); star[0, 1:] = star[1:, 0] = 1
    >>> round(spectral_norm(star), 8)
    2.0
    """
    return float(spectral_norms([P], tol=tol)[0])


def spectral_norms(matrices: Sequence[Any], *, tol: float = 1e-8) -> Array:
    """Largest singular value of each of many matrices.

    Parameters
    ----------
    matrices : sequence of sparse or dense arrays (n_g, n_g)
    tol : float
        Relative accuracy.

    Returns
    -------
    ndarray, shape (G,)

    Raises
    ------
    TypeError
        If one is no matrix of real numbers.
    ValueError
        If there is none, or one is not square, empty, or not finite.

    Warns
    -----
    ConvergenceWarning
        If a matrix does not reach the tolerance.

    Notes
    -----
    Lanczos with full reorthogonalisation on P where P is symmetric without negative entries, on PᵀP elsewhere; a Ritz
    value θ is accepted when its residual is at most tol·θ. O(edges) per step, and as much
    memory. A matrix that needs more than 40 restarts of 24 steps is handed to LAPACK (up to 1000 rows) or ARPACK.
    """
    positive("tol", tol)
    found = [_matrix(matrix, index) for index, matrix in enumerate(matrices)]
    if not found:
        raise ValueError("matrices must hold at least one matrix, got none")
    # fixed: the same graphs give the same bits
    random = np.random.default_rng(0).uniform(0.5, 1.5, max(matrix.shape[0] for matrix in found))
    values = np.empty(len(found))
    for index, matrix in enumerate(found):
        pointers, indices, data = _arrays(matrix)
        values[index], status = norm(pointers, indices, data, random, tol)
        if status == OUT_OF_RANGE:
            largest = np.abs(data).max(initial=0.0)
            if not np.isfinite(largest):
                raise ValueError(f"matrices[{index}] must be finite")
            if largest == 0.0:
                continue
            values[index], status = norm(pointers, indices, data / largest, random, tol)
            values[index] *= largest
        if status != CONVERGED:
            values[index] = _by_lapack(matrix) if matrix.shape[0] <= 1000 else _by_arpack(matrix, tol)
    return values


def _matrix(matrix: Any, index: int) -> sparse.csr_array:
    try:
        if isinstance(matrix, sparse.csr_array) and matrix.dtype == np.float64:
            found = matrix
        elif sparse.issparse(matrix):
            found = sparse.csr_array(matrix).astype(np.float64)
        else:
            array = np.asarray(matrix.detach().cpu() if hasattr(matrix, "detach") else matrix)
            if np.iscomplexobj(array):
                raise TypeError
            found = sparse.csr_array(array.astype(np.float64))
    except (TypeError, ValueError) as error:
        raise TypeError(f"matrices[{index}] must be a matrix of real numbers, got {type(matrix).__name__}") from error
    if found.ndim == 2 and not found.has_canonical_format:
        found = found.copy()
        found.sum_duplicates()
    if found.ndim != 2 or found.shape[0] != found.shape[1] or found.shape[0] == 0:
        raise ValueError(f"matrices[{index}] must be square with at least one row, got shape {found.shape}")
    return found


def _arrays(matrix: sparse.csr_array) -> list[Array]:
    """Pointers, indices and data, of one kind: the kernel is compiled anew for every other."""
    index = np.int32 if matrix.nnz < 2**31 else np.int64
    parts = (matrix.indptr, index), (matrix.indices, index), (matrix.data, np.float64)
    return [part if part.dtype == kind and part.flags.writeable else part.astype(kind) for part, kind in parts]


def _by_lapack(matrix: sparse.csr_array) -> float:
    return float(np.linalg.norm(matrix.toarray(), 2))


def _by_arpack(matrix: sparse.csr_array, tol: float) -> float:
    transposed = sparse.csr_array(matrix.T)
    gram = linalg.LinearOperator(matrix.shape, matvec=lambda vector: transposed @ (matrix @ vector), dtype=np.float64)
    start = np.random.default_rng(0).uniform(0.5, 1.5, matrix.shape[0])
    try:
        value = linalg.eigsh(gram, k=1, which="LM", v0=start, tol=tol / 10, return_eigenvectors=False, ncv=60)[0]
    except linalg.ArpackNoConvergence as error:
        value = error.eigenvalues[0] if len(error.eigenvalues) else np.nan
        warnings.warn(
            f"the spectral norm of a graph with {matrix.shape[0]} nodes did not reach the tolerance {tol:g}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return float(np.sqrt(abs(value)))
