import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_directed
from scipy import sparse
from scipy.optimize import linprog

from reprise.edge_intervention import BudgetError, InvalidWeightsError, greedy_reduction
from reprise.edge_intervention.knapsack import best_first


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0, 1), st.booleans())
def test_the_oracle_is_the_linear_program(seed, share, ties):
    generator = np.random.default_rng(seed)
    W = random_directed(8, 0.4, seed)
    if W.nnz == 0:
        return
    scores = generator.integers(-2, 4, W.nnz) * 1.0 if ties else generator.standard_normal(W.nnz)
    cost, floor = generator.uniform(0.5, 2, W.nnz), W.data * generator.uniform(0, 1, W.nnz)
    budget = share * float(cost @ (W.data - floor))
    M = greedy_reduction(W, scores, budget, cost=cost, floor=floor)
    data = np.asarray(M[W.tocoo().coords]).ravel()
    assert (data >= floor - 1e-9).all() and (data <= W.data).all()
    assert cost @ (W.data - data) <= budget * (1 + 1e-9) + 1e-9
    exact = linprog(scores, A_ub=[-cost], b_ub=[budget - cost @ W.data], bounds=list(zip(floor, W.data)))
    assert scores @ data == pytest.approx(exact.fun, rel=1e-7, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 4)), min_size=1, max_size=40), st.floats(0, 100))
def test_selection_equals_sorting(items, budget):
    worth, price = (np.array(column, dtype=float) for column in zip(*items))
    whole, part, rest = best_first(worth, price, budget)
    left, expected, cut = budget, set(), -1
    for k in sorted(range(len(items)), key=lambda k: (-worth[k], k)):
        if worth[k] <= 0 or price[k] == 0:
            continue
        if price[k] <= left + 1e-12:
            expected.add(k)
            left -= price[k]
        else:
            cut = k
            break
    assert set(whole.tolist()) == expected
    assert part == (cut if left > 0 else -1)
    assert part == -1 or rest == pytest.approx(left)


def test_edges_that_gain_nothing_are_not_cut():
    M = greedy_reduction([[1.0, 2.0, 3.0]], [1.0, 0.0, -1.0], budget=5)
    assert M.toarray().tolist() == [[0, 2, 3]]


def test_ties_go_to_the_first_edge():
    assert greedy_reduction([[1.0, 1.0, 1.0]], [2.0, 2.0, 2.0], budget=1.5).toarray().tolist() == [[0, 0.5, 1]]


def test_costs_and_floors_choose_the_edge_and_stop_the_cut():
    W = [[4.0, 4.0]]
    assert greedy_reduction(W, [2.0, 3.0], budget=4, cost=[1.0, 2.0]).toarray().tolist() == [[0, 4]]
    assert greedy_reduction(W, [1.0, 2.0], budget=3, floor=[0.0, 3.0]).toarray().tolist() == [[2, 3]]


def test_weights_of_every_kind_are_taken_and_never_changed():
    dense = np.array([[0, 2], [3, 0]])
    expected = [[0, 1], [3, 0]]
    kinds = [
        dense.tolist(), dense, dense.astype(np.float16), dense.astype(">f4"), dense[::-1][::-1],
        sparse.csr_matrix(dense), sparse.coo_array(dense), sparse.csc_array(dense.astype(np.float32)),
    ]  # fmt: skip
    for W in kinds:
        assert greedy_reduction(W, [1, 0], budget=np.float32(1)).toarray().tolist() == expected
    frozen = dense.astype(float)
    frozen.flags.writeable = False
    assert greedy_reduction(frozen, (1, 0), budget=1).toarray().tolist() == expected
    doubled = sparse.coo_array(([1.0, 1.0, 0.0, 3.0], ([0, 0, 1, 1], [1, 1, 1, 0])), shape=(2, 2))
    assert greedy_reduction(doubled, [1, 0], budget=1).toarray().tolist() == expected
    assert doubled.nnz == 4


def test_a_networkx_graph_is_read_by_its_weights():
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph()
    graph.add_weighted_edges_from([(0, 1, 2.0), (1, 0, 3.0)])
    assert greedy_reduction(graph, [1, 0], budget=1).toarray().tolist() == [[0, 1], [3, 0]]


@pytest.mark.parametrize(
    ("W", "kind", "message"),
    [
        ([[0, -1.0]], InvalidWeightsError, r"-1.0 at \(0, 1\)"),
        ([[0, 1], [np.nan, 2]], InvalidWeightsError, r"nan at \(1, 0\)"),
        ([[np.inf]], InvalidWeightsError, r"inf at \(0, 0\)"),
        ([[0.0]], ValueError, "at least one edge"),
        ([[1j]], TypeError, "real numbers"),
        ([1.0, 2.0], ValueError, "two axes"),
        ([[1.0], [2.0, 3.0]], TypeError, "matrix of numbers"),
        ([["a"]], TypeError, "real numbers"),
        ("abc", ValueError, "two axes"),
    ],
)
def test_bad_weights_are_named(W, kind, message):
    with pytest.raises(kind, match=message):
        greedy_reduction(W, [1.0], budget=1)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"budget": -1}, BudgetError, "at least 0, got -1"),
        ({"budget": 6}, BudgetError, "5 that can be removed, got 6"),
        ({"budget_fraction": 1.5}, BudgetError, "5 that can be removed, got 7.5"),
        ({"budget": 5, "floor": 1.0}, BudgetError, "3 that can be removed, got 5"),
        ({}, TypeError, "exactly one"),
        ({"budget": 1, "budget_fraction": 0.1}, TypeError, "exactly one"),
        ({"budget": True}, TypeError, "number"),
        ({"budget": np.nan}, ValueError, "finite"),
        ({"budget": "1"}, TypeError, "number"),
        ({"budget": 1, "cost": 0.0}, ValueError, "cost must be finite and positive"),
        ({"budget": 1, "cost": [1.0]}, ValueError, "cost must be a number"),
        ({"budget": 1, "floor": 9.0}, ValueError, "floor must not exceed"),
    ],
)
def test_bad_budgets_costs_and_floors_are_named(options, kind, message):
    with pytest.raises(kind, match=message):
        greedy_reduction([[2.0, 3.0]], [1.0, 1.0], **options)
    with pytest.raises((TypeError, ValueError)):
        greedy_reduction([[2.0, 3.0]], [1.0], budget=1)


def test_the_whole_budget_may_be_removed_despite_rounding():
    W = np.full((10, 10), 0.1)
    assert greedy_reduction(W, np.ones(100), budget=10.0).nnz <= 1
    assert greedy_reduction(W, np.ones(100), budget_fraction=1).sum() == pytest.approx(0, abs=1e-12)
