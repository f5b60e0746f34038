"""Frank-Wolfe with edge centrality: the weights within a budget that make an objective small.

Li, Eliassi-Rad and Zhang (2023), algorithm Frank-Wolfe-EC. Each step scores the edges by the gradient, cuts the best
ones within the budget (exactly, by `FeasibleSet.minimiser`), and moves part of the way there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.centrality import power_of
from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.objectives import (
    CallableObjective,
    Objective,
    SpectralObjective,
    next_generation_objective,
)
from reprise.edge_intervention.results import InterventionResult, StepRecord
from reprise.edge_intervention.step_sizes import brent, grid_minimum, open_loop
from reprise.edge_intervention.validation import integer, number, one_of
from reprise.edge_intervention.weights import as_weights, finished, with_data

OBJECTIVES = ("spectral", "next_generation", "mean_field")
STEPS = ("open_loop", "grid", "brent")
# Where open-loop steps go on from a given start: a first step of 1 would forget it.
_WARM = 6


@dataclass(frozen=True)
class Rules:
    """How a run goes: at most `steps` steps of a kind, until the gap is `tolerance` times the objective."""

    steps: int
    step: str
    tolerance: float
    line_search_power: int
    keep_best: bool
    rank: int


def frank_wolfe(
    W: Any,
    budget: float | None = None,
    rank: int = 20,
    steps: int = 30,
    objective: str | Objective | Callable[[sparse.csr_array], tuple[float, Any]] = "spectral",
    *,
    budget_fraction: float | None = None,
    power: int = 2,
    step: str = "open_loop",
    mode: str | None = None,
    smoothing: str | float = "auto",
    cost: Any = None,
    floor: Any = None,
    tol: float = 1e-4,
    seed: int = 0,
    start: Any = None,
    beta_poi: Any = None,
    population: Any = None,
    beta: float = 0.05,
    p0: float = 0.01,
    horizon: int = 50,
    device: str = "cpu",
    line_search_power: int | None = None,
    spend_remaining: bool = True,
) -> InterventionResult:
    """Lower edge weights within a budget so that an objective becomes as small as possible.

    Parameters
    ----------
    W : matrix, shape (n, m)
        Weights: sparse, dense, or a networkx graph. Never changed.
    budget : float
        Weight that may be removed; in visits for a mobility network.
    rank : int
        How many singular values count (r).
    steps : int
        At most so many (T).
    objective : {"spectral", "next_generation", "mean_field"}, Objective or callable
        The sum of the squared `rank` largest singular values; the same of the next generation of infections (needs
        `beta_poi` and `population`); the expected number of nodes ever infected (needs torch; not convex); or a
        function from weights to value and gradient on the edges.
    budget_fraction : float
        The budget as a share of all weight, instead of `budget`.
    power : {1, 2}
        Of the singular values in the objective.
    step : {"open_loop", "grid", "brent"}
        ``2/(t+2)``; the published code's 27 sizes; Brent's line search.
    mode : {None, "paper"}
        "paper": everything as in the published code, with plain gradients of Σσ², the grid on Σσ, the last iterate
        instead of the best, and what is left of the budget spent in one step of rank 1. Overrides the options.
    smoothing : {"auto"} or float
        μ₀ of the smoothed gradient, see `SpectralObjective`; "auto" is 0.5 for rank > 1 and 0 for rank 1.
    cost : float, array (nnz,) or matrix, optional
        Cost of removing one unit of weight from each edge.
    floor : float, array (nnz,) or matrix, optional
        Smallest allowed weight of each edge.
    tol : float
        Stop when the gap is at most `tol` times the objective.
    seed : int
        Accepted for symmetry with the simulators; the method is deterministic, nothing depends on it.
    start : matrix, shape (n, m), optional
        Feasible weights from which to go on, such as the answer for a smaller budget.
    beta_poi, population : array_like, shapes (m,) and (n,), optional
        Of the next-generation objective.
    beta, p0, horizon, device
        Of the mean-field objective: see `mean_field.MeanFieldObjective`.
    line_search_power : {1, 2}, optional
        Power of the singular values in a line search; `power` by default.
    spend_remaining : bool
        After the last step spend what is left of the budget in one step of rank 1 from the current weights; kept only
        if the objective does not grow.

    Returns
    -------
    InterventionResult
        The best iterate, with a lower bound on the optimum where the objective is convex. Running out of `steps` is how
        the method is meant to end: nothing is warned of, and `converged` says whether the tolerance was met.

    Raises
    ------
    InvalidWeightsError, BudgetError, ConvergenceError, ValueError, TypeError

    Notes
    -----
    The objective is convex (``Σ σ_k²`` is the largest ``‖PM‖_F²`` over projectors P of rank r) and the feasible set a
    polytope. Where σ_r > σ_{r+1} along the way the error falls like O(1/t); plain Frank-Wolfe can stall where they
    meet, which happens for rank 1 too, and which the smoothed gradient (``smoothing=0.5``) repairs. One step takes one
    truncated singular value decomposition, O(q nnz), and a selection, O(nnz); a grid step takes at most 10 more, a
    Brent step 8.

    References
    ----------
    D. Li, T. Eliassi-Rad and H. R. Zhang, Optimal Intervention on Weighted Networks via Edge Centrality, SDM 2023.
    M. Jaggi, Revisiting Frank-Wolfe, ICML 2013.

    Examples
    --------
    >>> path = [[0, 3.0, 0], [3.0, 0, 1.0], [0, 1.0, 0]]
    >>> found = frank_wolfe(path, budget=2.0, rank=1)
    >>> round(found.initial_objective, 2), round(found.objective, 1), round(found.budget_used, 2)
    (10.0, 5.1, 2.0)
    """
    matrix = as_weights(W)
    rank, steps = integer("rank", rank), integer("steps", steps)
    integer("seed", seed, minimum=0)
    tol = number("tol", tol)
    power = power_of(power)
    one_of("step", step, STEPS)
    if mode is not None:
        one_of("mode", mode, ("paper",))
        power, step, smoothing, line_search_power, spend_remaining = 2, "grid", 0.0, 1, True
    region = FeasibleSet(matrix, budget, budget_fraction, cost, floor)
    chosen, title = _objective(
        objective, matrix, rank, power, smoothing, beta_poi, population, beta, p0, horizon, device
    )
    begin = _start(start, matrix, region)
    search = power if line_search_power is None else power_of(line_search_power)
    rules = Rules(steps, step, tol, search, mode is None, rank)
    return run(matrix, region, chosen, rules, begin, spend_remaining, f"{title}, {mode or step}")


def run(
    matrix: sparse.csr_array,
    region: FeasibleSet,
    objective: Objective,
    rules: Rules,
    begin: np.ndarray | None,
    spend_remaining: bool,
    title: str,
) -> InterventionResult:
    """Take the steps; everything is validated."""
    data = matrix.data if begin is None else begin
    best, best_value, bound = data, np.inf, -np.inf
    warm: Any = None
    initial = np.nan
    converged = False
    history: list[StepRecord] = []
    gap = np.nan
    for t in range(rules.steps):
        near = objective.linearise(with_data(matrix, data), t, warm)
        warm = near.start
        if t == 0:
            initial = near.value if begin is None else objective.value(matrix, warm)
        if near.value < best_value:
            best, best_value = data, near.value
        vertex = region.minimiser(near.gradient)
        gap = float(near.gradient @ (data - vertex))
        lower = near.support - gap
        # NaN, of an objective that is not convex, leaves the bound as it is.
        bound = max(bound, lower) if lower == lower else bound
        certified = best_value - bound if np.isfinite(bound) else gap
        if certified <= rules.tolerance * abs(best_value):
            converged = True
            history.append(StepRecord(t, near.value, gap, lower, 0.0))
            break
        size = _step_size(objective, matrix, data, vertex, t if begin is None else t + _WARM, rules, warm)
        history.append(StepRecord(t, near.value, gap, lower, size))
        data = (1.0 - size) * data + size * vertex
    if not converged:
        value = objective.value(with_data(matrix, data), warm)
        if value <= best_value or not rules.keep_best:
            best, best_value = data, value
    if spend_remaining:
        best, best_value = _spend(objective, matrix, region, best, best_value, warm, force=not rules.keep_best)
    # Convex combinations leave the bounds by a last bit.
    best = np.clip(best, region.floor, matrix.data)
    bounded = np.isfinite(bound)
    # Rounding must not leave a bound above the value that it bounds.
    bound = min(bound, best_value) if bounded else np.nan
    gap = best_value - bound if bounded else gap
    return InterventionResult(
        weights=finished(matrix, best),
        objective=best_value,
        lower_bound=float(bound),
        gap=float(gap),
        budget_used=region.spent(best),
        initial_objective=float(initial),
        converged=bool(converged or gap <= rules.tolerance * abs(best_value)),
        method=title,
        history=history,
    )


def _step_size(
    objective: Objective,
    matrix: sparse.csr_array,
    data: np.ndarray,
    vertex: np.ndarray,
    step: int,
    rules: Rules,
    warm: Any,
) -> float:
    if rules.step == "open_loop":
        return open_loop(step)
    searched = objective
    if isinstance(objective, SpectralObjective) and objective.power != rules.line_search_power:
        searched = SpectralObjective(
            objective.rank,
            rules.line_search_power,
            row_scale=objective.row_scale,
            column_scale=objective.column_scale,
        )

    def along(size: float) -> float:
        return searched.value(with_data(matrix, (1.0 - size) * data + size * vertex), warm)

    return grid_minimum(along) if rules.step == "grid" else brent(along)


def _spend(
    objective: Objective,
    matrix: sparse.csr_array,
    region: FeasibleSet,
    data: np.ndarray,
    value: float,
    warm: Any,
    *,
    force: bool,
) -> tuple[np.ndarray, float]:
    """Spend what is left of the budget in one step of rank 1 from the current weights."""
    if region.budget - region.spent(data) <= 1e-9 * max(region.budget, 1e-300):
        return data, value
    single = objective
    if isinstance(objective, SpectralObjective):
        single = SpectralObjective(1, row_scale=objective.row_scale, column_scale=objective.column_scale)
    gradient = single.linearise(with_data(matrix, data), 0, warm).gradient
    spent = region.minimiser(gradient, start=data)
    after = objective.value(with_data(matrix, spent), warm)
    return (spent, after) if force or after <= value else (data, value)


def _objective(
    objective: Any,
    matrix: sparse.csr_array,
    rank: int,
    power: int,
    smoothing: Any,
    beta_poi: Any,
    population: Any,
    beta: Any,
    p0: Any,
    horizon: Any,
    device: str,
) -> tuple[Objective, str]:
    if isinstance(objective, str):
        one_of("objective", objective, OBJECTIVES)
        if objective == "mean_field":
            from reprise.edge_intervention.mean_field import MeanFieldObjective

            return MeanFieldObjective(beta=beta, p0=p0, steps=horizon, device=device), f"mean field, horizon {horizon}"
        amount = smoothing_of(smoothing, rank)
        title = f"{objective}, r={rank}, power {power}, smoothing {amount:g}"
        if objective == "spectral":
            return SpectralObjective(rank, power, amount), title
        if beta_poi is None or population is None:
            raise TypeError("objective 'next_generation' needs beta_poi and population")
        made = next_generation_objective(beta_poi, population, matrix.shape, rank=rank, power=power, smoothing=amount)
        return made, title
    if hasattr(objective, "linearise") and hasattr(objective, "value"):
        return objective, type(objective).__name__
    if callable(objective):
        return CallableObjective(objective), "callable"
    raise TypeError(f"objective must be one of {', '.join(OBJECTIVES)}, an Objective or a function, got {objective!r}")


def smoothing_of(smoothing: Any, rank: int) -> float:
    """Return μ₀: 0.5 for rank > 1 where "auto" is asked for."""
    if isinstance(smoothing, str):
        one_of("smoothing", smoothing, ("auto",))
        return 0.5 if rank > 1 else 0.0
    return number("smoothing", smoothing)


def _start(start: Any, matrix: sparse.csr_array, region: FeasibleSet) -> np.ndarray | None:
    """Return the weights of `start` on the edges of the network."""
    if start is None:
        return None
    given = sparse.csr_array(start, dtype=np.float64)
    if given.shape != matrix.shape:
        raise ValueError(f"start must have the shape {matrix.shape} of the weights, got {given.shape}")
    # Adding a pattern of zeros gives start the edges of the network, in their order.
    pattern = sparse.csr_array((np.full(matrix.nnz, 1.0), matrix.indices, matrix.indptr), shape=matrix.shape)
    merged = sparse.csr_array(given + pattern)
    merged.sort_indices()
    if merged.nnz != matrix.nnz or not np.array_equal(merged.indices, matrix.indices):
        raise ValueError("start must have no edge that the network lacks")
    data = merged.data - 1.0
    data[np.abs(data) < 1e-9 * matrix.data] = 0.0
    if not region.contains(data):
        raise ValueError("start must be feasible: between floor and weight on every edge, and within the budget")
    return np.asarray(np.clip(data, region.floor, matrix.data))
