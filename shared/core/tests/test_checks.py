import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reprise.core import (
    Claim,
    RowsMissing,
    Verdict,
    all_of,
    at_least,
    at_most,
    beats,
    loglog_slope,
    rank_correlation,
    ratio,
    slope,
    values,
    within,
)

TRIALS = pd.DataFrame(
    {
        "method": ["ours"] * 4 + ["theirs"] * 4,
        "alpha": [0.1] * 8,
        "trial": [0, 1, 2, 3] * 2,
        "error": [1.0, 1.2, 0.9, 1.1, 4.0, 4.4, 4.2, 3.8],
    }
)
OURS, THEIRS = values("error", {"method": "ours"}), values("error", {"method": "theirs"})


def test_interval_of_a_mean_is_that_of_scipy():
    outcome = at_most(OURS, 2.0)(TRIALS)
    sample = np.array([1.0, 1.2, 0.9, 1.1])
    expected = stats.t.interval(0.95, 3, loc=sample.mean(), scale=stats.sem(sample))
    assert outcome.measured == pytest.approx(sample.mean())
    assert outcome.interval == pytest.approx(expected)
    assert outcome.samples == 4


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30, unique=True), st.floats(-6, 6))
def test_one_sided_checks_ask_for_the_whole_interval(sample, bound):
    table = pd.DataFrame({"trial": range(len(sample)), "x": sample})
    above, below = at_least("x", bound)(table), at_most("x", bound)(table)
    low, high = above.interval
    assert low <= above.measured <= high
    assert above.holds == (low >= bound)
    assert below.holds == (high <= bound)
    assert not (above.holds and below.holds) or low == high == bound


def test_single_trial_has_no_interval_and_is_judged_by_its_value():
    table = pd.DataFrame({"trial": [0], "x": [1.0]})
    assert at_most("x", 1.0)(table).interval is None
    assert at_most("x", 1.0)(table).holds
    assert not at_most("x", 0.99)(table).holds


def test_values_average_within_a_trial():
    table = pd.DataFrame({"trial": [0, 0, 1], "x": [1.0, 3.0, 10.0]})
    assert list(values("x")(table)) == [2.0, 10.0]
    assert list(values("x", over="nothing")(table)) == [1.0, 3.0, 10.0]


def test_where_takes_values_floats_to_rounding_and_predicates():
    table = pd.DataFrame({"trial": [0, 1, 2], "alpha": [0.1 + 0.2, 0.3, 0.4], "x": [1.0, 2.0, 3.0]})
    assert list(values("x", {"alpha": 0.3})(table)) == [1.0, 2.0]
    assert list(values("x", {"alpha": lambda alpha: alpha > 0.35})(table)) == [3.0]


@pytest.mark.parametrize(
    "check",
    [
        at_most(values("error", {"method": "nobody"}), 1.0),
        beats(OURS, values("error", {"method": "nobody"})),
        slope("alpha", "error", expected=1, tolerance=1),
        all_of(at_most(OURS, 9.0), at_most(values("error", {"method": "nobody"}), 1.0)),
    ],
)
def test_claim_without_its_rows_is_not_run(check):
    with pytest.raises(RowsMissing):
        check(TRIALS)
    verdict, outcome = Claim("C", "it is so", "Table 1", None, "direction", check).judge(TRIALS)
    assert verdict is Verdict.NOT_RUN and outcome is None


@pytest.mark.parametrize(
    "check",
    [
        at_most(values("error", {"no column": 1}), 1.0),
        at_most("no column", 1.0),
        slope("no column", "error", expected=1, tolerance=1),
    ],
)
def test_misspelt_column_is_a_mistake_and_not_a_verdict(check):
    with pytest.raises(KeyError, match="the table has no column 'no column'; it has method, alpha, trial, error"):
        Claim("C", "it is so", "Table 1", None, "direction", check).judge(TRIALS)


def test_where_takes_lists_and_floats_against_text():
    assert list(values("error", {"method": ["ours", "nobody"]})(TRIALS)) == [1.0, 1.2, 0.9, 1.1]
    with pytest.raises(RowsMissing):
        values("error", {"method": 0.5})(TRIALS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: within("x", 1, np.inf), "tolerance must be finite"),
        (lambda: slope("x", "y", expected=1, tolerance=-1), "tolerance must be finite and not negative, got -1"),
        (lambda: beats("x", "y", factor=0), "factor must be positive, got 0"),
        (lambda: at_most("error", 1, statistic="max")(TRIALS), "statistic must be one of mean, geometric mean, median"),
    ],
)
def test_checks_that_could_not_fail_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_all_of_fails_even_where_another_part_has_no_rows():
    missing = at_most(values("error", {"method": "nobody"}), 1.0)
    assert not all_of(missing, at_most(OURS, 0.1))(TRIALS).holds
    with pytest.raises(RowsMissing):
        all_of(missing, at_most(OURS, 9.0))(TRIALS)


