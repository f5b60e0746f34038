from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad

from reprise.one_sided_completion import completed, impute, observe, sample, second_moment, spectral_factor
from reprise.one_sided_completion.imputation import _objective
from reprise.one_sided_completion.weights import pair_weights

FORMS = [("pairs", "numba"), ("dense", "numba"), ("pairs", "torch"), ("dense", "torch")]


def relative(estimate, truth):
    return np.linalg.norm(estimate - truth) / np.linalg.norm(truth)


def dense_reference(moment, weights, X):
    """The objective of the docstring on full arrays, term by term."""
    target, mask = moment.to_dense(), np.zeros((moment.dimension, moment.dimension))
    mask[moment.pair_rows, moment.indices] = weights
    mask = np.triu(mask) + np.triu(mask, 1).T
    residual = X @ X.T - target
    return (mask * residual**2).sum() / (2 * mask.sum()), 2 / mask.sum() * (mask * residual) @ X


@pytest.mark.parametrize(("form", "backend"), FORMS)
@pytest.mark.parametrize("weighting", ["uniform", "inverse-variance"])
def test_every_form_gives_the_objective_and_its_gradient(tall, form, backend, weighting):
    if backend == "torch":
        pytest.importorskip("torch")
    moment = second_moment(tall[1][:200])
    weights = pair_weights(moment, weighting, 0.3)
    X = np.random.default_rng(0).standard_normal((40, 3))
    objective = _objective(moment, weights, form, backend, "cpu")
    value, gradient = objective.value_and_gradient(objective.start(X))
    expected_value, expected_gradient = dense_reference(moment, weights, X)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    np.testing.assert_allclose(objective.finish(gradient), expected_gradient, rtol=1e-9, atol=1e-14)


def test_the_gradient_is_that_of_the_objective_by_finite_differences(tall):
    """∇f = (2/m) (W ∘ R) X, where the sum of f runs over (i, j) and (j, i)."""
    moment = second_moment(tall[1][:200])
    objective = _objective(moment, pair_weights(moment), "pairs", "numba", "cpu")
    X = np.random.default_rng(0).standard_normal((40, 2))
    error = check_grad(
        lambda x: objective.value_and_gradient(x.reshape(40, 2))[0],
        lambda x: objective.value_and_gradient(x.reshape(40, 2))[1].ravel(),
        X.ravel(),
    )
    assert error < 1e-6 * np.linalg.norm(objective.value_and_gradient(X)[1])


@pytest.mark.parametrize("init", ["spectral", "random"])
def test_it_recovers_a_moment_of_low_rank(tall, truth, init):
    result = impute(second_moment(tall[1]), rank=3, init=init)
    assert relative(result.factor @ result.factor.T, truth) < 0.1


def test_it_fills_in_what_was_never_seen(tall, truth):
    moment = second_moment(tall[1])
    kept = np.random.default_rng(0).random(len(moment.indices)) < 0.6
    kept |= moment.pair_rows == moment.indices
    counts = np.bincount(moment.pair_rows[kept], minlength=40)
    part = replace(
        moment,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        indices=moment.indices[kept],
        count=moment.count[kept],
        total=moment.total[kept],
        square=moment.square[kept],
    )
    rows, columns = moment.pair_rows[~kept], moment.indices[~kept]
    factor = impute(part, rank=3).factor
    guess = completed(factor, rows, columns)
    zero = np.linalg.norm(truth[rows, columns])
    assert np.linalg.norm(guess - truth[rows, columns]) < 0.2 * zero


def test_the_objective_falls_with_every_step(tall):
    result = impute(second_moment(tall[1]), rank=5, init="random", max_iter=300)
    assert (np.diff(result.history) < 0).all() and len(result.history) == result.steps + 1


def test_an_exactly_seen_moment_is_fitted_to_rounding():
    factor = np.random.default_rng(0).standard_normal((12, 2))
    M = np.linalg.qr(np.random.default_rng(1).standard_normal((50, 2)))[0] * np.sqrt(50) @ factor.T
    moment = second_moment(observe(M, np.ones(M.shape, bool)))
    result = impute(moment, rank=2, regularization=0.0, tol=0.0, max_iter=2000, init="random")
    np.testing.assert_allclose(result.factor @ result.factor.T, factor @ factor.T, atol=1e-6)


def test_the_spectral_start_is_on_the_scale_of_the_moment(tall, truth):
    factor = spectral_factor(second_moment(tall[1]), 3)
    assert 0.5 < np.linalg.norm(factor @ factor.T) / np.linalg.norm(truth) < 2


def test_the_regulariser_holds_back_large_rows(tall):
    moment = second_moment(tall[1])
    free = np.linalg.norm(impute(moment, 3, regularization=0.0).factor, axis=1)
    held = np.linalg.norm(impute(moment, 3, regularization=1.0).factor, axis=1)
    assert held.max() < free.max()


def test_weights_of_the_diagonal_are_those_of_the_authors(tall):
    moment = second_moment(tall[1], p=0.15)
    diagonal = moment.pair_rows == moment.indices
    np.testing.assert_allclose(pair_weights(moment, diagonal="dense-code")[diagonal], 1 - 0.85**3000)
    np.testing.assert_allclose(pair_weights(moment, diagonal="sparse-code")[diagonal], 1 - (1 - 0.15**2) ** 40)
    assert (pair_weights(moment, diagonal=0.0)[diagonal] == 0).all()
    for weights in ("uniform", "counts", "inverse-variance"):
        np.testing.assert_allclose(pair_weights(moment, weights)[~diagonal].mean(), 1.0)


def test_columns_that_were_never_seen_get_zero_rows():
    M = np.ones((200, 6))
    mask = np.random.default_rng(0).random(M.shape) < 0.5
    mask[:, 2] = False
    for init in ("spectral", "random"):
        factor = impute(second_moment(observe(M, mask)), rank=2, init=init).factor
        assert (factor[2] == 0).all() and (np.abs(factor[[0, 1, 3, 4, 5]]).max(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 41}, r"rank must be between 1 and the number of columns \(40\), got 41"),
        ({"regularization": -1.0}, "regularization must be at least 0"),
        ({"init": "zero"}, "init must be one of"),
        ({"init": np.ones((2, 2))}, r"shape \(40, 3\)"),
        ({"form": "sparse"}, "form must be one of"),
        ({"weights": "none"}, "weights must be one of"),
        ({"diagonal": "code"}, "diagonal must be one of"),
        ({"device": "cuda"}, "set backend='torch'"),
        ({"step_size": 1e9}, "step_size must be smaller"),
    ],
)
def test_bad_options_are_refused(tall, options, message):
    with pytest.raises(ValueError, match=message):
        impute(second_moment(tall[1]), **{"rank": 3, **options})


def test_without_any_pair_it_says_what_is_needed():
    ratings = sample(np.ones((10, 5)), per_row=1, seed=0)
    with pytest.raises(ValueError, match=r"n C²/d² times, here 10 · 1² / 5² = 0.4"):
        impute(second_moment(ratings), rank=1)
