"""Do predicted probabilities mean what they say: reliability, Brier score, and recalibration on later data.

Networks that see as many segments with an accident as without give probabilities that are far too large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

from reprise.road_safety.validation import binary_array, integer, one_of, real_array

RECALIBRATIONS = ("isotonic", "logistic")
_CLIP = 1e-6


@dataclass(frozen=True)
class Reliability:
    """Predicted beside observed shares, in bins of equally many predictions.

    Parameters
    ----------
    predicted, observed : ndarray, shape (bins,)
        Mean probability, and share with an accident.
    low, high : ndarray, shape (bins,)
        95 % interval of the share (Wilson), as if predictions were independent.
    count : ndarray of int, shape (bins,)
    brier : float
        Mean squared error of the probabilities.
    skill : float
        1 − Brier score over that of the overall share for everyone; below 0 is worse than saying that.
    error : float
        Mean of |predicted − observed| over predictions (expected calibration error).
    ratio : float
        Sum of the probabilities over accidents: above 1 too many are announced.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    brier: float
    skill: float
    error: float
    ratio: float


def reliability(probability: Any, outcome: Any, bins: int = 10) -> Reliability:
    """Compare probabilities with what happened.

    Parameters
    ----------
    probability : array_like, shape (n,)
        Within [0, 1].
    outcome : array_like of 0 and 1, shape (n,)
    bins : int
        Equal probabilities share a bin, so there may be fewer.

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> found = reliability([0.1] * 10 + [0.5] * 10, [1] + [0] * 9 + [1, 0] * 5, bins=2)
    >>> found.observed.tolist(), round(found.error, 6)
    ([0.1, 0.5], 0.0)
    """
    p = real_array("probability", probability, ndim=1)
    if len(p) == 0 or (p < 0).any() or (p > 1).any():
        raise ValueError(f"probability must lie within [0, 1], got {p[(p < 0) | (p > 1)][:1].tolist() or 'none'}")
    y = binary_array("outcome", outcome, len(p))
    if not y.any():
        raise ValueError("outcome must hold at least one 1, got none")
    edges = np.unique(np.quantile(p, np.arange(1, integer("bins", bins)) / bins))
    of = np.unique(np.searchsorted(edges, p, side="right"), return_inverse=True)[1]
    count = np.bincount(of)
    predicted, observed = np.bincount(of, p) / count, np.bincount(of, y) / count
    low, high = proportion_confint(np.bincount(of, y), count, method="wilson")
    brier, base = float(np.square(p - y).mean()), float(y.mean() * (1 - y.mean()))
    return Reliability(
        predicted=predicted,
        observed=observed,
        low=low,
        high=high,
        count=count,
        brier=brier,
        skill=1 - brier / base if base else float("nan"),
        error=float(np.abs(predicted - observed) @ count / len(p)),
        ratio=float(p.sum() / y.sum()),
    )


def recalibration(scores: Any, outcome: Any, method: str = "isotonic") -> Callable[[Any], np.ndarray]:
    """Learn from other data than the network learnt from what a score means as a probability.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Of the validation years: anything that ranks for "isotonic", probabilities for "logistic".
    outcome : array_like of 0 and 1, shape (n,)
    method : {"isotonic", "logistic"}
        The best increasing step function; or a line on the log-odds (Platt), which keeps the order.

    Returns
    -------
    callable
        From scores to probabilities, shape of the scores.

    Raises
    ------
    ValueError, TypeError
    """
    given = real_array("scores", scores, ndim=1)
    y = binary_array("outcome", outcome, len(given))
    one_of("method", method, RECALIBRATIONS)
    if y.all() or not y.any():
        raise ValueError(f"outcome must hold 0 and 1, got {int(y.sum())} of {len(y)} as 1")
    if method == "isotonic":
        steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(given, y)
        return lambda values: np.asarray(steps.predict(np.ravel(values))).reshape(np.shape(values))
    if (given < 0).any() or (given > 1).any():
        raise ValueError("scores must be probabilities for method='logistic'")
    line = LogisticRegression(C=1e6, max_iter=1000).fit(_log_odds(given), y)
    return lambda values: np.asarray(line.predict_proba(_log_odds(np.ravel(values)))[:, 1]).reshape(np.shape(values))


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(clipped / (1 - clipped))[:, None])
