"""The leading singular triples of a sparse matrix: Lanczos with a warm start, and what to do when it does not converge.

The eigenvectors of ``M Mᵀ`` (or ``Mᵀ M``, whichever is smaller) come from ARPACK; the other side is one product with M.
So the vectors of one side are orthonormal to rounding whatever the tolerance, and what is built on them (gradients,
lower bounds) is consistent even where the vectors themselves are not converged to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh, lobpcg

from reprise.edge_intervention.errors import ConvergenceError

# Up to this size of the smaller side a dense eigensolver is faster than Lanczos.
DENSE = 120
# Up to this size it is offered where Lanczos cannot give as many triples as asked for.
DENSE_LIMIT = 2000
TOLERANCE = 1e-9


@dataclass(frozen=True)
class SingularTriples:
    """The largest singular values, descending, with their vectors.

    Parameters
    ----------
    values : ndarray, shape (k,)
    left : ndarray, shape (n, k)
    right : ndarray, shape (m, k)
    start : ndarray, shape (min(n, m),)
        A start vector for a matrix nearby.
    """

    values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    start: np.ndarray


def leading_triples(
    M: sparse.csr_array, rank: int, start: np.ndarray | None = None, *, tolerance: float = TOLERANCE
) -> SingularTriples:
    """Return the `rank` largest singular triples of M; all of them where there are fewer.

    Parameters
    ----------
    M : csr_array, shape (n, m)
    rank : int
    start : ndarray, shape (min(n, m),), optional
        Start vector of the Lanczos process; the vector of ones by default, so that the answer is deterministic.
    tolerance : float
        Relative accuracy of the squared singular values.

    Raises
    ------
    ValueError
        If `rank` is not below min(n, m) and that is above 2000.
    ConvergenceError
        If neither ARPACK nor LOBPCG converges.

    Notes
    -----
    Time O(q nnz) with q ≈ 2 rank + 20 products per restart; memory O((n + m) q).

    Examples
    --------
    >>> leading_triples(sparse.csr_array(np.diag([3.0, 1.0, 2.0])), 2).values
    array([3., 2.])
    """
    if M.shape[0] > M.shape[1]:
        flipped = _of_wide(M.T, M, rank, start, tolerance)
        return SingularTriples(flipped.values, flipped.right, flipped.left, flipped.start)
    return _of_wide(M, M.T, rank, start, tolerance)


def _of_wide(M: Any, transposed: Any, rank: int, start: np.ndarray | None, tolerance: float) -> SingularTriples:
    """Triples of M with at most as many rows as columns."""
    side = M.shape[0]
    rank = min(rank, side)
    if side <= DENSE or rank >= side - 1:
        if side > DENSE_LIMIT:
            raise ValueError(
                f"rank must be below min(n, m) - 1 = {side - 1} for a matrix with more than {DENSE_LIMIT} rows and "
                f"columns, got {rank}"
            )
        _, vectors = np.linalg.eigh((M @ transposed).toarray())
        left = vectors[:, ::-1][:, :rank]
    elif M.nnz == 0 or not np.any(M.data):
        left = np.eye(side, rank)
    else:
        left = _eigenvectors(M, transposed, rank, start, tolerance)
    images = transposed @ np.ascontiguousarray(left)
    values = np.linalg.norm(images, axis=0)
    order = np.argsort(-values, kind="stable")
    left, images, values = left[:, order], images[:, order], values[order]
    right = images / np.where(values > 0, values, 1.0)
    # All leading vectors take part in the start; their signs are arbitrary and must not cancel.
    signs = np.where(left.sum(axis=0) < 0, -1.0, 1.0)
    return SingularTriples(values, left, right, left @ (signs / np.arange(1, rank + 1)))


def _eigenvectors(M: Any, transposed: Any, rank: int, start: np.ndarray | None, tolerance: float) -> np.ndarray:
    side = M.shape[0]
    gram = LinearOperator(
        (side, side),
        matvec=lambda x: M @ (transposed @ x),
        matmat=lambda x: M @ (transposed @ x),
        dtype=M.dtype,
    )
    begin = np.ones(side) if start is None or not np.any(start) else start
    krylov = min(side, max(2 * rank + 1, rank + 20))
    for attempt in range(2):
        try:
            _, vectors = eigsh(
                gram, rank, which="LA", v0=begin, ncv=min(side, krylov * (1 + 2 * attempt)), tol=tolerance
            )
        except (ArpackNoConvergence, ArpackError):
            continue
        return np.asarray(vectors)
    return _by_lobpcg(gram, rank, begin, tolerance)


def _by_lobpcg(gram: LinearOperator, rank: int, begin: np.ndarray, tolerance: float) -> np.ndarray:
    """The same by blocks, for matrices on which Lanczos does not converge."""
    block = np.random.default_rng(0).standard_normal((gram.shape[0], rank))
    block[:, 0] = begin
    largest = float(np.linalg.norm(gram @ np.ones(gram.shape[0])) / np.sqrt(gram.shape[0]))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it is judged by its residual below
        values, vectors = lobpcg(gram, np.linalg.qr(block)[0], tol=tolerance * largest, maxiter=500, largest=True)
    vectors = np.linalg.qr(vectors)[0]
    residual = float(np.linalg.norm(gram @ vectors - vectors * values, axis=0).max() / max(values.max(), 1e-300))
    if not residual <= 1e-4:
        raise ConvergenceError(f"the leading singular vectors did not converge: relative residual {residual:.2g}")
    return np.asarray(vectors)
