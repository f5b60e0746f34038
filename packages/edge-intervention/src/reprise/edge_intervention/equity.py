"""Who bears an intervention: the visits that block groups and places lose, by population and by category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.validation import integer, numbers
from reprise.edge_intervention.weights import as_weights

if TYPE_CHECKING:
    import pandas as pd


def losses_by_population(W: Any, M: Any, population: Any, quantiles: int = 5) -> pd.DataFrame:
    """Visits lost by block groups, in groups of equal number from the least to the most populous.

    Parameters
    ----------
    W, M : matrix, shape (n, m)
        Weights before and after.
    population : array_like, shape (n,)
    quantiles : int

    Returns
    -------
    DataFrame
        One row per quantile: block_groups, population, visits, removed, share_removed (of the group's visits), and
        share_of_removal (of all that was removed).

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> losses_by_population([[4.0], [6.0]], [[4.0], [3.0]], [10, 20], quantiles=2)["share_removed"].to_list()
    [0.0, 0.5]
    """
    import pandas as pd

    before, removed = _removed(W, M)
    people = numbers("population", population, before.shape[0], of="block group", low=0.0)
    quantiles = integer("quantiles", quantiles)
    if quantiles > len(people):
        raise ValueError(f"quantiles must not exceed the {len(people)} block groups, got {quantiles}")
    visits, lost = before.sum(axis=1), removed.sum(axis=1)
    groups = np.array_split(np.argsort(people, kind="stable"), quantiles)
    total = float(lost.sum())
    return pd.DataFrame(
        [
            {
                "quantile": k + 1,
                "block_groups": len(group),
                "population": float(people[group].sum()),
                **_losses(float(visits[group].sum()), float(lost[group].sum()), total),
            }
            for k, group in enumerate(groups)
        ]
    )


def losses_by_category(W: Any, M: Any, categories: Any) -> pd.DataFrame:
    """Visits lost by places, by category.

    Parameters
    ----------
    W, M : matrix, shape (n, m)
        Weights before and after.
    categories : dict of str to array_like of int
        Columns of each category; places in none of them are reported as "other".

    Returns
    -------
    DataFrame
        One row per category: places, visits, removed, share_removed, share_of_removal.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> losses_by_category([[4.0, 6.0]], [[4.0, 3.0]], {"cafés": [1]})["removed"].to_list()
    [3.0, 0.0]
    """
    import pandas as pd

    before, removed = _removed(W, M)
    m = before.shape[1]
    visits, lost = before.sum(axis=0), removed.sum(axis=0)
    named = {name: np.asarray(columns) for name, columns in dict(categories).items()}
    for name, columns in named.items():
        if columns.dtype.kind not in "iu" or (len(columns) and not 0 <= columns.min() <= columns.max() < m):
            raise ValueError(f"categories must hold columns between 0 and {m - 1}, got others in {name!r}")
    inside = np.zeros(m, dtype=bool)
    for columns in named.values():
        inside[columns] = True
    named["other"] = np.flatnonzero(~inside)
    total = float(lost.sum())
    return pd.DataFrame(
        [
            {
                "category": name,
                "places": len(columns),
                **_losses(float(visits[columns].sum()), float(lost[columns].sum()), total),
            }
            for name, columns in named.items()
        ]
    )


def _removed(W: Any, M: Any) -> tuple[sparse.csr_array, sparse.csr_array]:
    before = as_weights(W)
    after = sparse.csr_array(M, dtype=np.float64)
    if after.shape != before.shape:
        raise ValueError(f"M must have the shape {before.shape} of W, got {after.shape}")
    return before, sparse.csr_array(before - after)


def _losses(visits: float, removed: float, total: float) -> dict[str, float]:
    return {
        "visits": visits,
        "removed": removed,
        "share_removed": removed / visits if visits else 0.0,
        "share_of_removal": removed / total if total else 0.0,
    }
