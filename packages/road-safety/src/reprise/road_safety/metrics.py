"""How well scores find the segments with accidents, month by month."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from reprise.road_safety.balance import auc
from reprise.road_safety.validation import integer, one_of, real_array

NEGATIVES = ("all", "official")


def evaluate(
    scores: Any, counts: Any, negatives: str = "all", *, edge_index: Any = None, k: int = 100
) -> dict[str, float]:
    """Judge the scores of one month.

    Parameters
    ----------
    scores : array_like, shape (E,)
        Probabilities of an accident, expected counts, or anything that ranks.
    counts : array_like of int, shape (E,)
    negatives : {"all", "official"}
        Which segments without accidents count: all; or, as in the authors' code, only those of which not both ends
        touch a segment with one. That drops near misses.
    edge_index : array_like, shape (2, E)
        Needed for "official".
    k : int
        Of precision at the top of the list.

    Returns
    -------
    dict
        ``auroc``, ``ap``, ``precision_at_k`` (NaN in a month with one class only); ``brier`` of scores within [0, 1];
        ``mae_pos`` (on segments with accidents), ``mae_all`` and ``poisson_deviance`` (mean) of scores of at least 0;
        ``positives``.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> evaluate([0.9, 0.2, 0.1], [1, 0, 0], k=1)["auroc"]
    1.0
    """
    given = real_array("scores", scores, ndim=1)
    found = real_array("counts", counts, ndim=1, length=len(given))
    if (found < 0).any() or (found % 1 != 0).any():
        wrong = found[(found < 0) | (found % 1 != 0)][0]
        raise ValueError(f"counts must be whole numbers of at least 0, got {wrong:g}")
    one_of("negatives", negatives, NEGATIVES)
    if negatives == "official":
        if edge_index is None:
            raise ValueError("edge_index must be given for negatives='official'")
        kept = official_negatives(np.asarray(edge_index), found > 0) | (found > 0)
        given, found = given[kept], found[kept]
    positive = found > 0
    result = {"positives": float(positive.sum())}
    both = positive.any() and not positive.all()
    result["auroc"] = auc(given, positive) if both else float("nan")
    result["ap"] = float(average_precision_score(positive, given)) if both else float("nan")
    top = np.argsort(-given, kind="stable")[: integer("k", k)]
    result["precision_at_k"] = float(positive[top].mean()) if both else float("nan")
    bounded = bool((given >= 0).all() and (given <= 1).all())
    result["brier"] = float(((given - positive) ** 2).mean()) if bounded else float("nan")
    result["mae_pos"] = float(np.abs(given - found)[positive].mean()) if positive.any() else float("nan")
    result["mae_all"] = float(np.abs(given - found).mean())
    result["poisson_deviance"] = poisson_deviance(given, found) if (given >= 0).all() else float("nan")
    return result


def poisson_deviance(rate: np.ndarray, counts: np.ndarray) -> float:
    """Return the mean of ``2 (y log(y/μ) − y + μ)``; rates below 1e-6 are raised to it.

    Examples
    --------
    >>> poisson_deviance(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    0.0
    """
    mu = np.maximum(rate, 1e-6)
    log_ratio = np.log(np.divide(counts, mu, out=np.ones_like(mu), where=counts > 0))
    return float(2 * (counts * log_ratio - counts + mu).mean())


def official_negatives(edge_index: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the edges that the authors' code samples as negatives: not both ends touch an accident."""
    touched = np.zeros(int(edge_index.max()) + 1, dtype=bool)
    touched[edge_index[:, positive].ravel()] = True
    return np.asarray(~touched[edge_index].all(axis=0))


def monthly_mean(rows: list[dict[str, float]], name: str) -> float:
    """Return the mean over months, weighted by segments with accidents; months without a value are left out."""
    values = np.array([row[name] for row in rows])
    weight = np.array([row["positives"] for row in rows])
    known = np.isfinite(values) & (weight > 0)
    return float(np.average(values[known], weights=weight[known])) if known.any() else float("nan")
