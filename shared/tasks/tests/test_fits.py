import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge

from reprise.tasks import (
    TaskFeatures,
    all_pairs,
    fit_logistic,
    fit_ridge,
    given_subsets,
    linearised_scores,
    logistic_statistics,
    random_subsets,
    squared_statistics,
)

NAMES = ["walk", "run", "jump", "swim"]


def make_tasks(*, counts=(40, 60, 30, 50), dim=6, offsets=True, real=False, spread=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tasks = {}
    for name, count in zip(NAMES, counts):
        features = spread * torch.randn(count, dim, generator=generator, dtype=torch.float64)
        noise = torch.randn(count, generator=generator, dtype=torch.float64)
        labels = features.sum(1) + 3 * noise
        tasks[name] = TaskFeatures(
            features,
            labels=labels if real else labels.sign(),
            weights=torch.rand(count, generator=generator, dtype=torch.float64),
            offsets=torch.randn(count, generator=generator, dtype=torch.float64) if offsets else None,
        )
    return tasks


def pooled(tasks, subset):
    columns = zip(
        *((tasks[name].features, tasks[name].labels, tasks[name].weights, tasks[name].offsets) for name in subset)
    )
    return [torch.cat(column).numpy() for column in columns]


SUBSETS = given_subsets(NAMES, [("walk",), ("walk", "run"), ("jump", "swim", "run"), tuple(NAMES)])


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ridge", [0.3, 20.0])
def test_every_fit_equals_scikit_learn_alone(intercept, ridge):
    tasks = make_tasks(offsets=False)
    fits = fit_logistic(tasks, SUBSETS, ridge=ridge, reduction="sum", intercept=intercept)
    for index, subset in enumerate(SUBSETS):
        features, labels, weights, _ = pooled(tasks, subset)
        peer = LogisticRegression(C=1 / ridge, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12)
        peer.fit(features, labels, sample_weight=weights)
        # both stop at gradients of 1e-8 and less; curvature is at least ridge
        np.testing.assert_allclose(fits.coefficients[index], peer.coef_[0], atol=1e-7)
        np.testing.assert_allclose(fits.intercepts[index], peer.intercept_[0] if intercept else 0, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_every_fit_with_weights_and_offsets_equals_scipy_alone(reduction):
    tasks = make_tasks()
    fits = fit_logistic(tasks, SUBSETS, ridge=0.05, reduction=reduction, tolerance=1e-10)
    for index, subset in enumerate(SUBSETS):
        features, labels, weights, offsets = pooled(tasks, subset)
        scale = 1 / len(labels) if reduction == "mean" else 1.0

        def objective(v, features=features, labels=labels, weights=weights, offsets=offsets, scale=scale):
            margins = labels * (offsets + features @ v)
            slopes = -labels * weights / (1 + np.exp(margins))
            value = scale * (weights * np.logaddexp(0, -margins)).sum() + 0.025 * v @ v
            return value, scale * features.T @ slopes + 0.05 * v

        peer = minimize(objective, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(fits.coefficients[index], peer.x, atol=1e-6)
        first = np.linalg.norm(objective(np.zeros(6))[1])
        reached = np.linalg.norm(objective(fits.coefficients[index].numpy())[1])
        assert reached / first <= 1e-9
        np.testing.assert_allclose(fits.gradient_norms[index], reached / first, atol=1e-12)


def test_nearly_separable_predictions_still_reach_the_stated_gradient():
    tasks = make_tasks(spread=300.0)
    fits = fit_logistic(tasks, SUBSETS, ridge=1e-6, tolerance=1e-9)
    assert (fits.gradient_norms <= 1e-9).all() and fits.steps > 5


@pytest.mark.parametrize("ridge", [0.02, 1e-6])
def test_many_fits_in_high_dimension_have_the_stated_gradient(ridge):
    tasks = dict(enumerate(make_tasks(counts=(300, 200, 250, 400), dim=80).values()))
    subsets = all_pairs(4)
    fits = fit_logistic(tasks, subsets, ridge=ridge, reduction="mean", tolerance=1e-11)
    for index in range(len(subsets)):
        features, labels, weights, offsets = pooled(tasks, subsets.names(index))
        values = fits.coefficients[index].numpy()

        def gradient(v, features=features, labels=labels, weights=weights, offsets=offsets):
            slopes = -labels * weights / (1 + np.exp(labels * (offsets + features @ v)))
            return features.T @ slopes / len(labels) + ridge * v

        assert np.linalg.norm(gradient(values)) <= 1.01e-11 * np.linalg.norm(gradient(np.zeros(80)))


def test_statistics_at_hand_or_features_in_single_precision_do_not_change_the_fits():
    tasks = {name: task.features.float() for name, task in make_tasks().items()}
    single = {name: TaskFeatures(features, features.sum(1).sign()) for name, features in tasks.items()}
    double = {name: TaskFeatures(task.features.double(), task.labels) for name, task in single.items()}
    fits = fit_logistic(double, SUBSETS, ridge=0.1, tolerance=1e-12)
    for others in (single, double):
        again = fit_logistic(others, SUBSETS, ridge=0.1, tolerance=1e-12, statistics=logistic_statistics(others))
        # gradients to 1e-12 of some units and curvature of at least 0.1
        torch.testing.assert_close(again.coefficients, fits.coefficients, atol=1e-10, rtol=0)


def test_the_first_step_alone_needs_only_statistics_and_is_close_for_small_solutions():
    tasks = make_tasks(offsets=False)
    first = fit_logistic(tasks, SUBSETS, ridge=5.0, exact=False)
    exact = fit_logistic(tasks, SUBSETS, ridge=5.0)
    torch.testing.assert_close(first.coefficients, logistic_statistics(tasks).solve(SUBSETS, ridge=5.0))
    assert (torch.cosine_similarity(first.coefficients, exact.coefficients) > 0.999).all()
    assert first.steps == 1 and (first.gradient_norms > 1e-8).any()


def test_statistics_at_zero_offset_are_the_closed_form():
    tasks = make_tasks(offsets=False)
    statistics = logistic_statistics(tasks)
    walk = tasks["walk"]
    gram = walk.features.T @ (walk.weights[:, None] * walk.features) / 4
    torch.testing.assert_close(statistics.hessians[0], gram)
    torch.testing.assert_close(statistics.gradients[0], -walk.features.T @ (walk.weights * walk.labels) / 2)


@pytest.mark.parametrize("make", [logistic_statistics, squared_statistics])
def test_statistics_of_one_task_at_a_time_are_those_of_all(make):
    tasks = make_tasks()
    whole = make(tasks)
    first, *rest = (make({name: task}) for name, task in tasks.items())
    for one in rest:
        first = first.joined(one)
    assert first.tasks == whole.tasks
    torch.testing.assert_close(first.hessians, whole.hessians)
    torch.testing.assert_close(first.gradients, whole.gradients)
    with pytest.raises(ValueError, match="tasks must be at least one, got 0"):
        make({})


@pytest.mark.parametrize("make", [logistic_statistics, squared_statistics])
def test_adding_a_task_later_equals_having_it_from_the_start(make):
    tasks = make_tasks()
    whole = make(tasks)
    early = make({name: tasks[name] for name in NAMES[:2]})
    joined = early.joined(make({name: tasks[name] for name in NAMES[2:]}))
    torch.testing.assert_close(joined.solve(SUBSETS, ridge=0.1), whole.solve(SUBSETS, ridge=0.1))


@pytest.mark.parametrize("intercept", [False, True])
def test_ridge_regression_equals_scikit_learn_alone(intercept):
    tasks = make_tasks(real=True)
    fits = fit_ridge(tasks, SUBSETS, ridge=0.7, reduction="sum", intercept=intercept)
    for index, subset in enumerate(SUBSETS):
        features, labels, weights, offsets = pooled(tasks, subset)
        peer = Ridge(alpha=0.7, fit_intercept=intercept).fit(features, labels - offsets, sample_weight=weights)
        np.testing.assert_allclose(fits.coefficients[index], peer.coef_, atol=1e-9)
        np.testing.assert_allclose(fits.intercepts[index], peer.intercept_, atol=1e-9)


def test_batches_of_subsets_do_not_change_the_fits():
    tasks = dict(enumerate(make_tasks(counts=(9, 9, 9, 9)).values()))
    many = given_subsets(4, [subset for _ in range(30) for subset in all_pairs(4)])
    few = fit_logistic(tasks, all_pairs(4), ridge=0.1, tolerance=1e-12)
    torch.testing.assert_close(
        fit_logistic(tasks, many, ridge=0.1, tolerance=1e-12).coefficients[-6:], few.coefficients
    )


def test_scores_are_the_linearised_losses_of_members():
    tasks = make_tasks()
    fits = fit_logistic(tasks, SUBSETS, ridge=0.1, intercept=True)
    scores = linearised_scores(fits, tasks)
    assert (np.isfinite(scores) == SUBSETS.members).all()
    accuracy = linearised_scores(fits, tasks, score="accuracy", members_only=False)
    squared = linearised_scores(fits, tasks, score="squared", members_only=False)
    for index, name in enumerate(NAMES):
        features, labels, weights, offsets = pooled(tasks, [name])
        margins = offsets + features @ fits.coefficients[3].numpy() + fits.intercepts[3].item()
        assert scores[3, index] == pytest.approx(-(weights * np.logaddexp(0, -labels * margins)).mean())
        assert squared[3, index] == pytest.approx(-(weights * (labels - margins) ** 2).mean())
        assert accuracy[3, index] == pytest.approx(weights[labels * margins > 0].sum() / weights.sum())


def test_an_intercept_without_a_minimiser_is_reported_with_its_subset():
    tasks = {name: TaskFeatures(torch.randn(20, 2, generator=torch.Generator().manual_seed(0))) for name in "ab"}
    with pytest.raises(RuntimeError, match=r"fit of subset \('a', 'b'\) reached a relative gradient norm"):
        fit_logistic(tasks, all_pairs(["a", "b"]), ridge=1.0, intercept=True, max_steps=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, s: fit_logistic(t, random_subsets(4, count=2), ridge=1.0), "tasks must be those of the subsets"),
        (lambda t, s: fit_logistic(t, s, ridge=0.0), "ridge must be a finite number > 0, got 0"),
        (lambda t, s: fit_logistic(t, s, ridge=1.0, reduction="max"), "reduction must be one of 'mean', 'sum'"),
        (lambda t, s: fit_logistic(make_tasks(real=True), s, ridge=1.0), "labels of task 'walk' must be -1 or"),
        (lambda t, s: fit_logistic({"walk": t["walk"]}, s, ridge=1.0), "tasks must be at least two"),
        (lambda t, s: fit_logistic(t, s, ridge=1.0, statistics=logistic_statistics(t, intercept=True)), "intercept=F"),
        (
            lambda t, s: fit_logistic(t, s, ridge=1.0, statistics=logistic_statistics(dict(enumerate(t.values())))),
            "of t",
        ),
        (lambda t, s: fit_logistic(make_tasks(spread=1e30), s, ridge=1.0), "Hessian of features in float32 must be"),
        (lambda t, s: linearised_scores(fit_logistic(t, s, ridge=1.0), make_tasks(dim=3)), "dimension 6, got 3"),
        (lambda t, s: logistic_statistics(t).joined(logistic_statistics(t)), "more than once: 'jump'"),
        (lambda t, s: logistic_statistics({**t, "run": TaskFeatures(torch.ones(2, 3))}), "features of one dimension"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(make_tasks(), SUBSETS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": torch.ones(3)}, r"shape \(N >= 1, d >= 1\), got torch.float32 \(3,\)"),
        ({"features": torch.tensor([[torch.inf], [-torch.inf]])}, r"features must be finite, got inf at \(0, 0\)"),
        ({"features": torch.tensor([[1.0], [torch.nan]])}, r"features must be finite, got nan at \(1, 0\)"),
        ({"features": torch.ones(2, 1), "weights": torch.tensor([1.0, -1.0])}, "weights must be >= 0, got -1"),
        ({"features": torch.ones(2, 1), "labels": torch.ones(3)}, r"labels must have shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_features_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        TaskFeatures(**arguments)


def test_finite_features_whose_sum_overflows_are_accepted():
    assert len(TaskFeatures(torch.full((4, 1), 3e38))) == 4
