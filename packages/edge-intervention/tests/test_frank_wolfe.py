import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_directed, random_rectangular
from scipy import sparse

from reprise.edge_intervention import (
    BudgetError,
    ProblemTooLargeError,
    edge_centrality,
    frank_wolfe,
    k_edge_deletion,
    next_generation_objective,
    optimal_sdp,
    pareto_curve,
)
from reprise.edge_intervention import spectrum as spectrum_module
from reprise.edge_intervention.objectives import SpectralObjective, capped_shares
from reprise.edge_intervention.spectrum import leading_triples
from reprise.edge_intervention.step_sizes import GRID, grid_minimum


def finite_differences(function, W, width=1e-4):
    result = np.empty(W.nnz)
    for e in range(W.nnz):
        up, down = W.copy(), W.copy()
        up.data[e] += width
        down.data[e] -= width
        result[e] = (function(up) - function(down)) / (2 * width)
    return result


def f(M, rank, power=2):
    return (np.linalg.svd(M.toarray(), compute_uv=False)[:rank] ** power).sum()


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize(
    "W", [random_directed(9, seed=1), random_rectangular(6, 11, seed=2), random_rectangular(11, 6)]
)
def test_centrality_is_the_gradient(W, rank):
    two, one = 2 * edge_centrality(W, rank), edge_centrality(W, rank, power=1)
    assert two == pytest.approx(finite_differences(lambda M: f(M, rank), W), rel=1e-5, abs=1e-5)
    assert one == pytest.approx(finite_differences(lambda M: f(M, rank, 1), W), rel=1e-5, abs=1e-5)


def test_next_generation_gradient_is_the_gradient():
    W, generator = random_rectangular(7, 12, seed=3), np.random.default_rng(0)
    beta, people = generator.uniform(0.1, 2, 12), generator.integers(50, 500, 7)
    objective = next_generation_objective(beta, people, W.shape, rank=2)
    near = objective.linearise(W, 0)
    scaled = people[:, None] ** -0.5 * W.toarray() * beta**0.5
    assert near.value == pytest.approx((np.linalg.svd(scaled, compute_uv=False)[:2] ** 2).sum())
    assert near.gradient == pytest.approx(finite_differences(objective.value, W), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("shape", [(300, 500), (500, 300)])
def test_lanczos_agrees_with_a_dense_decomposition(shape):
    W = random_rectangular(*shape, density=0.05)
    found = leading_triples(W, 7)
    left, values, right = np.linalg.svd(W.toarray())
    assert found.values == pytest.approx(values[:7], rel=1e-9)
    ours = found.left * found.values @ found.right.T
    assert ours == pytest.approx(left[:, :7] * values[:7] @ right[:7], abs=1e-6)
    again = leading_triples(W, 7, found.start)
    assert again.values == pytest.approx(values[:7], rel=1e-9)


def test_what_arpack_cannot_do_lobpcg_does(monkeypatch):
    def fails(*arguments, **options):
        raise spectrum_module.ArpackNoConvergence("no", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(spectrum_module, "eigsh", fails)
    W = random_rectangular(200, 260, density=0.1)
    assert leading_triples(W, 3).values == pytest.approx(np.linalg.svd(W.toarray(), compute_uv=False)[:3], rel=1e-5)


def test_degenerate_matrices_have_triples():
    assert leading_triples(sparse.csr_array((200, 300)), 3).values.tolist() == [0, 0, 0]
    assert leading_triples(sparse.csr_array(np.ones((2, 3))), 5).values == pytest.approx([6**0.5, 0], abs=1e-12)
    with pytest.raises(ValueError, match="rank must be below"):
        edge_centrality(sparse.eye_array(2100).tocsr(), rank=2100)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=12), st.integers(1, 6), st.floats(1e-6, 10))
