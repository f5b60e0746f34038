"""Checks of claims: small pieces that turn a table into a value, its 95 % interval over trials, and a verdict.

A *quantity* is one number per trial: a column name, `values` of a column where some rows are chosen, `ratio` of two
quantities, `loglog_slope`, `rank_correlation`, or any function from the table to a series. A *check* compares the mean
of a quantity with what the paper says. One-sided checks ask that the whole interval lies on the claimed side, so that
noise alone does not reproduce a claim; two-sided ones ask that the mean lies within the stated tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from .claims import Check, Outcome, RowsMissing

Statistic = Literal["mean", "geometric mean", "median"]
Quantity = str | Callable[[pd.DataFrame], "pd.Series[float]"]
Where = Mapping[str, Any]


def values(column: str, where: Where | None = None, *, over: str = "trial") -> Callable[[pd.DataFrame], pd.Series]:
    """One value per trial: the mean of `column` over the rows that `where` chooses.

    Parameters
    ----------
    column : str
    where : mapping of str to value, collection or predicate
        Column to the value that it must equal (floats to rounding), to a list of such values, or to a function from
        the column to a mask.
    over : str
        Column that tells the trials apart; where the table has no such column each row is a trial.

    Returns
    -------
    callable
        From the table to a series indexed by trial; it raises `RowsMissing` where no row is chosen, and KeyError
        where the table has no such column.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["a", "a", "b"], "trial": [0, 1, 0], "error": [1.0, 3.0, 9.0]})
    >>> values("error", {"method": "a"})(table).to_list()
    [1.0, 3.0]
    """

    def quantity(table: pd.DataFrame) -> pd.Series:
        chosen = select(table, where or {})
        _need(chosen, column)
        if over not in chosen:
            return chosen[column].astype(float).reset_index(drop=True)
        return chosen.groupby(over)[column].agg(lambda part: part.astype(float).mean(skipna=False))

    return quantity


def select(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the rows in which every column of `where` equals its value or fulfils its predicate.

    Raises
    ------
    RowsMissing
        If no row is left.
    KeyError
        If a column is absent.
    """
    mask = np.ones(len(table), dtype=bool)
    for column, wanted in where.items():
        _need(table, column)
        if callable(wanted):
            mask &= np.asarray(wanted(table[column]), dtype=bool)
        else:
            options = wanted if isinstance(wanted, (list, tuple, set)) else [wanted]
            mask &= np.logical_or.reduce([_equal(table[column], option) for option in options])
    if not mask.any():
        raise RowsMissing(f"the table has no row with {dict(where)}")
    return table.loc[mask]


def ratio(numerator: Quantity, denominator: Quantity) -> Callable[[pd.DataFrame], pd.Series]:
    """One value per trial: the quotient of two quantities, paired by trial."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        top, bottom = _evaluate(numerator, table).align(_evaluate(denominator, table), join="inner")
        if top.empty:
            raise RowsMissing("the two quantities share no trial")
        with np.errstate(divide="ignore", invalid="ignore"):
            return top / bottom

    return quantity


def loglog_slope(
    x: str, y: str, where: Where | None = None, *, over: str = "trial"
) -> Callable[[pd.DataFrame], pd.Series]:
    """One value per trial: the slope of log `y` against log `x` by least squares.

    The quantity raises `RowsMissing` where a trial has fewer than two different `x`, and is NaN where a value is not
    positive.
    """

    def quantity(table: pd.DataFrame) -> pd.Series:
        return _per_trial(table, x, y, where, over, _slope)

    return quantity


def rank_correlation(
    x: str, y: str, where: Where | None = None, *, over: str = "trial"
) -> Callable[[pd.DataFrame], pd.Series]:
    """One value per trial: Spearman's correlation of `x` and `y` over its rows."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        return _per_trial(table, x, y, where, over, _spearman)

    return quantity


