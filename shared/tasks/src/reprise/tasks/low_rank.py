"""The semidefinite relaxation of clustering for up to some thousands of tasks, by a low-rank factor.

X 1 = 1 makes 1/√n an eigenvector of X with eigenvalue 1, so X = 11ᵀ/n + ZZᵀ with Zᵀ1 = 0, Z of shape (n, r). That
leaves the entrywise ZZᵀ ≥ -1/n, by an augmented Lagrangian with multipliers Λ ≥ 0, and tr X = k, by the sphere
‖Z‖² = k - 1 (Burer and Monteiro 2003). The multipliers prove how good the solution is: by weak duality and 0 ⪯ X ⪯ I
no feasible X has a value above ⟨Λ, 11ᵀ⟩/n + (sum of the k - 1 largest eigenvalues of J(C + Λ)J). Where that bound is
not met, Z has settled on a saddle, and the leading eigenvector leads out of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.optimize import minimize

from reprise.tasks import _checks
from reprise.tasks.relaxation import Relaxation, centre, relaxed_value, trivial

Matrix = npt.NDArray[np.float64]
_INNER = {"maxiter": 200, "maxcor": 10, "ftol": 1e-12, "gtol": 1e-6}
_LARGEST_WEIGHT = 32


def solve_low_rank(
    affinity: npt.ArrayLike,
    *,
    k: int | None = None,
    ridge: float | None = None,
    rank: int | None = None,
    tolerance: float = 1e-3,
    max_rounds: int = 200,
    seed: int = 0,
) -> Relaxation:
    """Solve the relaxation with X = 11ᵀ/n + ZZᵀ and prove how good the solution is.

    Parameters
    ----------
    affinity, k, ridge
        As in `solve_relaxation`.
    rank : int, optional
        Columns r of Z. Default: the smaller of n - 1 and max(k, √(2n)) + 4, above which generic equality-constrained
        programs have no spurious local optima.
    tolerance : float
        Largest gap between value and bound, relative to the part of the value that depends on X; entries of X are at
        least -tolerance/n.
    max_rounds : int
        Updates of the multipliers.
    seed : int
        Of the start.

    Returns
    -------
    Relaxation
        With its `bound`.

    Raises
    ------
    ValueError
        As `solve_relaxation` does.
    RuntimeError
        If the tolerance isn't reached: the message says what was.

    Notes
    -----
    O(n² r) time a gradient, O(n² + n r) memory.

    Examples
    --------
    >>> solution = solve_low_rank(np.kron(np.eye(3), np.ones((10, 10))), k=3)
    >>> bool(abs(solution.value - 30) < 1e-2), bool(abs(solution.bound - 30) < 1e-2)
    (True, True)
    """
    values = _checks.square("affinity", affinity, symmetric=True)
    known = trivial(values, k=k, ridge=ridge)
    if known is not None:
        return known
    n = len(values)
    tolerance = _checks.number("tolerance", tolerance, positive=True)
    _checks.integer("max_rounds", max_rounds)
    wanted = max(k or 0, int(np.ceil(np.sqrt(2 * n)))) + 4 if rank is None else _checks.integer("rank", rank)
    centred = centre(values)
    trace = None if k is None else float(k - 1)
    penalty = 0.0 if ridge is None else ridge / centred.spread
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    factor = _normalised(generator.standard_normal((n, min(wanted, n - 1))), trace or 1.0)

    multipliers, weight, before, gap = np.zeros((n, n)), float(n), np.inf, np.inf
    for _ in range(max_rounds):
        objective = _lagrangian(centred.matrix, multipliers, weight, trace, penalty, factor.shape)
        found = minimize(objective, factor.ravel(), jac=True, method="L-BFGS-B", options=_INNER)
        factor = _normalised(found.x.reshape(factor.shape), trace)
        solution = factor @ factor.T + 1 / n
        unmet = float(np.abs(np.minimum(solution, multipliers / weight)).max())  # of X ≥ 0 and of Λ X = 0
        multipliers = np.maximum(0, multipliers - weight * solution)
        if unmet <= tolerance / n:
            value = float((centred.matrix * solution).sum()) - penalty * float((factor**2).sum())
            bound = _bound(centred.matrix + multipliers, float(multipliers.sum()) / n, k, penalty)
            gap = (bound - value) / max(abs(value), np.sqrt(n))
            if gap <= tolerance:
                top = centred.constant + centred.spread * bound - (ridge or 0.0)
                return Relaxation(solution, relaxed_value(values, solution, ridge), top, "lowrank")
            factor = _perturbed(factor, _leading(centred.matrix + multipliers), trace)
            weight, before = float(n), np.inf  # a stiff penalty would push it back
            continue
        if unmet > before / 2:
            weight = min(2 * weight, _LARGEST_WEIGHT * n)  # beyond, the inner problem's conditioning costs more rounds
        before = unmet
    raise RuntimeError(
        f"the relaxation must be solved to a tolerance of {tolerance:g}, but after {max_rounds} rounds X ≥ 0 was "
        f"missed by {unmet * n:.1e}/n and the gap was {gap:.1e}; raise max_rounds or rank"
    )


def _lagrangian(
    matrix: Matrix, multipliers: Matrix, weight: float, trace: float | None, penalty: float, shape: tuple[int, int]
) -> Callable[[Matrix], tuple[float, Matrix]]:
    """-⟨C, ZZᵀ⟩ + penalty ‖Z‖² + (weight/2) ‖max(0, Λ/weight - ZZᵀ - 1/n)‖² and its gradient, as L-BFGS wants them.

    The variable is any matrix; Z is it centred and, with a trace, scaled onto the sphere, so that no constraint is
    left.
    """
    shifted = multipliers / weight - 1 / shape[0]

    def evaluate(flat: Matrix) -> tuple[float, Matrix]:
        variable = flat.reshape(shape)
        factor = _normalised(variable, trace)
        slack = factor @ factor.T
        np.subtract(shifted, slack, out=slack)
        np.maximum(slack, 0, out=slack)
        product = matrix @ factor
        value = weight / 2 * np.vdot(slack, slack) - np.vdot(product, factor) + penalty * np.vdot(factor, factor)
        gradient = 2 * (penalty * factor - product - weight * (slack @ factor))
        gradient -= gradient.mean(axis=0)
        if trace is not None:
            gradient -= factor * (np.vdot(gradient, factor) / trace)
            gradient *= np.sqrt(trace) / np.linalg.norm(variable - variable.mean(axis=0))
        return float(value), gradient.ravel()

    return evaluate


def _normalised(variable: Matrix, trace: float | None) -> Matrix:
    centred = variable - variable.mean(axis=0)
    if trace is not None:
        centred *= np.sqrt(trace) / np.linalg.norm(centred)
    return np.asarray(centred)


def _leading(matrix: Matrix) -> Matrix:
    """Eigenvector of JAJ orthogonal to 1 for its largest eigenvalue."""
    last = len(matrix) - 1
    return np.asarray(eigh(_orthogonal_to_ones(matrix), subset_by_index=[last, last])[1][:, 0])


def _orthogonal_to_ones(matrix: Matrix) -> Matrix:
    """JAJ, with the eigenvalue of 1 moved from 0 to below all others."""
    means = matrix.mean(axis=0)
    return np.asarray(matrix - means - means[:, None] + matrix.mean() - 2 * np.linalg.norm(matrix) / len(matrix))


def _perturbed(factor: Matrix, direction: Matrix, trace: float | None) -> Matrix:
    """Replace the factor's weakest direction by a small step along an eigenvector that lowers the Lagrangian."""
    left, strengths, _ = np.linalg.svd(factor, full_matrices=False)
    rotated = left * strengths
    rotated[:, -1] = 0.1 * max(strengths[0], 1e-3) * direction
    return _normalised(rotated, trace)


def _bound(matrix: Matrix, offset: float, k: int | None, penalty: float) -> float:
    """Upper bound on ⟨C, X⟩ - penalty (tr X - 1) from multipliers."""
    n = len(matrix)
    centred = _orthogonal_to_ones(matrix)
    if k is not None:
        return offset + float(eigh(centred, eigvals_only=True, subset_by_index=[n - k + 1, n - 1]).sum())
    above = eigh(centred, eigvals_only=True, subset_by_value=[penalty, np.inf])
    return offset + float((above - penalty).sum())
