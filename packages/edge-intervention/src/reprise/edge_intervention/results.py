"""What a solver returns: the new weights, how good they are, how good any could be, and how it got there."""

from __future__ import annotations

from dataclasses import dataclass, field

from scipy import sparse


@dataclass(frozen=True)
class StepRecord:
    """One step of Frank-Wolfe.

    Parameters
    ----------
    step : int
        From 0.
    objective : float
        Before the step.
    gap : float
        ``⟨∇f(M), M − S⟩``, with the gradient that was used.
    lower_bound : float
        On the optimum, from this step; NaN where the objective is not convex.
    step_size : float
    """

    step: int
    objective: float
    gap: float
    lower_bound: float
    step_size: float


@dataclass(frozen=True)
class InterventionResult:
    """An intervention within a budget.

    Parameters
    ----------
    weights : csr_array, shape (n, m)
        The new weights.
    objective : float
        At the new weights.
    lower_bound : float
        No feasible weights have a smaller objective; NaN where none is known.
    gap : float
        ``objective − lower_bound``; without a lower bound the last Frank-Wolfe gap.
    budget_used : float
        Weight (times cost) that was removed.
    initial_objective : float
        At the weights given.
    converged : bool
        Whether the gap is at most the tolerance times the objective.
    method : str
        How it was found, such as ``"spectral, r=20, open_loop"``.
    history : list of StepRecord
    """

    weights: sparse.csr_array
    objective: float
    lower_bound: float
    gap: float
    budget_used: float
    initial_objective: float
    converged: bool
    method: str
    history: list[StepRecord] = field(default_factory=list, repr=False)
