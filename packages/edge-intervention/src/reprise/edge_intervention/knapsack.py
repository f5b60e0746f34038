"""The linear subproblem of the intervention: a fractional knapsack, solved exactly by taking the best edges first.

Minimising ``⟨S, gradient⟩`` over ``L ≤ S ≤ W`` with ``Σ c (W − S) ≤ B`` cuts edges in decreasing order of gradient per
cost, the last of them in part (Lemma on the greedy selection). Edges are found by selection, not by sorting: a
three-way quickselect on the weight that the better half of the edges holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.weights import absolute_budget, as_weights, finished, floors, per_edge


def greedy_reduction(
    W: Any,
    scores: Any,
    budget: float | None = None,
    *,
    budget_fraction: float | None = None,
    cost: Any = None,
    floor: Any = None,
) -> sparse.csr_array:
    """Remove weight from the edges of largest score until the budget is spent.

    Parameters
    ----------
    W : matrix, shape (n, m)
    scores : array_like, shape (nnz,)
        What a unit of weight removed from an edge gains, such as `edge_centrality`. Edges with a score of zero or less
        are not touched: to cut them would gain nothing.
    budget : float
        Weight (times cost) that may be removed.
    budget_fraction : float
        The same as a share of all weight, instead of `budget`.
    cost : float, array (nnz,) or matrix, optional
        Cost of removing one unit of weight from an edge, above 0; 1 by default.
    floor : float, array (nnz,) or matrix, optional
        Smallest allowed weight of an edge; 0 by default.

    Returns
    -------
    csr_array, shape (n, m)
        The minimiser of ``⟨S, scores⟩`` over the feasible S; ties go to the edge that comes first.

    Raises
    ------
    InvalidWeightsError, BudgetError, ValueError, TypeError

    Notes
    -----
    Time O(nnz) expected, memory O(nnz). One step with the scores ``u₁(i) v₁(j)`` is K-EdgeDeletion (Tong et al. 2012).

    Examples
    --------
    >>> greedy_reduction([[0, 3.0], [2.0, 0]], [1.0, 5.0], budget=4).toarray()
    array([[0., 1.],
           [0., 0.]])
    """
    matrix = as_weights(W)
    gains = np.asarray(scores)
    if gains.dtype.kind not in "biuf":
        raise TypeError(f"scores must hold real numbers, got {gains.dtype}")
    if gains.shape != (matrix.nnz,):
        raise ValueError(f"scores must have shape ({matrix.nnz},), one per edge, got {gains.shape}")
    if not np.isfinite(gains).all():
        raise ValueError(f"scores must be finite, got {gains[~np.isfinite(gains)][0]}")
    region = FeasibleSet(matrix, budget, budget_fraction, cost, floor)
    return finished(matrix, region.minimiser(gains.astype(np.float64)))


class FeasibleSet:
    """All weights ``floor ≤ M ≤ W`` with ``Σ cost (W − M) ≤ budget``, as vectors over the edges of W.

    Parameters
    ----------
    W : csr_array
        Canonical.
    budget, budget_fraction, cost, floor
        As of `greedy_reduction`.
    """

    def __init__(self, W: sparse.csr_array, budget: Any, budget_fraction: Any, cost: Any = None, floor: Any = None):
        self.weights = W.data
        self.floor = floors(floor, W)
        self.cost = None if cost is None else per_edge("cost", cost, W, positive=True)
        self.removable = self.weights - self.floor
        self._price = self.removable if self.cost is None else self.removable * self.cost
        self.budget = absolute_budget(W, budget, budget_fraction, removable=float(self._price.sum()))

    def spent(self, data: np.ndarray) -> float:
        """Return the budget that weights `data` use."""
        removed = self.weights - data
        return float(removed.sum() if self.cost is None else (removed * self.cost).sum())

    def contains(self, data: np.ndarray, *, tolerance: float = 1e-9) -> bool:
        """Return whether weights are allowed, but for rounding."""
        slack = tolerance * float(self.weights.max())
        inside = bool((data >= self.floor - slack).all() and (data <= self.weights + slack).all())
        return inside and self.spent(data) <= self.budget * (1 + tolerance) + slack

    def minimiser(self, gradient: np.ndarray, *, start: np.ndarray | None = None) -> np.ndarray:
        """Return the feasible weights of smallest ``⟨·, gradient⟩``; with `start` no weight grows beyond its own.

        Parameters
        ----------
        gradient : ndarray, shape (nnz,)
        start : ndarray, shape (nnz,), optional
            Feasible weights from which what is left of the budget is cut, instead of W.
        """
        origin = self.weights if start is None else start
        price = self._price
        left = self.budget
        if start is not None:
            price = np.maximum(start - self.floor, 0.0) * (1.0 if self.cost is None else self.cost)
            left = max(self.budget - self.spent(start), 0.0)
        worth = gradient if self.cost is None else gradient / self.cost
        whole, part, rest = best_first(worth, price, left)
        result = origin.copy()
        result[whole] = np.minimum(origin[whole], self.floor[whole])
        if part >= 0:
            result[part] -= rest if self.cost is None else rest / self.cost[part]
        return result


def best_first(worth: np.ndarray, price: np.ndarray, budget: float) -> tuple[np.ndarray, int, float]:
    """Return which items of positive worth are bought whole, which one in part (or -1), and for how much.

    Parameters
    ----------
    worth : ndarray, shape (k,)
        Gain per unit of price; the larger is bought first, of equal ones the first.
    price : ndarray, shape (k,)
        At least 0.
    budget : float
    """
    candidates = np.flatnonzero((worth > 0) & (price > 0))
    bought: list[np.ndarray] = []
    while len(candidates):
        values = worth[candidates]
        pivot = np.partition(values, len(values) // 2)[len(values) // 2]
        better, equal = candidates[values > pivot], candidates[values == pivot]
        of_better = float(price[better].sum())
        if of_better > budget:
            candidates = better
            continue
        bought.append(better)
        budget -= of_better
        running = np.cumsum(price[equal])
        if running[-1] > budget:
            count = int(np.searchsorted(running, budget, side="right"))
            bought.append(equal[:count])
            rest = budget - (running[count - 1] if count else 0.0)
            return np.concatenate(bought), int(equal[count]) if rest > 0 else -1, float(rest)
        bought.append(equal)
        budget -= float(running[-1])
        candidates = candidates[values < pivot]
    return (np.concatenate(bought) if bought else np.empty(0, dtype=np.intp)), -1, 0.0
