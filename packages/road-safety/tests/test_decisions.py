"""From scores to decisions: shrunk counts, ranked segments, budgets, calibration."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma
from sklearn.metrics import brier_score_loss

from reprise.road_safety import at_budget, rank_segments, recalibration, reliability, shrunk_counts
from reprise.road_safety.shrinkage import ShrunkCounts, segment_features


def test_shrunk_counts_lie_between_the_count_and_its_kind():
    rng = np.random.default_rng(0)
    found = shrunk_counts(rng.standard_normal((300, 2)), rng.negative_binomial(2, 0.4, 300))
    low, high = np.minimum(found.observed, found.prior), np.maximum(found.observed, found.prior)
    assert (found.expected >= low - 1e-9).all() and (found.expected <= high + 1e-9).all()


def test_shrinkage_is_the_posterior_mean_of_its_formula():
    found = ShrunkCounts(np.array([0.0, 6.0]), np.array([2.0, 2.0]), 0.5)
    weight = 1 / (1 + 0.5 * 2)  # Hauer: 1 / (1 + φ μ) on the regression
    assert found.expected == pytest.approx(weight * 2 + (1 - weight) * found.observed)
    low, high = found.interval()
    assert low == pytest.approx(gamma.ppf(0.025, found.shape, scale=1 / found.rate))
    draws = np.array([found.sample(np.random.default_rng(seed)) for seed in range(4000)])
    assert draws.mean(axis=0) == pytest.approx(found.expected, rel=0.05)
    assert ((draws >= low) & (draws <= high)).mean(axis=0) == pytest.approx(0.95, abs=0.02)


def test_overdispersion_is_found_and_predictions_beat_counts_and_regression():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(4000)
    rates = np.exp(0.5 + 0.4 * x) * rng.gamma(2.0, 0.5, 4000)
    found = shrunk_counts(x[:, None], rng.poisson(rates))
    assert found.overdispersion == pytest.approx(0.5, abs=0.1)
    error = {name: np.square(getattr(found, name) - rates).mean() for name in ("observed", "prior", "expected")}
    assert error["expected"] < min(error["observed"], error["prior"])
    low, high = found.interval()
    assert ((low <= rates) & (rates <= high)).mean() == pytest.approx(0.95, abs=0.02)


def test_weights_are_repetitions():
    rng = np.random.default_rng(2)
    X, y, w = rng.standard_normal((80, 2)), rng.poisson(2, 80), rng.integers(0, 4, 80)
    weighted = shrunk_counts(X, y, w)
    repeated = shrunk_counts(np.repeat(X, w, axis=0), np.repeat(y, w))
    assert weighted.overdispersion == pytest.approx(repeated.overdispersion, rel=1e-3)
    assert np.repeat(weighted.prior, w) == pytest.approx(repeated.prior, rel=1e-3)


@pytest.mark.parametrize(
    ("features", "counts", "said"),
    [
        ([[1.0], [2.0]], [1, -1], "counts must be whole numbers"),
        ([[1.0], [2.0]], [1, 0.5], "counts must be whole numbers"),
        ([[1.0], [2.0]], [0, 0], "at least one accident"),
        ([[1.0]], [1, 0], r"counts must have shape \(n,\) with n = 1"),
        ([[np.nan], [1.0]], [1, 0], "features must be finite"),
    ],
)
def test_bad_counts_are_named(features, counts, said):
    with pytest.raises(ValueError, match=said):
        shrunk_counts(features, counts)


def test_segments_are_ranked_by_what_is_avoided(town):
    table = rank_segments(town, (0.8, 0.7, 0.9), bootstrap=60, blocks=4, names=[f"s{e}" for e in range(24)])
    assert isinstance(table, pd.DataFrame) and table["rank"].tolist() == list(range(1, 25))
    assert table["avoided_per_year"].is_monotonic_decreasing
    assert table["avoided_per_year"].to_numpy() == pytest.approx(0.2 * table["expected_per_year"])
    assert (table["name"] == [f"s{e}" for e in table["segment"]]).all()
    assert (table["avoided_low"] < table["avoided_per_year"]).all()
    assert (table["avoided_per_year"] < table["avoided_high"]).all()
    assert (table["low"] < table["expected_per_year"]).all() and (table["expected_per_year"] < table["high"]).all()
    assert table["cumulative_km"].iloc[-1] == pytest.approx(town.length.sum() / 1e3)
    assert table["observed"].sum() == town.counts.sum()
    last = table.iloc[-1]
    assert last["cumulative_avoided_low"] < last["cumulative_avoided"] < last["cumulative_avoided_high"]
    assert last["cumulative_avoided"] == pytest.approx(0.2 * town.counts.sum() / 3, rel=0.02)


def test_an_exact_factor_leaves_only_the_rate_open_and_a_harmful_one_avoids_less_than_nothing(town):
    exact = rank_segments(town, 0.8, bootstrap=60, blocks=4)
    vague = rank_segments(town, (0.8, 0.5, 1.28), bootstrap=60, blocks=4)
    width = [(t["avoided_high"] - t["avoided_low"]).mean() for t in (exact, vague)]
    assert width[0] < width[1]
    assert (rank_segments(town, 1.3, bootstrap=5, blocks=4)["avoided_per_year"] < 0).all()


def test_ranking_by_kilometre_and_by_years(town):
    table = rank_segments(town, 0.5, years=[2019], per_km=True, bootstrap=5, blocks=4)
    assert (table["avoided_per_year"] / table["km"]).is_monotonic_decreasing
    assert table["observed"].sum() == town.counts[:12].sum()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"factor": 0.0}, "factor must be finite"),
        ({"factor": (0.8, 0.9, 1.0)}, "0 < low <= estimate <= high"),
        ({"factor": (0.8, 0.9)}, "factor must be one number or"),
        ({"years": [1990]}, "years must have observed months"),
        ({"names": ["a"]}, "names must have one name per segment, 24"),
        ({"bootstrap": 0}, "bootstrap must be at least 1"),
    ],
)
def test_bad_rankings_are_named(town, change, said):
    with pytest.raises(ValueError, match=said):
        rank_segments(town, **{"factor": 0.8} | change)


def test_features_of_segments_are_finite_and_keep_missing_lengths_out(town):
    from dataclasses import replace

    length = town.length.copy()
    length[0] = np.nan
    X = segment_features(replace(town, length=length))
    assert X.shape == (24, 25 + 2 * 17) and np.isfinite(X).all()
    assert X[0, 24] == pytest.approx(X[1:, 24].mean())


def test_a_budget_is_spent_in_order():
    found = at_budget([1.0, 5.0, 3.0], [0, 2, 1], [500.0, 1000.0, 500.0], km=1.0)
    assert (found.segments, found.km, found.precision) == (
        1,
        0.5,
        1.0,
    )  # per metre the third is best, the second too long
    assert found.recall == pytest.approx(1 / 3) and found.accidents_per_km == 2.0
    by_score = at_budget([1.0, 5.0, 3.0], [0, 2, 1], [500.0, 1000.0, 500.0], km=1.0, per_length=False)
    assert (by_score.segments, by_score.recall) == (1, pytest.approx(2 / 3))
    assert np.isnan(at_budget([1.0], [1], [500.0], km=0.1).precision)
    assert np.isnan(at_budget([1.0], [0], [500.0], km=1).recall)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_larger_budget_reaches_no_fewer_accidents(seed):
    rng = np.random.default_rng(seed)
    scores, counts, length = rng.random(30), rng.poisson(1, 30), 100 * (0.1 + rng.random(30))
    found = [at_budget(scores, counts + (np.arange(30) == 0), length, km).recall for km in (0.2, 0.6, 1.2, 10)]
    assert found == sorted(found) and found[-1] == 1.0


@pytest.mark.parametrize(
    ("scores", "counts", "length", "km", "said"),
    [
        ([1.0], [1], [0.0], 1, "length must be above 0"),
        ([1.0, 2.0], [1], [1.0], 1, "scores must have shape"),
        ([1.0], [-1], [1.0], 1, "counts must be whole"),
        ([1.0], [1], [1.0], 0, "km must be finite"),
    ],
)
def test_bad_budgets_are_named(scores, counts, length, km, said):
    with pytest.raises(ValueError, match=said):
        at_budget(scores, counts, length, km)


def test_true_probabilities_are_reliable_and_inflated_ones_are_not():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 8, 20_000)
    y = rng.random(20_000) < p
    true, inflated = reliability(p, y), reliability(np.sqrt(p), y)
    assert true.error < 0.01 < inflated.error and true.ratio == pytest.approx(1, abs=0.05) and inflated.ratio > 2
    assert ((true.low <= true.predicted) & (true.predicted <= true.high)).mean() >= 0.8
    assert true.brier == pytest.approx(brier_score_loss(y, p)) and true.skill > 0 > inflated.skill
    assert true.count.sum() == 20_000


@pytest.mark.parametrize("method", ["isotonic", "logistic"])
def test_recalibration_repairs_inflated_probabilities(method):
    rng = np.random.default_rng(1)
    odds = rng.normal(-3, 1, (2, 20_000))
    y = rng.random((2, 20_000)) < 1 / (1 + np.exp(-odds))
    inflated = 1 / (1 + np.exp(-(odds + 3)))
    mend = recalibration(inflated[0], y[0], method)
    before, after = reliability(inflated[1], y[1]), reliability(mend(inflated[1]), y[1])
    assert before.ratio > 3 and after.ratio == pytest.approx(1, abs=0.05) and after.error < 0.01
    assert (np.diff(mend(np.linspace(0.01, 0.99, 50))) >= 0).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: reliability([1.5], [1]), r"probability must lie within \[0, 1\]"),
        (lambda: reliability([0.5], [0]), "outcome must hold at least one 1"),
        (lambda: reliability([0.5, 0.5], [1]), "outcome must have shape"),
        (lambda: recalibration([0.5, 0.2], [1, 1]), "outcome must hold 0 and 1"),
        (lambda: recalibration([2.0, 0.2], [1, 0], "logistic"), "scores must be probabilities"),
        (lambda: recalibration([0.5, 0.2], [1, 0], "magic"), "method must be one of"),
    ],
)
def test_bad_probabilities_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
