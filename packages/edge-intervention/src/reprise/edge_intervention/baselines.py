"""What else one could do with the same budget: from lowering everything alike to closing categories of places.

All take the network and a budget (absolute, or as a share of all weight) and return new weights.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.centrality import edge_centrality
from reprise.edge_intervention.errors import BudgetError
from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.validation import integer
from reprise.edge_intervention.weights import absolute_budget, as_weights, edge_rows, finished


def uniform(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Every weight loses the same share: ``M = (1 − b) W``.

    Examples
    --------
    >>> uniform([[0, 2.0], [4.0, 0]], budget=3.0).data
    array([1., 2.])
    """
    matrix = as_weights(W)
    share = absolute_budget(matrix, budget, budget_fraction) / matrix.data.sum()
    return finished(matrix, (1.0 - share) * matrix.data)


def weighted(
    W: Any, budget: float | None = None, *, budget_fraction: float | None = None, exact_budget: bool = False
) -> sparse.csr_array:
    """Every weight loses in proportion to its square: ``M = max(W − c W², 0)``.

    Parameters
    ----------
    W, budget, budget_fraction
    exact_budget : bool
        False: ``c = B / Σ W²`` as in the published code, where the maximum with 0 loses part of the budget (on the
        mobility networks 2.9 to 3.4 % are removed where 5 % were given). True: the c that spends all of it.

    Examples
    --------
    >>> round(float(weighted([[1.0, 9.0]], budget=9.0, exact_budget=True).sum()), 9)
    1.0
    """
    matrix = as_weights(W)
    amount = absolute_budget(matrix, budget, budget_fraction)
    data = matrix.data
    factor = amount / float((data**2).sum())
    if exact_budget:
        factor = _exact_factor(data, amount)
    return finished(matrix, np.maximum(data - factor * data**2, 0.0))


def _exact_factor(data: np.ndarray, amount: float) -> float:
    """The c for which ``Σ min(c W², W)`` is the amount; linear in c between sorted weights."""
    descending = np.sort(data)[::-1]
    vanished = np.concatenate([[0.0], np.cumsum(descending)])
    squares = np.concatenate([np.cumsum((descending**2)[::-1])[::-1], [0.0]])
    removed = vanished[:-1] + squares[:-1] / descending  # at c = 1 / descending[k]
    k = int(np.searchsorted(removed, amount))
    if k == len(descending):
        return float(np.inf)
    return float((amount - vanished[k]) / squares[k])


def k_edge_deletion(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Cut the edges of largest ``u₁(i) v₁(j)`` (Tong et al., CIKM 2012), the last one in part."""
    return _by_score(W, budget, budget_fraction, edge_centrality)


def degree_product(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Cut the edges of largest product of weighted out-degree of i and in-degree of j."""

    def score(matrix: sparse.csr_array) -> np.ndarray:
        rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
        return np.asarray(rows[edge_rows(matrix)] * columns[matrix.indices])

    return _by_score(W, budget, budget_fraction, score)


def random_edges(
    W: Any, budget: float | None = None, *, budget_fraction: float | None = None, seed: int = 0
) -> sparse.csr_array:
    """Cut edges in random order."""
    generator = np.random.default_rng(integer("seed", seed, minimum=0))
    return _by_score(W, budget, budget_fraction, lambda matrix: generator.permutation(matrix.nnz) + 1.0)


def edge_betweenness(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Cut the edges on most shortest paths (of length 1/weight); needs networkx, for small square networks."""
    try:
        networkx = import_module("networkx")
    except ImportError as error:
        raise ValueError("edge_betweenness needs networkx: install it") from error

    def score(matrix: sparse.csr_array) -> np.ndarray:
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"W must be square for edge_betweenness, got {matrix.shape}")
        rows = edge_rows(matrix)
        graph = networkx.DiGraph()
        graph.add_weighted_edges_from(zip(rows.tolist(), matrix.indices.tolist(), 1.0 / matrix.data), weight="length")
        found = networkx.edge_betweenness_centrality(graph, weight="length")
        # An edge on no shortest path may still be cut, after all others.
        return np.array([found[i, j] for i, j in zip(rows.tolist(), matrix.indices.tolist())]) + 1e-300

    return _by_score(W, budget, budget_fraction, score)


def cap_occupancy(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Every place loses a share of the budget in proportion to its visits.

    Notes
    -----
    With ``budget_j = B d_j / Σ d`` for a place with d_j visits and the same share for all of its visitors, this equals
    `uniform`. The caps of Chang et al. (2021) act on hourly maxima, which weekly or monthly weights do not hold.
    """
    matrix = as_weights(W)
    amount = absolute_budget(matrix, budget, budget_fraction)
    visits = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
    of_place = amount * visits / visits.sum()
    kept = 1.0 - np.divide(of_place, visits, out=np.zeros_like(visits), where=visits > 0)
    return finished(matrix, np.clip(kept, 0.0, None)[matrix.indices] * matrix.data)


def close_categories(
    W: Any, category_pois: Any, budget: float | None = None, *, budget_fraction: float | None = None
) -> sparse.csr_array:
    """Only some places lose visits, each in proportion to its own.

    Parameters
    ----------
    W : matrix, shape (n, m)
    category_pois : array_like of int
        Columns of the places.
    budget, budget_fraction

    Raises
    ------
    BudgetError
        If those places have fewer visits than the budget.
    """
    matrix = as_weights(W)
    columns = np.asarray(category_pois)
    if columns.ndim != 1 or columns.dtype.kind not in "iu" or len(columns) == 0:
        raise TypeError(f"category_pois must be a list of columns, got {columns.dtype} of shape {columns.shape}")
    if columns.min() < 0 or columns.max() >= matrix.shape[1]:
        wrong = columns[(columns < 0) | (columns >= matrix.shape[1])][0]
        raise ValueError(f"category_pois must lie between 0 and {matrix.shape[1] - 1}, got {wrong}")
    amount = absolute_budget(matrix, budget, budget_fraction)
    inside = np.zeros(matrix.shape[1], dtype=bool)
    inside[columns] = True
    chosen = inside[matrix.indices]
    total = float(matrix.data[chosen].sum())
    if amount > total:
        raise BudgetError(f"the budget must not exceed the {total:g} visits of category_pois, got {amount:g}")
    return finished(matrix, np.where(chosen, (1.0 - amount / total) * matrix.data, matrix.data))


def water_fill(W: Any, budget: float | None = None, *, budget_fraction: float | None = None) -> sparse.csr_array:
    """Cap all weights at one level: ``M = min(W, L)`` with the L that spends the budget; optimal for disjoint edges.

    Examples
    --------
    >>> water_fill([[1.0, 5.0, 4.0]], budget=3.0).data
    array([1., 3., 3.])
    """
    matrix = as_weights(W)
    amount = absolute_budget(matrix, budget, budget_fraction)
    ascending = np.sort(matrix.data)
    above = np.arange(len(ascending), 0, -1)
    below = np.concatenate([[0.0], np.cumsum(ascending)[:-1]])
    # Weight left with the level at each weight in turn; linear in between.
    left = below + above * ascending
    target = float(matrix.data.sum()) - amount
    k = int(np.searchsorted(left, target))
    level = (target - below[k]) / above[k] if k < len(left) else np.inf
    return finished(matrix, np.minimum(matrix.data, max(level, 0.0)))


def _by_score(W: Any, budget: Any, fraction: Any, score: Any) -> sparse.csr_array:
    matrix = as_weights(W)
    return finished(matrix, FeasibleSet(matrix, budget, fraction).minimiser(score(matrix)))
