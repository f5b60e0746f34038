"""SoftImpute-ALS (Hastie, Mazumder, Lee and Zadeh 2015, Algorithm 3.1): nuclear-norm completion of M by ridge steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from reprise.one_sided_completion.validation import as_ratings, integer, number

Array = np.ndarray[Any, Any]


def soft_impute(
    ratings: Any, rank: int = 10, *, penalty: float = 0.0, max_iter: int = 100, tol: float = 1e-5, seed: int = 0
) -> tuple[Array, Array]:
    """Complete M to A Bᵀ of at most `rank`, with a penalty on its nuclear norm.

    Parameters
    ----------
    ratings : scipy sparse array, shape (n, d)
    rank : int
    penalty : float
        λ of ½ Σ_seen (M − A Bᵀ)² + λ ‖A Bᵀ‖_*.
    max_iter : int
    tol : float
        Stop when A Bᵀ changes by less than this share of its squared norm.
    seed : int
        Of the random orthonormal start.

    Returns
    -------
    A : ndarray, shape (n, rank)
    B : ndarray, shape (d, rank)

    Raises
    ------
    ValueError
        If the rank exceeds n or d, or `penalty` is negative.

    Notes
    -----
    The completed matrix is kept as sparse plus low rank: a step costs O(|Ω| r + (n + d) r²), never n d.
    """
    ratings = as_ratings(ratings)
    integer("rank", rank, maximum=min(ratings.shape), limit="the shorter side")
    number("penalty", penalty)
    integer("max_iter", max_iter)
    number("tol", tol)
    left = np.linalg.qr(np.random.default_rng(seed).standard_normal((ratings.shape[0], rank)))[0]
    right, size = np.zeros((ratings.shape[1], rank)), np.ones(rank)
    rows = np.repeat(np.arange(ratings.shape[0]), np.diff(ratings.indptr))
    for _ in range(max_iter):
        before = left, size, right
        right, size, turn = _ridge_step(_residual(ratings, rows, left, size, right), left, size, right, penalty)
        left = left @ turn
        transposed = _residual(ratings, rows, left, size, right).T.tocsr()
        left, size, turn = _ridge_step(transposed, right, size, left, penalty)
        right = right @ turn
        if _change(before, (left, size, right)) < tol:
            break
    return left * size, right


def _residual(ratings: sparse.csr_array, rows: Array, left: Array, size: Array, right: Array) -> sparse.csr_array:
    predicted = np.einsum("ek,ek->e", (left * size)[rows], right[ratings.indices])
    return sparse.csr_array((ratings.data - predicted, ratings.indices, ratings.indptr), shape=ratings.shape)


def _ridge_step(
    residual: sparse.csr_array, fixed: Array, size: Array, moving: Array, penalty: float
) -> tuple[Array, Array, Array]:
    """Regress the completed matrix X = residual + U S Vᵀ on U √S, and bring the product to singular form.

    The new side is B = Xᵀ U √S (S + λ)⁻¹, and what is decomposed the product B √S.
    """
    product = (residual.T @ fixed + moving * size) * (size / (size + penalty))
    vectors, values, turn = np.linalg.svd(product, full_matrices=False)
    return vectors, values, turn.T


def _change(before: tuple[Array, Array, Array], after: tuple[Array, Array, Array]) -> float:
    """Squared relative change of U D Vᵀ, from factors alone."""
    (u, d, v), (x, e, y) = before, after
    cross = np.sum((d[:, None] * (u.T @ x)) * ((v.T @ y) * e))
    own = np.sum((d[:, None] * (u.T @ u)) * ((v.T @ v) * d))
    new = np.sum(e**2)
    return float((own + new - 2 * cross) / max(own, new, np.finfo(float).tiny))
