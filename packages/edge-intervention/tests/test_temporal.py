import numpy as np
import pytest
from networks import random_directed, random_rectangular

from reprise.edge_intervention import (
    BudgetError,
    frank_wolfe_temporal,
    frank_wolfe_weekly,
    product_top,
    split_budget,
)
from reprise.edge_intervention.product import GrowthChain

RECTANGULAR = [random_rectangular(6, 9, seed=seed) for seed in range(3)]
SQUARE = [random_directed(7, 0.5, seed=seed) for seed in range(3)]
LARGE = [random_rectangular(150, 170, density=0.1, seed=seed) for seed in range(3)]


def dense_product(weeks):
    factors = [W.toarray() if W.shape[0] == W.shape[1] else W.toarray() @ W.toarray().T for W in weeks]
    return np.linalg.multi_dot(factors)


@pytest.mark.parametrize("weeks", [RECTANGULAR, SQUARE, LARGE])
def test_the_spectrum_is_that_of_the_dense_product(weeks):
    values = np.linalg.svd(dense_product(weeks), compute_uv=False)
    found = GrowthChain(weeks, 2).spectrum(weeks)
    assert found.log_objective == pytest.approx(np.log((values[:2] ** 2).sum()))
    assert product_top(weeks) == pytest.approx(np.log10(values[0]))


@pytest.mark.parametrize("weeks", [RECTANGULAR, SQUARE])
@pytest.mark.parametrize("rank", [1, 3])
def test_the_gradient_of_every_week_is_the_gradient(weeks, rank):
    chain = GrowthChain(weeks, rank)
    gradients = chain.gradients(weeks, chain.spectrum(weeks))
    for t, gradient in enumerate(gradients):
        for e in range(0, weeks[t].nnz, 3):
            values = []
            for width in (1e-4, -1e-4):
                moved = [week.copy() for week in weeks]
                moved[t].data[e] += width
                values.append(chain.spectrum(moved).log_objective)
            assert gradient[e] == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-4, abs=1e-7)


def test_many_weeks_do_not_overflow():
    weeks = [1e6 * week for week in LARGE] * 12
    found = frank_wolfe_temporal(weeks, budget_fraction=0.05, rank=1, steps=2)
    assert product_top(weeks) > 400 and found.log10_top < product_top(weeks)


@pytest.mark.parametrize("weeks", [RECTANGULAR, SQUARE, LARGE])
def test_one_budget_over_all_weeks_is_kept_and_beats_splits(weeks):
    total = sum(week.sum() for week in weeks)
    together = frank_wolfe_temporal(weeks, budget_fraction=0.1, rank=1, steps=40)
    assert together.budget_used <= 0.1 * total * (1 + 1e-9)
    assert all((new.toarray() <= old.toarray() + 1e-12).all() for new, old in zip(together.weights, weeks))
    assert together.log10_top == pytest.approx(product_top(together.weights))
    for how in ("uniform", "weight", "sigma", "exponential", "one_shot"):
        apart = frank_wolfe_weekly(weeks, budget_fraction=0.1, rank=1, steps=20, how=how)
        assert apart.budget_used <= 0.1 * total * (1 + 1e-9)
        assert together.objective <= apart.objective + 1e-6


def test_a_single_week_is_the_static_problem():
    week = RECTANGULAR[0]
    top = np.linalg.svd(week.toarray(), compute_uv=False)[0]
    assert product_top([week]) == pytest.approx(2 * np.log10(top))


def test_splits_are_what_they_say():
    weeks = [np.full((1, 1), weight) for weight in (10.0, 20.0, 30.0)]
    assert split_budget(weeks, 6.0, "uniform") == pytest.approx([2, 2, 2])
    assert split_budget(weeks, 6.0, "weight") == pytest.approx([1, 2, 3])
    assert split_budget(weeks, 6.0, "sigma") == pytest.approx([1, 2, 3])
    assert split_budget(weeks, 6.0, "exponential") == pytest.approx(6 * np.exp([0, -1, -2]) / np.exp([0, -1, -2]).sum())
    assert split_budget(weeks, 6.0, "one_shot") == pytest.approx([6, 0, 0])
    # What a week cannot give the next ones do.
    assert split_budget(weeks, 40.0, "one_shot") == pytest.approx([10, 20, 10])
    assert split_budget(weeks, budget_fraction=1.0) == pytest.approx([10, 20, 30])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: frank_wolfe_temporal([], 1.0), TypeError, "at least one matrix"),
        (lambda: frank_wolfe_temporal(RECTANGULAR[0], 1.0), TypeError, "list of at least one matrix"),
        (lambda: frank_wolfe_temporal([RECTANGULAR[0], SQUARE[0]], 1.0), ValueError, "week 1"),
        (lambda: frank_wolfe_temporal(RECTANGULAR, 1e9), BudgetError, "can be removed"),
        (lambda: frank_wolfe_temporal([[[1.0]], [[-1.0]]], 1.0), ValueError, r"Ws\[1\]"),
        (lambda: split_budget(RECTANGULAR, 1.0, "fairly"), ValueError, "how must be one of"),
        (lambda: frank_wolfe_temporal(RECTANGULAR, 1.0, rank=0), ValueError, "rank must be"),
    ],
)
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
