import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_directed, random_rectangular

from reprise.edge_intervention import BudgetError, baselines, losses_by_category, losses_by_population

EXACT = [
    baselines.uniform,
    baselines.k_edge_deletion,
    baselines.cap_occupancy,
    baselines.water_fill,
    baselines.degree_product,
    baselines.random_edges,
    lambda W, **budget: baselines.weighted(W, exact_budget=True, **budget),
]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1), st.sampled_from(EXACT))
def test_every_baseline_spends_exactly_its_budget_and_raises_no_weight(seed, share, method):
    W = random_rectangular(7, 9, seed=seed)
    M = method(W, budget_fraction=share)
    assert W.sum() - M.sum() == pytest.approx(share * W.sum(), abs=1e-9)
    assert (M.toarray() <= W.toarray() + 1e-12).all() and (M.data > 0).all()


def test_the_published_weighted_baseline_loses_budget_by_clipping():
    W = np.array([[1.0, 1.0, 10.0]])
    M = baselines.weighted(W, budget=11.0)
    assert M.toarray() == pytest.approx(np.maximum(W - 11 / 102 * W**2, 0))
    assert 12 - M.sum() < 11
    inside = baselines.weighted(W, budget=1.0).toarray()
    assert inside == pytest.approx(baselines.weighted(W, budget=1.0, exact_budget=True).toarray())


def test_a_cap_per_place_with_shares_by_visits_is_uniform():
    W = random_rectangular(8, 12)
    assert baselines.cap_occupancy(W, budget=9).toarray() == pytest.approx(baselines.uniform(W, budget=9).toarray())


def test_water_filling_is_optimal_for_disjoint_edges():
    M = baselines.water_fill(np.diag([5.0, 3.0, 1.0]), budget=3.0)
    assert M.diagonal() == pytest.approx([2.5, 2.5, 1.0])


def test_closing_categories_leaves_the_others():
    W = random_rectangular(5, 6, density=0.9)
    M = baselines.close_categories(W, [1, 4], budget=7.0)
    lost = W.toarray() - M.toarray()
    assert lost[:, [0, 2, 3, 5]].sum() == 0 and lost.sum() == pytest.approx(7)
    with pytest.raises(BudgetError, match="visits of category_pois"):
        baselines.close_categories(W, [1], budget=0.9 * W.sum())
    with pytest.raises(ValueError, match="between 0 and 5, got 6"):
        baselines.close_categories(W, [6], budget=1.0)
    with pytest.raises(TypeError, match="list of columns"):
        baselines.close_categories(W, [0.5], budget=1.0)


def test_degrees_and_betweenness_choose_their_edges():
    networkx = pytest.importorskip("networkx")
    W = random_directed(10, 0.4)
    first = (baselines.degree_product(W, budget=1e-6).toarray() < W.toarray()).nonzero()
    product = np.outer(W.sum(axis=1), W.sum(axis=0)) * (W.toarray() > 0)
    assert (first[0][0], first[1][0]) == np.unravel_index(product.argmax(), product.shape)
    bridge = np.zeros((6, 6))
    bridge[:3, :3], bridge[3:, 3:], bridge[2, 3], bridge[3, 2] = 1, 1, 1, 1
    np.fill_diagonal(bridge, 0)
    cut = baselines.edge_betweenness(bridge, budget=2.0).toarray()
    assert cut[2, 3] == cut[3, 2] == 0 and networkx.from_numpy_array(cut).number_of_edges() == 6


def test_random_edges_depend_on_the_seed_alone():
    W = random_directed(10)
    one, again, other = (baselines.random_edges(W, budget=20, seed=seed).toarray() for seed in (1, np.int64(1), 2))
    assert (one == again).all() and (one != other).any()


def test_losses_add_up():
    W = random_rectangular(10, 8, density=0.8)
    M, population = baselines.k_edge_deletion(W, budget=30.0), np.arange(10) + 5
    people = losses_by_population(W, M, population, quantiles=3)
    places = losses_by_category(W, M, {"first": [0, 1], "second": [5]})
    assert people["removed"].sum() == pytest.approx(30) and places["removed"].sum() == pytest.approx(30)
    assert people["share_of_removal"].sum() == pytest.approx(1) and people["population"].sum() == population.sum()
    lost = (W - M).toarray()
    assert places["removed"].iloc[0] == pytest.approx(lost[:, :2].sum())
    assert people["removed"].iloc[0] == pytest.approx(lost[:4].sum())
    with pytest.raises(ValueError, match="quantiles must not exceed"):
        losses_by_population(W, M, population, quantiles=11)
    with pytest.raises(ValueError, match="shape"):
        losses_by_population(W, M[:5], population)
    with pytest.raises(ValueError, match="'first'"):
        losses_by_category(W, M, {"first": [8]})
