"""Estimators against closed forms, brute force and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from reprise.road_safety import (
    PositivityError,
    auc,
    e_value,
    effect,
    effective_size,
    match,
    rosenbaum_bound,
    spatial_blocks,
)


def drawn(n=600, tau=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    T = rng.random(n) < expit(X[:, 0])
    Y = X[:, 0] + 0.5 * X[:, 1] + tau * T + 0.3 * rng.standard_normal(n)
    return T, Y, X


def test_the_naive_estimate_is_the_difference_of_means():
    T, Y, X = drawn()
    found = effect(T, Y, X, "naive", bootstrap=50)
    assert found.estimate == pytest.approx(Y[T].mean() - Y[~T].mean())
    assert found.relative == pytest.approx(found.estimate / Y[~T].mean())


@pytest.mark.parametrize("k", [1, 3])
def test_matching_equals_brute_force(k):
    T, Y, X = drawn(120)
    controls = np.flatnonzero(~T)
    expected = []
    for i in np.flatnonzero(T):
        near = controls[np.argsort(((X[controls] - X[i]) ** 2).sum(axis=1), kind="stable")[:k]]
        expected.append(Y[i] - Y[near].mean())
    found = effect(T, Y, X, "nn", k=k, bootstrap=20)
    assert found.estimate == pytest.approx(np.mean(expected))
    assert found.pairs == pytest.approx(np.array(expected))


def test_weights_of_matching_sum_to_the_matched_units():
    T, _, X = drawn(100)
    kept, weight, partner = match(X, T, k=2, caliper=0.5)
    assert weight.sum() == pytest.approx(kept.sum())
    assert not weight[T].any() and (np.linalg.norm(X[T][kept[T]][0] - X[partner[kept[T]][0][0]]) <= 0.5)


def test_a_saturated_propensity_makes_weighting_a_stratified_difference():
    # One binary covariate: IPW for the treated is the difference within strata, weighted by the treated in each.
    rng = np.random.default_rng(1)
    x = rng.random(4000) < 0.4
    T = rng.random(4000) < np.where(x, 0.7, 0.2)
    Y = 2.0 * x + 1.0 * T + rng.standard_normal(4000)
    expected = sum((Y[T & s].mean() - Y[~T & s].mean()) * (T & s).sum() / T.sum() for s in (x, ~x))
    found = effect(T, Y, x[:, None].astype(float), "ipw", folds=1, bootstrap=20)
    assert found.estimate == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("method", ["nn", "psm", "ipw", "aipw"])
@pytest.mark.parametrize("estimand", ["att", "ate"])
def test_the_effect_is_found_and_balance_restored(method, estimand):
    T, Y, X = drawn(3000, seed=2)
    found = effect(T, Y, X, method, estimand, bias_correction=True, bootstrap=200)
    assert found.ci[0] - 0.03 < 0.3 < found.ci[1] + 0.03
    assert abs(found.estimate - 0.3) < 0.08
    assert np.abs(found.smd_before).max() > 0.5 > 0.2 > np.abs(found.smd_after).max()


def test_doubly_robust_ate_is_its_printed_formula():
    T, Y, X = drawn(500)
    from reprise.road_safety.propensity import folds_of, outcome, propensity

    fold = folds_of(500, None, 5, 0)
    e = propensity(X, T, fold)
    m0, m1 = outcome(X, Y, ~T, fold), outcome(X, Y, T, fold)
    expected = (m1 - m0 + T * (Y - m1) / e - (1 - T) * (Y - m0) / (1 - e)).mean()
    assert effect(T, Y, X, "aipw", "ate", bootstrap=10).estimate == pytest.approx(expected)


def test_intervals_widen_with_clusters():
    T, Y, X = drawn(2000)
    shock = np.repeat(np.random.default_rng(3).standard_normal(20), 100)
    single = effect(T, Y + shock, X, "ipw", bootstrap=300)
    grouped = effect(T, Y + shock, X, "ipw", clusters=np.repeat(np.arange(20), 100), bootstrap=300)
    assert single.estimate == pytest.approx(grouped.estimate)
    assert grouped.se > 1.05 * single.se


def test_the_bootstrap_of_single_units_equals_resampling_them():
    T, Y, X = drawn(300)
    found = effect(T, Y, X, "naive", bootstrap=4000)
    expected = np.sqrt(Y[T].var() / T.sum() + Y[~T].var() / (~T).sum())
    assert found.se == pytest.approx(expected, rel=0.08)


def test_covariates_that_contain_the_treatment_are_refused():
    T, Y, X = drawn()
    with pytest.raises(PositivityError, match="column 3 alone"):
        effect(T, Y, np.column_stack([X, T]), "ipw")
    noise = np.random.default_rng(0).standard_normal(len(T))
    with pytest.raises(PositivityError, match="propensity"):
        effect(T, Y, np.column_stack([2.0 * T - 3 * noise, noise]), "ipw")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"T": np.ones(600)}, ValueError, "T must have treated and untreated"),
        ({"T": np.full(600, 2.0)}, ValueError, "T must hold 0 and 1"),
        ({"Y": np.ones(5)}, ValueError, r"Y must have shape \(n,\) with n = 600, got \(5,\)"),
        ({"X": np.full((600, 2), np.nan)}, ValueError, "X must be finite"),
        ({"method": "magic"}, ValueError, "method must be one of"),
        ({"caliper": 0.0, "method": "nn"}, ValueError, "caliper"),
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"k": True}, TypeError, "k must be an integer"),
        ({"blocks": np.zeros(600)}, ValueError, "blocks"),
        ({"clusters": np.zeros(3)}, ValueError, "clusters"),
    ],
)
def test_bad_input_is_named(change, error, said):
    T, Y, X = drawn()
    arguments = {"T": T, "Y": Y, "X": X, "bootstrap": 10} | change
    with pytest.raises(error, match=said):
        effect(**arguments)


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_shifting_the_outcome_changes_no_estimate(seed):
    T, Y, X = drawn(150, seed=seed % 50)
    for method in ("nn", "ipw", "naive"):
        plain, moved = (effect(T, y, X, method, bootstrap=5).estimate for y in (Y, Y + 10))
        assert moved == pytest.approx(plain, abs=1e-8)


def test_auc_equals_all_pairs():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 5, 80).astype(float), rng.random(80) < 0.3
    pairs = score[positive][:, None] - score[~positive]
    assert auc(score, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_small_closed_forms():
    assert effective_size(np.array([1.0, 1.0, 0.0])) == 2.0
    assert e_value(0.5) == e_value(2.0) == pytest.approx(2 + np.sqrt(2))
    assert np.isnan(rosenbaum_bound([1, -1]))
    weak, strong = rosenbaum_bound([1] * 30 + [-1] * 10), rosenbaum_bound([1] * 300 + [-1] * 100)
    assert 1 < weak < strong < 3
    with pytest.raises(ValueError, match="ratio"):
        e_value(0.0)


def test_blocks_are_compact():
    rng = np.random.default_rng(0)
    lon, lat = rng.random(300), rng.random(300)
    block = spatial_blocks(lon, lat, 6)
    spread = np.mean([lon[block == b].std() + lat[block == b].std() for b in range(6)])
    assert len(np.unique(block)) == 6 and spread < 0.6 * (lon.std() + lat.std())
