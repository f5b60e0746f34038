"""What each further part of the budget buys: the best weights over a range of budgets, each from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.edge_intervention.results import InterventionResult
from reprise.edge_intervention.solver import frank_wolfe
from reprise.edge_intervention.validation import number
from reprise.edge_intervention.weights import as_weights


@dataclass(frozen=True)
class ParetoCurve:
    """Objectives over budgets.

    Parameters
    ----------
    fractions : ndarray, shape (k,)
        Budgets as shares of all weight, ascending.
    results : list of InterventionResult
        One per budget.
    """

    fractions: np.ndarray
    results: list[InterventionResult]

    @property
    def objectives(self) -> np.ndarray:
        """Of the results, shape (k,); never ascending."""
        return np.array([result.objective for result in self.results])

    @property
    def lower_bounds(self) -> np.ndarray:
        """Of the results, shape (k,)."""
        return np.array([result.lower_bound for result in self.results])


def pareto_curve(W: Any, fractions: Sequence[float], **options: Any) -> ParetoCurve:
    """Solve for several budgets, from small to large, each from the answer before.

    Parameters
    ----------
    W : matrix, shape (n, m)
    fractions : sequence of float
        Budgets as shares of all weight, in any order.
    **options
        Of `frank_wolfe`, but for the budget and the start.

    Returns
    -------
    ParetoCurve

    Raises
    ------
    ValueError, TypeError
        As `frank_wolfe`.

    Examples
    --------
    >>> curve = pareto_curve([[0, 2.0, 1.0], [2.0, 0, 1.0], [1.0, 1.0, 0]], [0.5, 0.1], rank=1)
    >>> bool(curve.objectives[0] > curve.objectives[1])
    True
    """
    for name in ("budget", "budget_fraction", "start"):
        if name in options:
            raise TypeError(f"pareto_curve sets {name} itself: leave it out")
    matrix = as_weights(W)
    ascending = sorted(number("fractions", fraction, high=1.0) for fraction in fractions)
    if not ascending:
        raise ValueError("fractions must hold at least one budget, got none")
    results: list[InterventionResult] = []
    for fraction in ascending:
        start = results[-1].weights if results else None
        results.append(frank_wolfe(matrix, budget_fraction=fraction, start=start, **options))
    return ParetoCurve(np.array(ascending), results)