def test_shares_are_the_capped_maximiser(values, count, relative):
    descending = np.sort(values)[::-1]
    count, smoothing = min(count, len(values)), relative * max(float(np.mean(values)), 1e-9)
    shares = capped_shares(descending, count, smoothing)
    assert ((shares >= 0) & (shares <= 1)).all() and shares.sum() == pytest.approx(count, abs=1e-6)
    assert (np.diff(shares) <= 1e-9).all()

    def worth(p):
        return p @ descending - smoothing / 2 * p @ p

    # No exchange of a little share between two places gains.
    for a in range(len(values)):
        for b in range(len(values)):
            move = min(1e-3, shares[a], 1 - shares[b])
            moved = shares.copy()
            moved[a] -= move
            moved[b] += move
            assert worth(moved) <= worth(shares) + 1e-6 * max(worth(shares), 1.0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rank", [1, 3])
def test_smoothed_frank_wolfe_reaches_the_exact_optimum(rank, seed):
    W = random_directed(12, seed=seed)
    exact = optimal_sdp(W, budget_fraction=0.2, rank=rank)
    found = frank_wolfe(W, budget_fraction=0.2, rank=rank, steps=2000, smoothing=0.5, tol=0)
    assert exact.objective == pytest.approx(f(exact.weights, rank))
    # Clarabel's own tolerance is 1e-8 relative on the scaled program.
    assert exact.objective * (1 - 1e-6) <= found.objective <= exact.objective * (1 + 1e-3)
    assert found.lower_bound <= exact.objective * (1 + 1e-6)
    assert found.objective == pytest.approx(f(found.weights, rank))
    assert found.gap == pytest.approx(found.objective - found.lower_bound)


def test_smoothing_closes_the_gap_that_the_plain_method_leaves():
    W = random_directed(12, seed=0)
    exact = optimal_sdp(W, budget_fraction=0.2, rank=3).objective
    plain = frank_wolfe(W, budget_fraction=0.2, rank=3, steps=500, smoothing=0.0, tol=0)
    smooth = frank_wolfe(W, budget_fraction=0.2, rank=3, steps=500, tol=0)
    assert smooth.objective < plain.objective
    assert exact - smooth.lower_bound < exact - plain.lower_bound


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("rank", [1, 2])
def test_the_exact_program_is_no_worse_than_anything_feasible(rank, power):
    W = random_rectangular(5, 7, density=0.6)
    exact = optimal_sdp(W, budget_fraction=0.3, rank=rank, power=power)
    assert exact.budget_used <= 0.3 * W.sum() * (1 + 1e-9)
    assert exact.gap <= 1e-4 * exact.objective
    generator = np.random.default_rng(0)
    for _ in range(50):
        M = W.copy()
        removed = W.data * generator.random(W.nnz)
        M.data -= removed * min(1.0, 0.3 * W.sum() / removed.sum())
        assert f(M, rank, power) >= exact.lower_bound * (1 - 1e-6)
    found = frank_wolfe(W, budget_fraction=0.3, rank=rank, power=power, steps=300, tol=0)
    assert found.objective == pytest.approx(exact.objective, rel=0.01)


def test_one_step_at_rank_one_is_k_edge_deletion():
    W = random_rectangular(40, 60)
    one = frank_wolfe(W, budget_fraction=0.1, rank=1, steps=1)
    assert one.weights.toarray() == pytest.approx(k_edge_deletion(W, budget_fraction=0.1).toarray())


@pytest.mark.parametrize("step", ["open_loop", "grid", "brent"])
def test_every_step_rule_comes_near_the_optimum(step):
    W = random_directed(15, seed=4)
    exact = optimal_sdp(W, budget_fraction=0.2).objective
    found = frank_wolfe(W, budget_fraction=0.2, rank=1, steps=60, step=step)
    assert exact * (1 - 1e-6) <= found.objective <= 1.02 * exact
    assert found.budget_used <= 0.2 * W.sum() * (1 + 1e-9)


def test_the_grid_search_finds_the_best_of_all_27():
    for centre in np.geomspace(1e-4, 2, 60):
        assert grid_minimum(lambda x, c=centre: (x - c) ** 2) == min(GRID, key=lambda x, c=centre: (x - c) ** 2)
    assert len(GRID) == 27


def test_paper_mode_takes_grid_steps_of_the_plain_gradient_and_spends_all():
    W = random_rectangular(30, 50)
    found = frank_wolfe(W, budget_fraction=0.05, rank=3, steps=4, mode="paper", smoothing=1.0, power=1)
    assert all(any(record.step_size == pytest.approx(size) for size in GRID) for record in found.history)
    assert found.budget_used == pytest.approx(0.05 * W.sum())
    assert "paper" in found.method
    # By hand, one step: dense vectors, all 27 sizes on Σσ, the rest of the budget by rank 1.
    one = frank_wolfe(W, budget_fraction=0.05, rank=3, steps=1, mode="paper")
    dense, budget = W.toarray(), 0.05 * W.sum()
    u, s, v = np.linalg.svd(dense)

    def cut(scores, base, left):
        M = base.copy()
        for e in np.argsort(-np.where(dense > 0, scores, -np.inf), axis=None, kind="stable"):
            i, j = np.unravel_index(e, M.shape)
            gone = min(M[i, j], left)
            M[i, j], left = M[i, j] - gone, left - gone
        return M

    vertex = cut(u[:, :3] * s[:3] @ v[:3], dense, budget)
    sizes = {eta: np.linalg.svd((1 - eta) * dense + eta * vertex)[1][:3].sum() for eta in GRID}
    eta = min(sizes, key=sizes.get)
    M = (1 - eta) * dense + eta * vertex
    u, s, v = np.linalg.svd(M)
    M = cut(np.outer(np.abs(u[:, 0]), np.abs(v[0])), M, budget - (dense - M).sum())
    assert one.weights.toarray() == pytest.approx(M, abs=1e-8)


def test_on_a_graph_of_equal_edges_the_answer_is_uniform():
    ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1))
    found = frank_wolfe(ring, budget_fraction=0.25, rank=1, steps=800, smoothing=0.5, tol=0)
    # Exact: by symmetry and convexity. Smoothed Frank-Wolfe errs by O(1/√t).
    assert found.objective == pytest.approx(0.75**2, rel=0.04)


