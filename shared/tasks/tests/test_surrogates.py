import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Lasso, Ridge

from reprise.tasks import LinearSurrogate, cross_validate, given_subsets, random_subsets


@pytest.fixture
def subsets():
    return random_subsets(10, count=80, size=4, seed=2)


def additive(subsets, noise=0.0):
    effects = np.linspace(-1, 1, len(subsets.tasks))
    return 2 + subsets.members @ effects + noise * np.random.default_rng(0).standard_normal(len(subsets))


def test_an_additive_outcome_is_predicted_exactly_for_subsets_never_seen(subsets):
    model = LinearSurrogate(strength=0).fit(subsets, additive(subsets))
    unseen = random_subsets(10, count=100, size=4, seed=3)
    np.testing.assert_allclose(model.predict(unseen), additive(unseen), atol=1e-10)
    np.testing.assert_allclose(np.diff(model.coefficients_), 2 / 9, atol=1e-10)


@pytest.mark.parametrize(
    ("penalty", "peer"), [("ridge", Ridge(alpha=0.5)), ("lasso", Lasso(alpha=0.5, tol=1e-8, max_iter=100_000))]
)
def test_penalties_equal_scikit_learn(subsets, penalty, peer):
    outcomes = additive(subsets, noise=1.0)
    model = LinearSurrogate(penalty, strength=0.5).fit(subsets, outcomes)
    peer.fit(subsets.members.astype(float), outcomes)
    np.testing.assert_allclose(model.coefficients_, peer.coef_)
    assert model.intercept_ == pytest.approx(peer.intercept_)


def test_lasso_leaves_out_tasks_that_do_not_matter():
    subsets = random_subsets(10, count=100, size=5, seed=0)
    outcomes = 3.0 * subsets.members[:, 2] - 2.0 * subsets.members[:, 7]
    model = LinearSurrogate("lasso", strength=0.05).fit(subsets, outcomes)
    assert set(np.flatnonzero(np.abs(model.coefficients_) > 1e-6)) == {2, 7}


def test_cross_validated_measures_are_those_of_predictions_from_other_folds(subsets):
    outcomes = additive(subsets, noise=0.5)
    quality = cross_validate(LinearSurrogate, subsets, outcomes, folds=4, seed=1)
    error = ((outcomes - quality.predictions) ** 2).sum()
    assert quality.r2 == pytest.approx(1 - error / ((outcomes - outcomes.mean()) ** 2).sum())
    assert quality.residual_error == pytest.approx(error / (outcomes**2).sum())
    assert quality.spearman == pytest.approx(spearmanr(outcomes, quality.predictions).statistic)
    assert quality.fold_r2.shape == (4,)
    fitted = LinearSurrogate().fit(subsets, outcomes).predict(subsets)
    assert ((outcomes - fitted) ** 2).sum() < error  # what a fold predicts it has not seen


def test_an_outcome_that_is_noise_is_not_predicted(subsets):
    outcomes = np.random.default_rng(3).standard_normal(len(subsets))
    assert cross_validate(LinearSurrogate, subsets, outcomes).r2 < 0.1


def test_a_kernel_model_takes_the_place_of_the_linear_one_and_sees_interactions():
    subsets = random_subsets(8, count=70, size=4, seed=1)
    outcomes = np.where(subsets.members[:, 0] == subsets.members[:, 1], 1.0, -1.0)
    linear = cross_validate(LinearSurrogate, subsets, outcomes)
    kernel = cross_validate(lambda: KernelRidge(alpha=1e-2, kernel="poly", degree=2), subsets, outcomes)
    assert kernel.r2 > 0.9 > 0.3 > linear.r2


def test_bad_outcomes_are_refused_with_their_subset():
    subsets = given_subsets(3, [(0, 1), (1, 2), (0, 2), (0, 1, 2)])
    with pytest.raises(ValueError, match=r"got nan for subset 1, \(1, 2\)"):
        LinearSurrogate().fit(subsets, [1.0, np.nan, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"outcomes must have shape \(4,\), got \(3,\)"):
        LinearSurrogate().fit(subsets, [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least 2 per fold, 10, got 4"):
        cross_validate(LinearSurrogate, subsets, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="outcomes must differ between subsets"):
        cross_validate(LinearSurrogate, subsets, np.ones(4), folds=2)
    with pytest.raises(ValueError, match="penalty must be one of"):
        LinearSurrogate("elastic")
    with pytest.raises(ValueError, match=r"subsets must be of the tasks \[0, 1, 2\]"):
        LinearSurrogate().fit(subsets, np.arange(4.0)).predict(random_subsets(4, count=2))