def at_most(quantity: Quantity, bound: float, *, statistic: Statistic = "mean") -> Check:
    """Check that a quantity is at most `bound`, with its whole interval."""

    def check(table: pd.DataFrame) -> Outcome:
        measured, interval, samples = _summary(_evaluate(quantity, table), statistic)
        return Outcome(measured, interval, _upper(measured, interval) <= bound, f"≤ {bound:.4g}", samples)

    return check


def at_least(quantity: Quantity, bound: float, *, statistic: Statistic = "mean") -> Check:
    """Check that a quantity is at least `bound`, with its whole interval."""

    def check(table: pd.DataFrame) -> Outcome:
        measured, interval, samples = _summary(_evaluate(quantity, table), statistic)
        return Outcome(measured, interval, _lower(measured, interval) >= bound, f"≥ {bound:.4g}", samples)

    return check


def within(
    quantity: Quantity, expected: float, tolerance: float, *, relative: bool = False, statistic: Statistic = "mean"
) -> Check:
    """Check that the mean of a quantity differs from `expected` by at most `tolerance` (relative: a share of it)."""
    _check_tolerance(tolerance)
    width = abs(expected) * tolerance if relative else tolerance

    def check(table: pd.DataFrame) -> Outcome:
        measured, interval, samples = _summary(_evaluate(quantity, table), statistic)
        return Outcome(measured, interval, abs(measured - expected) <= width, f"{expected:.4g} ± {width:.2g}", samples)

    return check


def beats(winner: Quantity, loser: Quantity, *, factor: float = 1.0, lower_is_better: bool = True) -> Check:
    """Check that one quantity beats another by `factor`, trial by trial.

    The measured value is the geometric mean over trials of loser/winner (winner/loser where higher is better).
    """
    if not factor > 0:
        raise ValueError(f"factor must be positive, got {factor}")
    quotient = ratio(loser, winner) if lower_is_better else ratio(winner, loser)

    def check(table: pd.DataFrame) -> Outcome:
        measured, interval, samples = _summary(_evaluate(quotient, table), "geometric mean")
        low = _lower(measured, interval)
        holds = low >= factor if factor != 1.0 else low > 1.0
        asked = f"better by ≥ {factor:.4g}×" if factor != 1.0 else "better"
        return Outcome(measured, interval, holds, asked, samples)

    return check


def slope(
    x: str, y: str, *, expected: float, tolerance: float, where: Where | None = None, over: str = "trial"
) -> Check:
    """Check the exponent of a power law: the slope of log `y` against log `x` is `expected` ± `tolerance`.

    The interval is over trials; with a single trial it is that of the regression.
    """
    _check_tolerance(tolerance)

    def check(table: pd.DataFrame) -> Outcome:
        slopes = loglog_slope(x, y, where, over=over)(table)
        measured, interval, samples = _summary(slopes, "mean")
        if interval is None and np.isfinite(measured):
            interval = _regression_interval(select(table, where or {}), x, y)
        return Outcome(
            measured,
            interval,
            abs(measured - expected) <= tolerance,
            f"slope {expected:.4g} ± {tolerance:.2g}",
            samples,
        )

    return check


def all_of(*checks: Check) -> Check:
    """Check that every one of several checks holds.

    What is reported as measured is the first check that fails, or the first of all; the rest is in `Outcome.parts`.
    A check that lacks its rows makes the whole `not run`, unless another one fails.
    """
    if not checks:
        raise ValueError("checks: expected at least one")

    def check(table: pd.DataFrame) -> Outcome:
        found = [_outcome_or_missing(part, table) for part in checks]
        parts = tuple(part for part in found if isinstance(part, Outcome))
        missing = next((part for part in found if isinstance(part, RowsMissing)), None)
        if missing is not None and all(part.holds for part in parts):
            raise missing
        shown = next((part for part in parts if not part.holds), parts[0])
        return Outcome(
            shown.measured, shown.interval, all(p.holds for p in parts), shown.expected, shown.samples, parts
        )

    return check


def _outcome_or_missing(check: Check, table: pd.DataFrame) -> Outcome | RowsMissing:
    try:
        return check(table)
    except RowsMissing as missing:
        return missing


