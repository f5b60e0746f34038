"""Rates on wet and dry days."""

import numpy as np
import pandas as pd
import pytest

from reprise.road_safety import matched_rate_ratio

DAYS = pd.date_range("2018-01-01", "2019-12-31")


def series(effect=1.5, seed=0):
    rng = np.random.default_rng(seed)
    season = 4 + 3 * np.cos(2 * np.pi * DAYS.day_of_year / 365)
    # It rains more when there are more accidents anyhow.
    rain = pd.Series(np.where(rng.random(len(DAYS)) < season / 12, rng.exponential(12, len(DAYS)), 0.0), DAYS)
    counts = pd.Series(rng.poisson(season * np.where(rain >= 5, effect, 1)), DAYS)
    return counts, rain


def test_strata_remove_what_season_adds():
    ratios = [matched_rate_ratio(*series(1.5, seed), 5.0, bootstrap=20) for seed in range(8)]
    assert np.mean([found.ratio for found in ratios]) == pytest.approx(1.5, abs=0.06)
    assert np.mean([found.unmatched for found in ratios]) > 1.6


def test_the_ratio_is_what_a_loop_finds():
    counts, rain = series()
    seen = expected = 0.0
    table = pd.DataFrame({"count": counts, "rain": rain})
    table = table[(table["rain"] >= 5) | (table["rain"] < 0.1)]
    for _, part in table.groupby([table.index.year, table.index.month, table.index.day_of_week]):
        wet, dry = part[part["rain"] >= 5], part[part["rain"] < 0.1]
        if len(wet) and len(dry):
            seen += wet["count"].sum()
            expected += len(wet) * dry["count"].mean()
    assert matched_rate_ratio(counts, rain, 5.0, bootstrap=5).ratio == pytest.approx(seen / expected)


def test_without_strata_it_is_the_ratio_of_means():
    counts, rain = series()
    found = matched_rate_ratio(counts, rain, 5.0, (), bootstrap=5)
    assert found.ratio == pytest.approx(found.unmatched)


def test_intervals_hold_the_truth():
    held = [
        low <= 1.5 <= high
        for low, high in (matched_rate_ratio(*series(1.5, seed), 5.0, bootstrap=200).ci for seed in range(20))
    ]
    assert sum(held) >= 15


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"counts_by_day": [1, 2]}, TypeError, "counts_by_day must be a pandas Series"),
        ({"threshold_mm": 0.01}, ValueError, "threshold_mm"),
        ({"threshold_mm": 1e6}, ValueError, "threshold_mm must leave wet and dry days"),
        ({"strata": ("hour",)}, ValueError, "strata must be one of"),
        ({"bootstrap": 0}, ValueError, "bootstrap"),
    ],
)
def test_bad_input_is_named(change, error, said):
    counts, rain = series()
    with pytest.raises(error, match=said):
        matched_rate_ratio(**{"counts_by_day": counts, "weather_by_day": rain, "threshold_mm": 5.0} | change)


def test_a_day_that_stands_twice_and_a_negative_count_are_refused():
    counts, rain = series()
    with pytest.raises(ValueError, match="every day once"):
        matched_rate_ratio(pd.concat([counts, counts[:1]]), rain)
    with pytest.raises(ValueError, match="at least 0"):
        matched_rate_ratio(counts - 100, rain)