def test_beats_measures_the_geometric_mean_of_paired_ratios():
    outcome = beats(OURS, THEIRS, factor=3)(TRIALS)
    ratios = np.array([4.0, 4.4 / 1.2, 4.2 / 0.9, 3.8 / 1.1])
    assert outcome.measured == pytest.approx(stats.gmean(ratios))
    assert outcome.holds
    assert not beats(OURS, THEIRS, factor=4)(TRIALS).holds
    assert not beats(THEIRS, OURS)(TRIALS).holds
    assert beats(THEIRS, OURS, factor=3, lower_is_better=False)(TRIALS).holds


def test_ratio_pairs_by_trial_whatever_the_order():
    shuffled = TRIALS.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(ratio(THEIRS, OURS)(shuffled), ratio(THEIRS, OURS)(TRIALS))


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_slope_finds_the_exponent_of_a_power_law(exponent, factor):
    x = np.array([1.0, 2.0, 4.0, 8.0])
    table = pd.DataFrame({"trial": np.repeat([0, 1], 4), "x": np.tile(x, 2), "y": np.tile(factor * x**exponent, 2)})
    outcome = slope("x", "y", expected=exponent, tolerance=1e-9)(table)
    assert outcome.holds and outcome.measured == pytest.approx(exponent, abs=1e-9)
    assert not slope("x", "y", expected=exponent + 0.1, tolerance=0.05)(table).holds


def test_slope_of_one_trial_has_the_interval_of_the_regression():
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    y = x**2 * np.array([1.0, 1.1, 0.9, 1.05, 1.0])
    outcome = slope("x", "y", expected=2, tolerance=0.1)(pd.DataFrame({"x": x, "y": y}))
    fit = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, 3) * fit.stderr
    assert outcome.interval == pytest.approx((fit.slope - half, fit.slope + half))


def test_slope_of_values_that_are_not_positive_is_not_reproduced():
    table = pd.DataFrame({"trial": [0, 0], "x": [1.0, 2.0], "y": [1.0, 0.0]})
    assert math.isnan(loglog_slope("x", "y")(table).iloc[0])
    assert not slope("x", "y", expected=1, tolerance=100)(table).holds


def test_rank_correlation_is_that_of_scipy():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"x": generator.random(20), "y": generator.random(20)})
    assert rank_correlation("x", "y")(table).iloc[0] == pytest.approx(stats.spearmanr(table.x, table.y).statistic)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_value_that_is_not_finite_reproduces_nothing(bad):
    table = pd.DataFrame({"trial": [0, 1], "x": [1.0, bad]})
    for check in (at_most("x", 1e300), at_least("x", -1e300), within("x", 1.0, 1e300), beats("x", "x", factor=0.1)):
        outcome = check(table)
        assert math.isnan(outcome.measured) and not outcome.holds


def test_within_takes_absolute_and_relative_tolerances():
    table = pd.DataFrame({"x": [10.4]})
    assert within("x", 10, 0.5)(table).holds and not within("x", 10, 0.3)(table).holds
    assert within("x", 10, 0.05, relative=True)(table).holds and not within("x", 10, 0.03, relative=True)(table).holds
    with pytest.raises(ValueError, match="tolerance must be finite and not negative"):
        within("x", 10, -1)


def test_median_has_a_bootstrap_interval_around_it():
    table = pd.DataFrame({"x": np.arange(101.0)})
    outcome = at_most("x", 100, statistic="median")(table)
    assert outcome.measured == 50
    assert 30 < outcome.interval[0] < 50 < outcome.interval[1] < 70


def test_all_of_reports_the_first_check_that_fails():
    table = pd.DataFrame({"x": [1.0], "y": [5.0]})
    good = all_of(at_most("x", 2), at_most("y", 6))(table)
    assert good.holds and good.measured == 1.0 and len(good.parts) == 2
    bad = all_of(at_most("x", 2), at_most("y", 4))(table)
    assert not bad.holds and bad.measured == 5.0 and bad.expected == "≤ 4"
    with pytest.raises(ValueError, match="at least one"):
        all_of()


def test_level_of_a_claim_is_checked():
    with pytest.raises(ValueError, match="level must be 'number' or 'direction', got 'guess'"):
        Claim("C", "it is so", "Table 1", None, "guess", at_most("x", 1))
