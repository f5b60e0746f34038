"""What section 3.6 asks of the estimators, detail by detail, against formulas written out here."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chi2
from sklearn.linear_model import LinearRegression

from reprise.road_safety import PositivityError, effect, matched_differences, spatial_blocks
from reprise.road_safety.propensity import folds_of


def drawn(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3)) @ np.array([[1.0, 0.6, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    T = rng.random(n) < expit(X[:, 0])
    return T, X[:, 0] + 0.5 * X[:, 1] + 0.3 * T + 0.3 * rng.standard_normal(n), X


def nearest(X, T):
    """Index of the nearest control of every treated unit, and its distance, by all pairs."""
    controls = np.flatnonzero(~T)
    apart = np.linalg.norm(X[T][:, None] - X[controls], axis=2)
    return controls[apart.argmin(axis=1)], apart.min(axis=1)


def test_bias_correction_is_that_of_abadie_and_imbens():
    T, Y, X = drawn()
    partner, _ = nearest(X, T)
    model = LinearRegression().fit(X[~T], Y[~T])
    corrected = (Y[T] - Y[partner]) - (model.predict(X[T]) - model.predict(X[partner]))
    found = effect(T, Y, X, "nn", bias_correction=True, folds=1, bootstrap=5)
    assert found.estimate == pytest.approx(corrected.mean())
    plain = effect(T, Y, X, "nn", folds=1, bootstrap=5).estimate
    assert abs(found.estimate - 0.3) < abs(plain - 0.3)


def test_mahalanobis_distance_is_brute_force_and_knows_no_units():
    T, Y, X = drawn()
    root = np.linalg.cholesky(np.linalg.inv(np.cov(X, rowvar=False)))
    partner, _ = nearest(X @ root, T)
    found = effect(T, Y, X, "nn", metric="mahalanobis", bootstrap=5).estimate
    assert found == pytest.approx((Y[T] - Y[partner]).mean())
    other_units = X * [1000.0, 0.01, 1.0]
    assert effect(T, Y, other_units, "nn", metric="mahalanobis", bootstrap=5).estimate == pytest.approx(found)
    assert effect(T, Y, other_units, "nn", bootstrap=5).estimate != pytest.approx(found)


def test_a_caliper_leaves_out_whom_nobody_is_like():
    T, Y, X = drawn()
    partner, distance = nearest(X, T)
    near = distance <= 0.4
    assert 0 < near.sum() < T.sum()
    found = effect(T, Y, X, "nn", caliper=0.4, bootstrap=5)
    assert found.treated == near.sum()
    assert found.estimate == pytest.approx((Y[T] - Y[partner])[near].mean())
    with pytest.raises(ValueError, match="caliper must leave at least one treated unit a match"):
        effect(T, Y, X, "nn", caliper=1e-9, bootstrap=5)


def test_the_caliper_of_propensities_is_in_standard_deviations_of_the_logit():
    T, Y, X = drawn()
    from reprise.road_safety.propensity import propensity

    score = propensity(X, T, np.zeros(len(T), dtype=int))
    logit = np.log(score / (1 - score))[:, None]
    _, distance = nearest(logit, T)
    limit = 0.02
    assert (
        effect(T, Y, X, "psm", caliper=limit, folds=1, bootstrap=5).treated == (distance <= limit * logit.std()).sum()
    )


def test_models_are_fitted_on_other_blocks_than_they_predict():
    rng = np.random.default_rng(0)
    block = spatial_blocks(rng.random(400), rng.random(400), 12)
    fold = folds_of(400, block, 5, 0)
    assert set(fold) == set(range(5))
    assert all(len(set(fold[block == b])) == 1 for b in range(12))
    single = folds_of(400, None, 5, 0)
    assert max(np.bincount(single)) - min(np.bincount(single)) <= 1


def test_blocks_are_the_clusters_of_the_bootstrap():
    T, Y, X = drawn(400)
    block = np.arange(400) // 20
    same = [effect(T, Y, X, "ipw", blocks=block, bootstrap=50, **more).se for more in ({}, {"clusters": block})]
    assert same[0] == same[1]
    assert effect(T, Y, X, "ipw", blocks=block, clusters=np.arange(400), bootstrap=50).se != same[0]


@pytest.mark.parametrize("method", ["naive", "nn", "psm", "ipw", "aipw"])
def test_every_method_refuses_covariates_that_hold_the_treatment_and_says_numbers(method):
    T, Y, X = drawn()
    with pytest.raises(PositivityError, match=r"column 3 alone tells the arms apart with an AUC of 1\.0000"):
        effect(T, Y, np.column_stack([X, 5.0 - T]), method, bootstrap=5)


def test_matched_differences_are_the_pairs_of_matching_and_their_intervals_the_formula():
    rng = np.random.default_rng(1)
    X, T = rng.standard_normal((200, 2)), rng.random(200) < 0.3
    y = rng.poisson(2, 200)
    found = matched_differences(T, y, X, 2.0, k=3)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    pairs = effect(T, y, standard, "nn", k=3, bootstrap=5).pairs
    assert found.difference[T] == pytest.approx(pairs / 2) and np.isnan(found.difference[~T]).all()
    unit = np.flatnonzero(T & (y > 0))[0]
    controls = np.flatnonzero(~T)
    near = controls[np.argsort(np.linalg.norm(standard[controls] - standard[unit], axis=1))[:3]]
    own, others = y[unit], y[near].sum()
    low = [chi2.ppf(0.025, 2 * c) / 2 if c else 0.0 for c in (own, others)]
    high = [chi2.ppf(0.975, 2 * c + 2) / 2 for c in (own, others)]
    d = own - others / 3
    assert found.low[unit] * 2 == pytest.approx(d - np.hypot(own - low[0], (high[1] - others) / 3))
    assert found.high[unit] * 2 == pytest.approx(d + np.hypot(high[0] - own, (others - low[1]) / 3))


def test_intervals_of_matched_differences_hold_the_truth():
    rng = np.random.default_rng(2)
    T = np.arange(3000) % 6 == 0
    found = matched_differences(T, rng.poisson(np.where(T, 5.0, 2.0)), rng.standard_normal((3000, 1)), k=5)
    held = (found.low[T] <= 3) & (found.high[T] >= 3)
    assert 0.93 <= held.mean() <= 0.995


def test_units_without_a_match_have_no_difference():
    found = matched_differences([1, 1, 0, 0], [3, 3, 1, 1], [[0.0], [9.0], [0.1], [0.2]], k=2, caliper=0.2)
    assert np.isfinite(found.difference[0]) and np.isnan([found.difference[1], found.low[1], found.high[1]]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"T": [1, 1]}, "T must have treated and untreated"),
        ({"counts": [1, -2]}, "counts must be whole numbers"),
        ({"counts": [1]}, r"counts must have shape \(n,\) with n = 2, got \(1,\)"),
        ({"exposure": 0.0}, "exposure must be finite"),
        ({"k": 2}, "k must be at most the number of controls, 1"),
    ],
)
def test_bad_matched_differences_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        matched_differences(**{"T": [1, 0], "counts": [1, 2], "X": [[0.0], [1.0]]} | {"k": 1} | change)
