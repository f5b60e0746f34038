"""The exact optimum on small networks, as a semidefinite program: what Frank-Wolfe is measured against."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.centrality import power_of
from reprise.edge_intervention.errors import ConvergenceError, ConvergenceWarning, ProblemTooLargeError
from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.objectives import SpectralObjective
from reprise.edge_intervention.results import InterventionResult
from reprise.edge_intervention.validation import integer
from reprise.edge_intervention.weights import as_weights, edge_rows, finished

# Rows and columns together; the program grows with the square of it.
LIMIT = 80


def optimal_sdp(
    W: Any,
    budget: float | None = None,
    rank: int = 1,
    power: int = 2,
    solver: str | None = None,
    *,
    budget_fraction: float | None = None,
    cost: Any = None,
    floor: Any = None,
) -> InterventionResult:
    """The weights within a budget that minimise ``Σ_{k≤r} σ_k^power``, exactly.

    Parameters
    ----------
    W : matrix, shape (n, m)
        With n + m at most 80.
    budget, budget_fraction, cost, floor
        As of `frank_wolfe`.
    rank : int
    power : {1, 2}
    solver : {None, "CLARABEL", "SCS"}
        By default Clarabel, and SCS where Clarabel fails.

    Returns
    -------
    InterventionResult
        `lower_bound` is the value of the program, `objective` that of the weights found.

    Raises
    ------
    ProblemTooLargeError
        Naming the limit and the alternative.
    ConvergenceError
        If no solver finds an optimum.
    ValueError, TypeError
        Also if cvxpy, an extra, is missing.

    Notes
    -----
    For rank 1: minimise ``σ_max(M)`` and square it. For any rank: minimise ``r s + tr Z`` subject to
    ``[[Z + sI, M], [Mᵀ, I]] ⪰ 0``, ``Z ⪰ 0``, the Schur complement of ``Z + sI ⪰ M Mᵀ``. For power 1: the sum of the r
    largest eigenvalues of ``[[0, M], [Mᵀ, 0]]``.

    References
    ----------
    M. Overton and R. Womersley, Optimality conditions and duality theory for minimizing sums of the largest eigenvalues
    of symmetric matrices, Mathematical Programming 62, 1993.

    Examples
    --------
    >>> found = optimal_sdp([[0, 2.0], [2.0, 0]], budget=2.0)
    >>> round(found.objective, 4)
    1.0
    """
    matrix = as_weights(W)
    rank, power = integer("rank", rank), power_of(power)
    size = sum(matrix.shape)
    if size > LIMIT:
        raise ProblemTooLargeError(
            f"n + m must be at most {LIMIT} for the exact program, got {size}: use frank_wolfe, with its lower bound"
        )
    region = FeasibleSet(matrix, budget, budget_fraction, cost, floor)
    try:
        import cvxpy as cp
    except ImportError as error:
        raise ValueError("optimal_sdp needs an extra: install reprise-edge-intervention[convex]") from error
    edges = cp.Variable(matrix.nnz)
    # Unit weights keep the interior-point method well scaled whatever the unit of W.
    unit = float(matrix.data.max())
    rank = min(rank, *matrix.shape)
    goal, more = _program(cp, edges, matrix, rank, power)
    price = region.cost if region.cost is not None else np.ones(matrix.nnz)
    constraints = [
        edges >= region.floor / unit,
        edges <= matrix.data / unit,
        price @ (matrix.data / unit - edges) <= region.budget / unit,
        *more,
    ]
    problem = cp.Problem(cp.Minimize(goal), constraints)
    used = _solve(problem, solver, cp)
    value = float(problem.value)
    value = value**2 if rank == 1 and power == 2 else value
    data = np.clip(np.asarray(edges.value, dtype=np.float64) * unit, region.floor, matrix.data)
    if region.spent(data) > region.budget:
        # The solver's last digit: give back what is too much.
        given = region.spent(data)
        data = matrix.data - (matrix.data - data) * (region.budget / given)
    measure = SpectralObjective(rank, power)
    objective = measure.value(finished(matrix, data))
    bound = min(value * unit**power, objective)
    return InterventionResult(
        weights=finished(matrix, data),
        objective=objective,
        lower_bound=bound,
        gap=objective - bound,
        budget_used=region.spent(data),
        initial_objective=measure.value(matrix),
        converged=problem.status == "optimal",
        method=f"exact program, r={rank}, power {power}, {used}",
    )


def _program(cp: Any, edges: Any, matrix: sparse.csr_array, rank: int, power: int) -> tuple[Any, list[Any]]:
    """Objective and constraints of M, which holds the variables on the edges and zeros elsewhere."""
    n, m = matrix.shape
    places = edge_rows(matrix) * m + matrix.indices
    scatter = sparse.csr_array((np.ones(matrix.nnz), (places, np.arange(matrix.nnz))), shape=(n * m, matrix.nnz))
    M = cp.reshape(scatter @ edges, (n, m), order="C")
    if rank == 1:
        return cp.sigma_max(M), []
    if power == 1:
        return cp.lambda_sum_largest(cp.bmat([[np.zeros((n, n)), M], [M.T, np.zeros((m, m))]]), rank), []
    s, Z = cp.Variable(), cp.Variable((n, n), PSD=True)
    return rank * s + cp.trace(Z), [cp.bmat([[Z + s * np.eye(n), M], [M.T, np.eye(m)]]) >> 0]


def _solve(problem: Any, solver: str | None, cp: Any) -> str:
    choices = ["CLARABEL", "SCS"]
    if solver is not None and solver not in choices:
        raise ValueError(f"solver must be one of {', '.join(choices)}, got {solver!r}")
    told = "was not installed"
    for name in choices if solver is None else [solver]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the status is looked at below
                problem.solve(solver=name)
        except cp.SolverError as error:
            told = str(error)
            continue
        if problem.status == "optimal":
            return name
        told = problem.status
        if problem.status == "optimal_inaccurate":
            warnings.warn(f"{name} stopped short of its tolerance", ConvergenceWarning, stacklevel=3)
            return name
    raise ConvergenceError(f"no solver found the optimum: {told}")