def test_costs_and_floors_hold_in_the_answer():
    W, generator = random_rectangular(12, 15), np.random.default_rng(1)
    cost, floor = generator.uniform(0.5, 2, W.nnz), 0.3 * W.data
    found = frank_wolfe(W, 20.0, rank=2, steps=50, cost=cost, floor=floor)
    data = np.asarray(found.weights[W.tocoo().coords]).ravel()
    assert (data >= floor - 1e-9).all() and cost @ (W.data - data) == pytest.approx(found.budget_used)
    assert found.budget_used <= 20 * (1 + 1e-9)
    assert found.objective >= optimal_sdp(W, 20.0, rank=2, cost=cost, floor=floor).lower_bound * (1 - 1e-6)


def test_the_pareto_curve_falls_and_is_bounded():
    W = random_directed(15, seed=2)
    curve = pareto_curve(W, [0.4, 0.1, 0.2], rank=1, steps=60)
    assert (np.diff(curve.objectives) <= 0).all() and (curve.lower_bounds <= curve.objectives).all()
    for fraction, result in zip(curve.fractions, curve.results):
        exact = optimal_sdp(W, budget_fraction=fraction).objective
        assert result.lower_bound <= exact * (1 + 1e-6) and result.objective <= 1.05 * exact
    with pytest.raises(TypeError, match="leave it out"):
        pareto_curve(W, [0.1], budget=1.0)


def test_a_start_must_be_feasible():
    W = random_directed(6, density=0.6)
    with pytest.raises(ValueError, match="feasible"):
        frank_wolfe(W, budget_fraction=0.1, rank=1, start=0.5 * W)
    with pytest.raises(ValueError, match="no edge that the network lacks"):
        frank_wolfe(W, budget_fraction=0.1, rank=1, start=np.ones(W.shape))


def test_a_function_of_the_user_is_an_objective():
    W = random_directed(8, density=0.5)
    found = frank_wolfe(W, budget_fraction=0.3, steps=200, objective=lambda M: ((M.data**2).sum() / 2, M.data))
    # The squares of the weights are least when the largest are capped.
    cap = found.weights.data.max()
    assert np.isnan(found.lower_bound) and found.gap < 0.02 * found.objective
    # O(1/t): the largest weights agree to a share of 1/200 of the vertices.
    assert found.weights.data == pytest.approx(np.minimum(W.data, cap), rel=0.15)
    with pytest.raises(TypeError, match="number and a gradient"):
        frank_wolfe(W, budget_fraction=0.3, objective=lambda M: "no")
    with pytest.raises(ValueError, match="shape"):
        frank_wolfe(W, budget_fraction=0.3, objective=lambda M: (1.0, np.ones(2)))


def test_a_budget_of_nothing_and_of_everything():
    W = random_directed(6, density=0.6)
    nothing = frank_wolfe(W, budget=0, rank=1)
    assert nothing.weights.toarray().tolist() == W.toarray().tolist() and nothing.converged
    everything = frank_wolfe(W, budget_fraction=1.0, rank=2)
    assert everything.objective == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"rank": 0}, ValueError, "rank must be at least 1, got 0"),
        ({"rank": 2.0}, TypeError, "rank must be an integer"),
        ({"rank": True}, TypeError, "rank must be an integer"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"power": 3}, ValueError, "power must be 1 or 2"),
        ({"step": "golden"}, ValueError, "step must be one of"),
        ({"mode": "fast"}, ValueError, "mode must be one of"),
        ({"objective": "entropy"}, ValueError, "objective must be one of"),
        ({"objective": 3}, TypeError, "objective must be one of"),
        ({"objective": "next_generation"}, TypeError, "needs beta_poi and population"),
        ({"smoothing": "much"}, ValueError, "smoothing must be one of"),
        ({"smoothing": -1.0}, ValueError, "smoothing must be finite"),
        ({"tol": np.nan}, ValueError, "tol must be finite"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"budget": 1e9}, BudgetError, "can be removed, got 1e"),
    ],
)
def test_bad_options_are_named(options, kind, message):
    with pytest.raises(kind, match=message):
        frank_wolfe(random_directed(5, density=0.6), **{"budget": 1.0, **options})


def test_numpy_integers_are_integers():
    W = random_directed(6, density=0.6)
    assert frank_wolfe(W, 1, rank=np.int32(1), steps=np.int64(2), seed=np.uint8(3)).budget_used == pytest.approx(1)


def test_large_programs_are_refused_with_the_alternative():
    with pytest.raises(ProblemTooLargeError, match=r"at most 80.*frank_wolfe"):
        optimal_sdp(np.ones((41, 40)), budget=1.0)
    with pytest.raises(ValueError, match="solver must be one of"):
        optimal_sdp(np.ones((2, 2)), budget=1.0, solver="MAGIC")


def test_value_and_gradient_agree_for_a_smoothed_objective_with_many_equal_values():
    # All singular values equal: the smoothed shares reach far beyond the rank, and are cut back.
    W = sparse.csr_array(np.diag(np.ones(150)))
    near = SpectralObjective(2, smoothing=0.5).linearise(W, 0)
    assert near.value == pytest.approx(2) and near.support <= 2 + 1e-9
