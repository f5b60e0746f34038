"""What a treatment goes with on each treated segment, beside the untreated segments that it is matched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from reprise.road_safety.matching import match
from reprise.road_safety.validation import binary_array, count_array, integer, number, real_array


@dataclass(frozen=True)
class MatchedDifferences:
    """Rates of treated units minus those of their matches.

    Parameters
    ----------
    difference : ndarray, shape (n,)
        Accidents per unit of exposure; NaN for untreated units and for treated ones without a match.
    low, high : ndarray, shape (n,)
        95 % intervals, as if counts were Poisson.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray


def matched_differences(
    T: Any, counts: Any, X: Any, exposure: float = 1.0, *, k: int = 5, caliper: float | None = None
) -> MatchedDifferences:
    """Compare every treated unit with the k untreated ones that are most like it.

    Parameters
    ----------
    T : array_like of 0 and 1, shape (n,)
    counts : array_like of int, shape (n,)
    X : array_like, shape (n, p)
        Covariates to hold alike; standardised here. They must not contain the treatment.
    exposure : float
        Years, say, in which the counts came together.
    k : int
        Matches of a unit, with replacement.
    caliper : float, optional
        Largest distance of a match, in standard deviations.

    Returns
    -------
    MatchedDifferences
        Their mean is the effect on the treated as `effect` finds it by matching. Single ones are noisy: most of their
        intervals may well hold 0.

    Raises
    ------
    ValueError, TypeError

    Notes
    -----
    The interval joins the exact Poisson intervals of both rates: ``d − √((r₁ − l₁)² + (u₀ − r₀)²)`` and
    ``d + √((u₁ − r₁)² + (r₀ − l₀)²)`` (Zou and Donner 2008).

    Examples
    --------
    >>> found = matched_differences([1, 0, 0], [9, 1, 3], [[0.0], [0.1], [0.2]], k=2)
    >>> float(found.difference[0])
    7.0
    """
    X = real_array("X", X, ndim=2)
    treated, y = binary_array("T", T, len(X)), count_array("counts", counts, len(X))
    if treated.all() or not treated.any():
        raise ValueError(f"T must have treated and untreated units, got {int(treated.sum())} treated of {len(X)}")
    time = number("exposure", exposure, low=0.0, open_low=True)
    limit = None if caliper is None else number("caliper", caliper, low=0.0, open_low=True)
    spread = X.std(axis=0)
    _, _, partner = match((X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0), treated, integer("k", k), limit)
    found = partner >= 0
    matches = found.sum(axis=1)
    others = np.where(found, y[partner], 0.0).sum(axis=1)
    own, (own_low, own_high) = y[treated], _poisson(y[treated])
    with np.errstate(divide="ignore", invalid="ignore"):
        beside, beside_low, beside_high = (value / matches for value in (others, *_poisson(others)))
    between = own - beside
    result = np.full((3, len(X)), np.nan)
    result[0, treated] = between
    result[1, treated] = between - np.hypot(own - own_low, beside_high - beside)
    result[2, treated] = between + np.hypot(own_high - own, beside - beside_low)
    result[:, np.flatnonzero(treated)[matches == 0]] = np.nan
    return MatchedDifferences(*(result / time))


def _poisson(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact 95 % interval of the mean of a Poisson count (Garwood 1936)."""
    low = np.where(count > 0, chi2.ppf(0.025, 2 * np.maximum(count, 1)) / 2, 0.0)
    return low, chi2.ppf(0.975, 2 * count + 2) / 2
