"""One budget over the weeks of a network that changes: Frank-Wolfe on the growth over all weeks together.

Li, Eliassi-Rad and Zhang (2023), the extension to time-varying networks; the epidemic threshold of such networks is
that of the product of their matrices (Prakash et al. 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.product import GrowthChain
from reprise.edge_intervention.results import StepRecord
from reprise.edge_intervention.solver import frank_wolfe
from reprise.edge_intervention.spectrum import leading_triples
from reprise.edge_intervention.step_sizes import open_loop
from reprise.edge_intervention.validation import integer, one_of
from reprise.edge_intervention.weights import absolute_budget, as_weights, finished, with_data

SPLITS = ("uniform", "weight", "sigma", "exponential", "one_shot")


@dataclass(frozen=True)
class TemporalResult:
    """An intervention over all weeks.

    Parameters
    ----------
    weights : list of csr_array
        The new weights of every week.
    objective : float
        ``log Σ_{k≤r} σ_k(K_1 … K_s)²``.
    log10_top : float
        ``log10 σ_1(K_1 … K_s)``.
    gap : float
        Frank-Wolfe gap of the logarithm at the last step; no bound, because the logarithm is not convex.
    budget_used : float
    history : list of StepRecord
    """

    weights: list[sparse.csr_array]
    objective: float
    log10_top: float
    gap: float
    budget_used: float
    history: list[StepRecord] = field(default_factory=list, repr=False)


def frank_wolfe_temporal(
    Ws: Sequence[Any],
    budget: float | None = None,
    rank: int = 5,
    steps: int = 20,
    *,
    budget_fraction: float | None = None,
) -> TemporalResult:
    """Lower the weights of several weeks within one budget so that the growth over all of them becomes small.

    Parameters
    ----------
    Ws : sequence of matrix, each of shape (n, m)
        Weights of the weeks, in order of time.
    budget : float
        Weight that may be removed, over all weeks.
    rank, steps : int
    budget_fraction : float
        The budget as a share of all weight of all weeks.

    Returns
    -------
    TemporalResult
        The best of the iterates.

    Raises
    ------
    InvalidWeightsError, BudgetError, ValueError, TypeError

    Notes
    -----
    Minimises ``log Σ_{k≤r} σ_k(K_1 … K_s)²`` with ``K_t = W_t W_tᵀ`` (rectangular) or ``W_t`` (square), with steps
    ``2/(t+2)``. One step takes the singular vectors of the product by sparse products only, O(q s nnz), and O(s r nnz)
    for the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> weeks = [np.array([[4.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 5.0]])]
    >>> found = frank_wolfe_temporal(weeks, budget_fraction=0.2, rank=1)
    >>> bool(found.log10_top < product_top(weeks))
    True
    """
    weeks = same_shape(Ws)
    rank, steps = integer("rank", rank), integer("steps", steps)
    joined, ends = _joined(weeks)
    region = FeasibleSet(joined, budget, budget_fraction)
    chain = GrowthChain(weeks, rank)
    data, history, gap = joined.data, [], np.nan
    best, best_spectrum = data, chain.spectrum(weeks)
    found = best_spectrum
    for t in range(steps):
        parts = _parts(weeks, data, ends)
        gradient = np.concatenate(chain.gradients(parts, found))
        vertex = region.minimiser(gradient)
        gap = float(gradient @ (data - vertex))
        size = open_loop(t)
        history.append(StepRecord(t, found.log_objective, gap, np.nan, size))
        data = (1 - size) * data + size * vertex
        data = np.minimum(data, joined.data)  # a convex combination leaves its bounds by a last bit
        found = chain.spectrum(_parts(weeks, data, ends))
        if found.log_objective < best_spectrum.log_objective:
            best, best_spectrum = data, found
        if not np.isfinite(found.log_objective):
            break
    return TemporalResult(
        weights=[finished(week, part.data) for week, part in zip(weeks, _parts(weeks, best, ends))],
        objective=best_spectrum.log_objective,
        log10_top=best_spectrum.log10_top,
        gap=gap,
        budget_used=region.spent(best),
        history=history,
    )


def frank_wolfe_weekly(
    Ws: Sequence[Any],
    budget: float | None = None,
    rank: int = 5,
    steps: int = 20,
    *,
    how: str = "weight",
    budget_fraction: float | None = None,
) -> TemporalResult:
    """Lower the weights of every week on its own, with a share of the budget each; see `split_budget`."""
    weeks = same_shape(Ws)
    shares = split_budget(weeks, budget, how, budget_fraction=budget_fraction)
    parts = [
        frank_wolfe(week, float(share), rank, steps).weights if share > 0 else week
        for week, share in zip(weeks, shares)
    ]
    spectrum = GrowthChain(weeks, integer("rank", rank)).spectrum(parts)
    used = sum(float(week.sum() - part.sum()) for week, part in zip(weeks, parts))
    return TemporalResult(parts, spectrum.log_objective, spectrum.log10_top, np.nan, used)


def product_top(Ws: Sequence[Any]) -> float:
    """Return ``log10 σ_1(K_1 … K_s)`` of the weeks, −inf for a product of zero."""
    weeks = same_shape(Ws)
    return GrowthChain(weeks, 1).spectrum(weeks).log10_top


def split_budget(
    Ws: Sequence[Any], budget: float | None = None, how: str = "uniform", *, budget_fraction: float | None = None
) -> np.ndarray:
    """Share one budget among the weeks.

    Parameters
    ----------
    Ws : sequence of matrix
    budget : float
    how : {"uniform", "weight", "sigma", "exponential", "one_shot"}
        Equal shares; by total weight; by largest singular value; ``e^{-t}`` for week t; all in the first week.
    budget_fraction : float
        The budget as a share of all weight of all weeks.

    Returns
    -------
    ndarray, shape (s,)
        No week gets more than its weight; what is too much goes to the others in the same proportions.

    Examples
    --------
    >>> split_budget([[[4.0]], [[1.0]]], budget=3.0, how="uniform")
    array([2., 1.])
    """
    weeks = same_shape(Ws)
    one_of("how", how, SPLITS)
    totals = np.array([float(week.sum()) for week in weeks])
    left = absolute_budget(_joined(weeks)[0], budget, budget_fraction)
    share = _proportions(weeks, totals, how)
    given = np.zeros(len(weeks))
    for _ in range(2 * len(weeks)):
        open_weeks = given < totals * (1 - 1e-12)
        if left <= 1e-12 * totals.sum() or not open_weeks.any():
            break
        weighing = np.where(open_weeks, share, 0.0)
        if weighing.sum() == 0:
            weighing[np.argmax(open_weeks)] = 1.0
        more = np.minimum(left * weighing / weighing.sum(), totals - given)
        given += more
        left -= float(more.sum())
    return given


def _proportions(weeks: list[sparse.csr_array], totals: np.ndarray, how: str) -> np.ndarray:
    index = np.arange(len(weeks))
    if how == "uniform":
        return np.ones(len(weeks))
    if how == "weight":
        return totals
    if how == "sigma":
        return np.array([float(leading_triples(week, 1).values[0]) for week in weeks])
    if how == "exponential":
        return np.asarray(np.exp(-index.astype(float)))
    return np.where(index == 0, 1.0, 0.0)


def same_shape(Ws: Sequence[Any]) -> list[sparse.csr_array]:
    """Return the weeks as canonical matrices of one shape."""
    if sparse.issparse(Ws) or not isinstance(Ws, (list, tuple, np.ndarray)) or len(Ws) == 0:
        raise TypeError(f"Ws must be a list of at least one matrix, one per week, got {type(Ws).__name__}")
    weeks = [as_weights(W, name=f"Ws[{t}]") for t, W in enumerate(Ws)]
    for t, week in enumerate(weeks):
        if week.shape != weeks[0].shape:
            raise ValueError(f"Ws must all have the shape {weeks[0].shape} of the first, got {week.shape} in week {t}")
    return weeks


def _joined(weeks: list[sparse.csr_array]) -> tuple[sparse.csr_array, np.ndarray]:
    """All weeks below one another, and where each ends: one knapsack for one budget."""
    return sparse.csr_array(sparse.vstack(weeks, format="csr")), np.cumsum([week.nnz for week in weeks])


def _parts(weeks: list[sparse.csr_array], data: np.ndarray, ends: np.ndarray) -> list[sparse.csr_array]:
    return [with_data(week, part) for week, part in zip(weeks, np.split(data, ends[:-1]))]
