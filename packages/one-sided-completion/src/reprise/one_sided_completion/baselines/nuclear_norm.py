"""Nuclear-norm regularisation on the second moment (Cao, Liang and Valiant 2023).

minimise ½ Σ_seen (Z_ij − T̂_ij)² + λ trace Z   over positive semidefinite Z
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from reprise.one_sided_completion.imputation import completed, require_pairs
from reprise.one_sided_completion.moment import SecondMoment
from reprise.one_sided_completion.validation import integer, number

Array = np.ndarray[Any, Any]

LARGEST_PROGRAM = 60


def nuclear_norm(
    moment: SecondMoment,
    *,
    penalty: float | None = None,
    max_rank: int = 40,
    max_iter: int = 200,
    tol: float = 1e-4,
) -> Array:
    """Complete a second moment by repeated soft-thresholding of eigenvalues.

    Parameters
    ----------
    moment : SecondMoment
    penalty : float, optional
        λ; when not given, 1/50 of the largest eigenvalue of the zero-filled estimate.
    max_rank : int
        Eigenvalues looked at in every step.
    max_iter : int
        Steps for each of the penalties that lead from the largest eigenvalue down to λ, halving it.
    tol : float
        Go on when Z changes by less than this share of itself.

    Returns
    -------
    ndarray, shape (d, k)
        A factor B of the minimiser Z = B Bᵀ, k ≤ max_rank.

    Raises
    ------
    ValueError
        If no pair was seen, or an option is out of range.

    Notes
    -----
    Z ← S_λ(Z + P_seen(T̂ − Z)), where S_λ keeps eigenvalues above λ and takes λ off them: proximal gradient with step 1.
    What is thresholded is sparse plus low rank, and only its leading eigenvectors are found: O((pairs + d k) k) a step.
    """
    require_pairs(moment)
    d = moment.dimension
    max_rank = integer("max_rank", min(max_rank, d - 1))
    integer("max_iter", max_iter)
    number("tol", tol)
    rows, columns, targets = moment.pair_rows, moment.indices, moment.pair_values
    largest = float(eigsh(moment.values, k=1, which="LA", v0=np.ones(d), return_eigenvectors=False)[0])
    penalty = largest / 50 if penalty is None else number("penalty", penalty, open_=True)
    factor = np.zeros((d, 0))
    path = [largest / 2**k for k in range(1, 60) if largest / 2**k > penalty]
    for threshold in [*path, penalty]:
        for _ in range(max_iter):
            residual = moment.symmetric(targets - completed(factor, rows, columns))
            found = _thresholded(residual, factor, threshold, max_rank)
            change = _distance(factor, found)
            factor = found
            if change <= tol * max(np.linalg.norm(factor.T @ factor), np.finfo(float).tiny):
                break
    return factor


def _thresholded(residual: Any, factor: Array, threshold: float, max_rank: int) -> Array:
    d = len(factor)
    operator = LinearOperator((d, d), matvec=lambda v: residual @ v + factor @ (factor.T @ v), dtype=np.float64)
    # A few more than last time: mostly the number that survives grows by little from step to step.
    wanted = min(max(factor.shape[1] + 3, 6), max_rank)
    while True:
        start = np.ones(d) if factor.shape[1] == 0 else factor[:, 0] + 1e-3 * np.abs(factor[:, 0]).max()
        values, vectors = eigsh(operator, k=wanted, which="LA", v0=start, tol=1e-8)
        if values.min() <= threshold or wanted == max_rank:
            break
        wanted = min(2 * wanted, max_rank)
    kept = np.argsort(values)[::-1][: int((values > threshold).sum())]
    return cast(Array, vectors[:, kept] * np.sqrt(values[kept] - threshold))


def _distance(one: Array, other: Array) -> float:
    """‖A Aᵀ − B Bᵀ‖_F from the factors."""
    own = ((one.T @ one) ** 2).sum() + ((other.T @ other) ** 2).sum()
    return float(np.sqrt(max(float(own - 2 * ((one.T @ other) ** 2).sum()), 0.0)))


def nuclear_norm_program(moment: SecondMoment, *, penalty: float) -> Array:
    """The minimiser Z itself, as a semidefinite program with cvxpy and Clarabel, shape (d, d).

    Raises
    ------
    ValueError
        If d exceeds 60, no pair was seen, or cvxpy is absent (extra ``convex``).
    """
    d = moment.dimension
    if d > LARGEST_PROGRAM:
        raise ValueError(f"the semidefinite program takes minutes above dimension {LARGEST_PROGRAM}, got {d}")
    require_pairs(moment)
    try:
        cp: Any = import_module("cvxpy")
    except ImportError as error:
        raise ValueError("the program needs an extra: install reprise-one-sided-completion[convex]") from error
    mask = moment.counts.toarray() > 0
    Z = cp.Variable((d, d), PSD=True)
    misfit = cp.sum_squares(cp.multiply(mask.astype(float), Z - moment.to_dense())) / 2
    cp.Problem(cp.Minimize(misfit + penalty * cp.trace(Z))).solve(solver=cp.CLARABEL)
    return cast(Array, Z.value)