def _need(table: pd.DataFrame, column: str) -> None:
    # A misspelt column is a mistake, not a table of another scale: it must not pass for "not run".
    if column not in table:
        raise KeyError(f"the table has no column {column!r}; it has {', '.join(map(str, table.columns))}")


def _equal(column: pd.Series, wanted: Any) -> np.ndarray[Any, Any]:
    if isinstance(wanted, float):
        return np.asarray(np.isclose(pd.to_numeric(column, errors="coerce"), wanted, rtol=1e-9, atol=0.0))
    return np.asarray(column == wanted, dtype=bool)


def _check_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be finite and not negative, got {tolerance}")


def _evaluate(quantity: Quantity, table: pd.DataFrame) -> pd.Series:
    result = values(quantity)(table) if isinstance(quantity, str) else quantity(table)
    series = pd.Series(np.atleast_1d(result)) if not isinstance(result, pd.Series) else result
    if series.empty:
        raise RowsMissing("the quantity has no value")
    return series.astype(float)


def _summary(series: pd.Series, statistic: Statistic) -> tuple[float, tuple[float, float] | None, int]:
    """Mean and 95 % interval: Student's t for means, percentile bootstrap for the median; None for a single trial."""
    sample = series.to_numpy(dtype=float)
    if statistic not in get_args(Statistic):
        raise ValueError(f"statistic must be one of {', '.join(get_args(Statistic))}, got {statistic!r}")
    if not np.isfinite(sample).all():
        return float("nan"), None, len(sample)
    if statistic == "median":
        centre = float(np.median(sample))
        if len(sample) == 1:
            return centre, None, 1
        found = stats.bootstrap((sample,), np.median, rng=np.random.default_rng(0), method="percentile")
        return centre, (float(found.confidence_interval.low), float(found.confidence_interval.high)), len(sample)
    if statistic == "geometric mean":
        if (sample <= 0).any():
            return float("nan"), None, len(sample)
        centre, interval = _student(np.log(sample))
        return float(np.exp(centre)), interval and (float(np.exp(interval[0])), float(np.exp(interval[1]))), len(sample)
    centre, interval = _student(sample)
    return centre, interval, len(sample)


def _student(sample: np.ndarray[Any, Any]) -> tuple[float, tuple[float, float] | None]:
    centre = float(sample.mean())
    if len(sample) == 1:
        return centre, None
    half = float(stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return centre, (centre - half, centre + half)


def _per_trial(
    table: pd.DataFrame, x: str, y: str, where: Where | None, over: str, function: Callable[[Any, Any], float]
) -> pd.Series:
    chosen = select(table, where or {})
    _need(chosen, x)
    _need(chosen, y)
    groups = chosen.groupby(over) if over in chosen else [(0, chosen)]
    result = {}
    for trial, rows in groups:
        if rows[x].nunique() < 2:
            raise RowsMissing(f"trial {trial} has fewer than two values of {x!r}")
        result[trial] = function(rows[x].to_numpy(dtype=float), rows[y].to_numpy(dtype=float))
    return pd.Series(result, dtype=float)


def _spearman(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    return float(stats.spearmanr(x, y).statistic) if np.ptp(y) > 0 else float("nan")


def _slope(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    if (x <= 0).any() or not (y > 0).all():
        return float("nan")
    return float(stats.linregress(np.log(x), np.log(y)).slope)


def _regression_interval(table: pd.DataFrame, x: str, y: str) -> tuple[float, float] | None:
    if len(table) < 3 or table[x].nunique() < 3:
        return None
    fit = stats.linregress(np.log(table[x].to_numpy(dtype=float)), np.log(table[y].to_numpy(dtype=float)))
    half = stats.t.ppf(0.975, len(table) - 2) * fit.stderr
    return float(fit.slope - half), float(fit.slope + half)


def _upper(measured: float, interval: tuple[float, float] | None) -> float:
    return interval[1] if interval is not None else measured


def _lower(measured: float, interval: tuple[float, float] | None) -> float:
    return interval[0] if interval is not None else measured
