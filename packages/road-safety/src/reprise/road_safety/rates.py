"""Rates on wet and dry days, matched within strata of the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reprise.road_safety.validation import integer, number, one_of

STRATA = ("year_month", "month", "year", "weekday")
# A day with less is dry.
DRY_MM = 0.1


@dataclass(frozen=True)
class RateRatio:
    """How many times more often on days with much rain than on dry days.

    Parameters
    ----------
    ratio : float
    ci : tuple of float
        95 % percentile interval of the bootstrap over months.
    n : tuple of int
        Days with rain and dry days that took part.
    unmatched : float
        The ratio without strata.
    """

    ratio: float
    ci: tuple[float, float]
    n: tuple[int, int]
    unmatched: float


def matched_rate_ratio(
    counts_by_day: Any,
    weather_by_day: Any,
    threshold_mm: float = 5.0,
    strata: tuple[str, ...] = ("year_month", "weekday"),
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> RateRatio:
    """Compare counts on days with at least so much rain with dry days of the same stratum.

    Parameters
    ----------
    counts_by_day : pandas.Series
        Crashes of each day, by date. Days without crashes must be there, as 0.
    weather_by_day : pandas.Series
        Precipitation in mm, by date; days without a value are left out.
    threshold_mm : float
        Rain from here on is "wet"; below 0.1 mm is "dry"; days between are left out.
    strata : tuple of {"year_month", "month", "year", "weekday"}
        Days are compared within equal values of all of these; () compares all days.
    bootstrap : int
        Draws of whole months.
    seed : int

    Returns
    -------
    RateRatio

    Raises
    ------
    ValueError
        If no stratum has days of both kinds.

    Notes
    -----
    Each wet day stands beside the mean of the dry days of its stratum (matching on the stratum, all matches used);
    the ratio is the sum of the former over the sum of the latter: the effect on the days that were wet.

    Examples
    --------
    >>> days = pd.date_range("2020-01-01", periods=365)
    >>> rain = pd.Series(np.where(np.arange(365) % 3 == 0, 10.0, 0.0), days)
    >>> crashes = pd.Series(np.where(rain > 0, 6, 5), days)
    >>> round(matched_rate_ratio(crashes, rain, 5.0, bootstrap=50).ratio, 3)
    1.2
    """
    threshold = number("threshold_mm", threshold_mm, low=DRY_MM)
    bootstrap, seed = integer("bootstrap", bootstrap), integer("seed", seed, minimum=0)
    for name in strata:
        one_of("strata", name, STRATA)
    counts, rain = daily("counts_by_day", counts_by_day), daily("weather_by_day", weather_by_day)
    if (counts < 0).any():
        raise ValueError(f"counts_by_day must be at least 0, got {counts.min():g} on {counts.idxmin():%Y-%m-%d}")
    table = pd.concat([counts.rename("count"), rain.rename("rain")], axis=1, join="inner").dropna()
    table = table[(table["rain"] >= threshold) | (table["rain"] < DRY_MM)]
    wet = (table["rain"] >= threshold).to_numpy()
    days = pd.DatetimeIndex(table.index)
    keys = {
        "year_month": days.year * 12 + days.month,
        "month": days.month,
        "year": days.year,
        "weekday": days.day_of_week,
    }
    value = table["count"].to_numpy(np.float64)
    stratum = pd.DataFrame({name: keys[name] for name in strata}, index=days)
    group = stratum.groupby(list(strata), sort=True).ngroup().to_numpy() if strata else np.zeros(len(days), dtype=int)
    month = np.unique(keys["year_month"], return_inverse=True)[1]
    if not wet.any() or wet.all():
        raise ValueError(
            f"threshold_mm must leave wet and dry days, got {threshold:g} with {wet.sum()} wet of {len(wet)}"
        )

    totals = _cell_totals(value, wet, group, month)
    ratio = _ratio(*(array.sum(axis=0) for array in totals))
    if not np.isfinite(ratio):
        raise ValueError("strata must have days of both kinds with crashes on dry days, got none")
    generator = np.random.default_rng(seed)
    months = int(month.max()) + 1
    draws = []
    for _ in range(bootstrap):
        weight = np.bincount(generator.integers(months, size=months), minlength=months)
        draws.append(_ratio(*(np.tensordot(weight, array, 1) for array in totals)))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    matched = np.isin(group, group[wet]) & np.isin(group, group[~wet])
    unmatched = float(value[wet].mean() / value[~wet].mean())
    return RateRatio(
        ratio, (float(low), float(high)), (int((wet & matched).sum()), int((~wet & matched).sum())), unmatched
    )


def daily(name: str, series: Any) -> pd.Series:
    """Return a series by date with one value per day.

    Raises
    ------
    TypeError, ValueError
        If it is no series of numbers by date, or holds a day twice.
    """
    if not isinstance(series, pd.Series) or not pd.api.types.is_numeric_dtype(series.dtype):
        raise TypeError(f"{name} must be a pandas Series of numbers by date, got {type(series).__name__}")
    try:
        index = pd.DatetimeIndex(series.index).normalize()
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must have dates as its index, got {series.index[:1].tolist()}") from error
    if index.has_duplicates:
        raise ValueError(f"{name} must hold every day once, got {index[index.duplicated()][0]:%Y-%m-%d} twice")
    return pd.Series(series.to_numpy(np.float64), index)


def _cell_totals(value: np.ndarray, wet: np.ndarray, group: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, ...]:
    """Counts and days of both kinds by month and stratum: four arrays (months, strata)."""
    shape = (int(month.max()) + 1, int(group.max()) + 1)
    cell = month * shape[1] + group
    size = shape[0] * shape[1]
    return tuple(
        np.bincount(cell[kind], weight[kind], size).reshape(shape)
        for kind in (wet, ~wet)
        for weight in (value, np.ones_like(value))
    )


def _ratio(wet_count: np.ndarray, wet_days: np.ndarray, dry_count: np.ndarray, dry_days: np.ndarray) -> float:
    both = (wet_days > 0) & (dry_days > 0)
    expected = float((wet_days[both] * dry_count[both] / dry_days[both]).sum())
    return float(wet_count[both].sum() / expected) if expected > 0 else float("nan")
