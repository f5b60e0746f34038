"""Spectral norms of many sparse matrices in one call: restarted Lanczos on each block of a block-diagonal matrix.

Lanczos sees both ends of the spectrum, so that bipartite graphs, where −‖A‖ is an eigenvalue beside ‖A‖, make it no
slower (power iteration would oscillate); a start with positive entries meets the leading eigenvector of every
component. Memory is O(edges); every graph is worked off in cache by one compiled kernel.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from reprise.gnn_bounds.validation import positive

Array = np.ndarray[Any, Any]

STEPS = 24  # Lanczos vectors per cycle
CYCLES = 40  # cycles before a graph is handed to ARPACK


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
    Lanczos with full reorthogonalisation on P where P is symmetric, on PᵀP elsewhere; a Ritz value θ with residual r
    is accepted when min(r, r²/gap) ≤ tol·θ, with the gap to the next Ritz value. O(edges) per step.
    """
    positive("tol", tol)
    blocks = [_matrix(matrix, index) for index, matrix in enumerate(matrices)]
    if not blocks:
        raise ValueError("matrices must hold at least one matrix, got none")
    whole = stack(blocks)
    if not np.isfinite(whole.data).all():
        raise ValueError("matrices must be finite")
    symmetric = _symmetric_blocks(whole, np.cumsum([0, *(block.shape[0] for block in blocks)]))
    values = np.empty(len(blocks))
    for flag in (True, False):
        chosen = np.flatnonzero(symmetric == flag)
        if len(chosen):
            values[chosen] = _norms([blocks[i] for i in chosen], tol, symmetric=flag)
    return values


def _norms(blocks: list[sparse.csr_array], tol: float, *, symmetric: bool) -> Array:
    whole = stack(blocks)
    starts = np.cumsum([0, *(block.shape[0] for block in blocks)])
    transposed = whole if symmetric else sparse.csr_array(whole.T)
    start = np.random.default_rng(0).uniform(0.5, 1.5, whole.shape[0])  # fixed: the same graphs give the same bits
    values, converged = _lanczos(
        whole.indptr,
        whole.indices,
        whole.data,
        transposed.indptr,
        transposed.indices,
        transposed.data,
        starts,
        start,
        symmetric,
        tol if symmetric else 2 * tol,
    )
    values = np.asarray(values if symmetric else np.sqrt(values))
    for index in np.flatnonzero(~converged):
        values[index] = _arpack(blocks[index], tol, symmetric)
    return values


def stack(blocks: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """Block-diagonal matrix of square blocks, by shifting indices."""
    sizes = np.array([block.shape[0] for block in blocks])
    counts = np.array([block.nnz for block in blocks])
    shift = np.concatenate([[0], np.cumsum(sizes)])
    taken = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate([block.indices + offset for block, offset in zip(blocks, shift)])
    pointers = np.concatenate([block.indptr[:-1] + offset for block, offset in zip(blocks, taken)] + [taken[-1:]])
    data = np.concatenate([block.data for block in blocks])
    return sparse.csr_array((data, indices.astype(np.int64), pointers.astype(np.int64)), shape=(shift[-1], shift[-1]))


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
    if found.ndim != 2 or found.shape[0] != found.shape[1] or found.shape[0] == 0:
        raise ValueError(f"matrices[{index}] must be square with at least one row, got shape {found.shape}")
    return found


def _symmetric_blocks(whole: sparse.csr_array, starts: Array) -> Array:
    """Which blocks of a block-diagonal matrix are symmetric, (G,)."""
    difference = abs(sparse.csr_array(whole - whole.T))
    largest = float(abs(whole).max()) if whole.nnz else 0.0
    rows = np.repeat(np.arange(whole.shape[0]), np.diff(difference.indptr))[difference.data > 1e-12 * largest]
    odd = np.searchsorted(starts, rows, side="right") - 1
    flags = np.ones(len(starts) - 1, dtype=bool)
    flags[odd] = False
    return flags


def _arpack(block: sparse.csr_array, tol: float, symmetric: bool) -> float:
    if block.shape[0] <= 1000:
        return float(np.linalg.norm(block.toarray(), 2))
    operator = block if symmetric else sparse.csr_array(block.T @ block)
    start = np.random.default_rng(0).uniform(0.5, 1.5, block.shape[0])
    try:
        value = linalg.eigsh(operator, k=1, which="LM", v0=start, tol=tol / 10, return_eigenvectors=False, ncv=60)[0]
    except linalg.ArpackNoConvergence as error:
        found = error.eigenvalues
        value = found[0] if len(found) else np.nan
        warnings.warn(
            f"the spectral norm of a graph with {block.shape[0]} nodes did not reach the tolerance {tol:g}",
            ConvergenceWarning,
            stacklevel=4,
        )
    return float(abs(value)) if symmetric else float(np.sqrt(abs(value)))


@numba.njit(cache=True)
def _product(pointers, indices, data, first, last, vector, out):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        total = 0.0
        for place in range(pointers[row], pointers[row + 1]):
            total += data[place] * vector[indices[place] - first]
        out[row - first] = total


@numba.njit(cache=True)
def _lanczos(pointers, indices, data, t_pointers, t_indices, t_data, starts, start, symmetric, tol):  # type: ignore[no-untyped-def]
    count = len(starts) - 1
    values, converged = np.zeros(count), np.zeros(count, np.bool_)
    for graph in range(count):
        first, last = starts[graph], starts[graph + 1]
        size = last - first
        steps = min(STEPS, size)
        basis = np.zeros((steps, size))
        vector, image, middle = start[first:last].copy(), np.empty(size), np.empty(size)
        for _ in range(CYCLES):
            vector /= np.sqrt(np.dot(vector, vector))
            basis[0] = vector
            small = np.zeros((steps, steps))
            used, beta = steps, 0.0
            for step in range(steps):
                if symmetric:
                    _product(pointers, indices, data, first, last, basis[step], image)
                else:
                    _product(pointers, indices, data, first, last, basis[step], middle)
                    _product(t_pointers, t_indices, t_data, first, last, middle, image)
                size_of_image = np.sqrt(np.dot(image, image))
                small[step, step] = np.dot(basis[step], image)
                for _ in range(2):  # twice is enough (Kahan and Parlett)
                    for other in range(step + 1):
                        weight = np.dot(basis[other], image)
                        for i in range(size):
                            image[i] -= weight * basis[other, i]
                beta = np.sqrt(np.dot(image, image))
                if beta <= 1e-13 * size_of_image or size_of_image == 0.0:
                    used, beta = step + 1, 0.0  # the space is invariant
                    break
                if step + 1 < steps:
                    small[step, step + 1] = small[step + 1, step] = beta
                    basis[step + 1] = image / beta
            ritz, vectors = np.linalg.eigh(small[:used, :used])
            best = used - 1 if abs(ritz[used - 1]) >= abs(ritz[0]) else 0
            value = abs(ritz[best])
            residual = beta * abs(vectors[used - 1, best])
            gap = abs(ritz[best] - ritz[best - 1 if best else min(1, used - 1)])
            error = residual if gap <= residual else min(residual, residual * residual / gap)
            values[graph] = value
            if error <= 0.1 * tol * value or used == size or value == 0.0:
                converged[graph] = True
                break
            for i in range(size):
                total = 0.0
                for step in range(used):
                    total += vectors[step, best] * basis[step, i]
                vector[i] = total
    return values, converged
