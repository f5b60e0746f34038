"""The semidefinite relaxation of clustering by affinity, by general solvers.

    maximise ⟨U, X⟩ - λ tr X   subject to   X ⪰ 0,  X ≥ 0 entrywise,  X 1 = 1,

or with tr X = k in place of the penalty. The matrix of a partition, X_ij = 1/|c| for i, j in one group c and 0
elsewhere, is feasible, has trace equal to the number of groups and value Σ_c Σ_{i,j ∈ c} U_ij / |c|; the relaxation
drops that X is of this form (Peng and Wei 2007). As X 1 = 1, adding a vector to rows or columns of U changes no
solution.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks

Matrix = npt.NDArray[np.float64]
cp: Any = cvxpy  # its atoms are made at import, where type checkers don't see them


@dataclass(frozen=True, eq=False)
class Relaxation:
    """A solution of the relaxation.

    Attributes
    ----------
    matrix : float64 array, shape (n, n)
        X.
    value : float
        ⟨U, X⟩ - λ tr X.
    bound : float
        An upper bound on the optimal value, from the solver's dual solution; NaN where none is computed.
    solver : str
        "clarabel", "scs", "lowrank", or "closed form" (k = 1 and k = n, where one X is feasible; a penalty on what
        tells no tasks apart).
    """

    matrix: Matrix
    value: float
    bound: float
    solver: str


@dataclass(frozen=True, eq=False)
class Centred:
    """An affinity reduced to what the relaxation sees.

    X = 11ᵀ/n + Y with Y 1 = 0, so ⟨U, X⟩ = ``constant`` + ``spread`` ⟨C, Y⟩ with C = JUJ/``spread`` of root mean square
    1: one scale for every solver's tolerances.
    """

    matrix: Matrix
    constant: float
    spread: float


def solve_relaxation(
    affinity: npt.ArrayLike,
    *,
    k: int | None = None,
    ridge: float | None = None,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
) -> Relaxation:
    """Solve the relaxation by cvxpy.

    Parameters
    ----------
    affinity : array, shape (n, n)
        Symmetric U, higher is closer.
    k : int
        Number of groups, 1 <= k <= n, as tr X = k. Either this or `ridge`.
    ridge : float
        λ >= 0, on the scale of U. A larger one gives fewer groups.
    solver : {"clarabel", "scs"}, optional
        Default: Clarabel (interior point) for n <= 60, SCS (first order) above.
    options : dict, optional
        Passed on to the solver.

    Returns
    -------
    Relaxation

    Raises
    ------
    ValueError
        If `affinity` isn't square, finite and symmetric, tells no tasks apart where no penalty decides, not exactly one
        of k and ridge is given, or one is out of range.
    RuntimeError
        If the solver ends with another status than optimal.

    Notes
    -----
    The interior-point method costs O(n⁶) in the worst case, SCS O(n³) a step. Above n = 150 or so use `solve_low_rank`.

    Examples
    --------
    >>> blocks = np.kron(np.eye(2), np.ones((2, 2)))
    >>> bool(np.abs(solve_relaxation(blocks, k=2).matrix - blocks / 2).max() < 1e-6)
    True
    """
    values = _checks.square("affinity", affinity, symmetric=True)
    n = len(values)
    known = trivial(values, k=k, ridge=ridge)
    if known is not None:
        return known
    solver = _checks.choice("solver", solver or ("clarabel" if n <= 60 else "scs"), ("clarabel", "scs"))
    settings = {} if solver == "clarabel" else {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 100_000}
    centred = centre(values)
    unknown = cp.Variable((n, n), PSD=True)
    objective = cp.sum(cp.multiply(centred.matrix, unknown))
    constraints = [cp.upper_tri(unknown) >= 0, cp.sum(unknown, axis=1) == 1]
    if k is not None:
        constraints.append(cp.trace(unknown) == k)
    else:
        objective -= (ridge or 0.0) / centred.spread * cp.trace(unknown)
    problem = cp.Problem(cp.Maximize(objective), constraints)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cvxpy warns of an inaccurate solution: refused below
            problem.solve(solver=solver.upper(), **{**settings, **(options or {})})
    except cp.SolverError as error:
        raise RuntimeError(f"the relaxation must be solved to optimality, but {solver} failed: {error}") from error
    if problem.status != cp.OPTIMAL:
        raise RuntimeError(f"the relaxation must be solved to optimality, but {solver} ended with {problem.status!r}")
    solution = np.asarray((unknown.value + unknown.value.T) / 2)
    return Relaxation(solution, relaxed_value(values, solution, ridge), float("nan"), solver)


def check_groups(n: int, k: int | None, ridge: float | None) -> None:
    """Refuse anything but one of k in 1..n and ridge >= 0."""
    if (k is None) == (ridge is None):
        raise ValueError(f"exactly one of k and ridge must be given, got k={k}, ridge={ridge}")
    if k is not None:
        _checks.integer("k", k, maximum=n)
    else:
        _checks.number("ridge", ridge)


def trivial(values: Matrix, *, k: int | None, ridge: float | None) -> Relaxation | None:
    """The solution where no solver is needed, or None.

    For k = 1 and k = n only one X is feasible; and where U is a sum of offsets, which no X feels, a penalty alone
    decides, for a single group.
    """
    n = len(values)
    check_groups(n, k, ridge)
    if k == n:
        solution = np.eye(n)
    elif k == 1 or (ridge and _spread(values) == 0):
        solution = np.full((n, n), 1 / n)
    else:
        return None
    value = relaxed_value(values, solution, ridge)
    return Relaxation(solution, value, value, "closed form")


def centre(values: Matrix) -> Centred:
    """Split off what no solution depends on.

    Raises
    ------
    ValueError
        If nothing is left: every X has the same value.
    """
    spread = _spread(values)
    if spread == 0:
        raise ValueError("affinity must tell tasks apart, but it is a sum of row and column offsets")
    return Centred(_without_offsets(values) / spread, float(values.sum() / len(values)), spread)


def _spread(values: Matrix) -> float:
    """Root mean square of what offsets leave; 0 where that is rounding."""
    spread = float(np.sqrt(np.mean(_without_offsets(values) ** 2)))
    return spread if spread > 1e-12 * max(np.abs(values).max(), np.finfo(float).tiny) else 0.0


def _without_offsets(values: Matrix) -> Matrix:
    means = values.mean(axis=0)
    matrix: Matrix = values - means - means[:, None] + values.mean()
    return matrix


def relaxed_value(values: Matrix, solution: Matrix, ridge: float | None) -> float:
    """⟨U, X⟩ - λ tr X."""
    return float((values * solution).sum() - (ridge or 0.0) * np.trace(solution))
