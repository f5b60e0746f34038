import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.tasks import (
    affinity_matrix,
    given_subsets,
    partition,
    partition_path,
    partition_value,
    random_subsets,
    round_relaxation,
    solve_low_rank,
    solve_relaxation,
    spectral_partition,
    stability,
)

SIZES = {2: (3, 5), 3: (4, 2, 5), 4: (3, 3, 6, 2)}


def planted(sizes, *, noise=0.0, seed=0):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    matrix = (labels[:, None] == labels).astype(float)
    matrix += noise * np.random.default_rng(seed).standard_normal(matrix.shape)
    return (matrix + matrix.T) / 2, labels


def noisy(n, seed):
    matrix = np.random.default_rng(seed).standard_normal((n, n))
    return matrix + matrix.T


@pytest.mark.parametrize("solver", ["clarabel", "scs", "lowrank"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_planted_blocks_are_found_exactly(solver, k):
    matrix, labels = planted(SIZES[k], noise=0.1, seed=k)
    found = partition(matrix, k=k, solver=solver)
    np.testing.assert_array_equal(found.labels, labels)
    # the relaxation is tight: its value is that of the partition, up to each solver's tolerance
    assert found.relaxation.value == pytest.approx(found.value, rel=2e-3 if solver == "lowrank" else 1e-4)
    assert found.k == k and found.matched


@pytest.mark.parametrize("k", [2, 3, 4])
def test_spectral_clustering_finds_planted_blocks(k):
    matrix, labels = planted(SIZES[k], noise=0.02)
    np.testing.assert_array_equal(spectral_partition(matrix, k=k).labels, labels)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(3, 7), data=st.data(), seed=st.integers(0, 1000))
def test_the_relaxation_is_feasible_and_bounds_every_partition(n, data, seed):
    k = data.draw(st.integers(2, n - 1))
    matrix = noisy(n, seed)
    found = solve_relaxation(matrix, k=k)
    solution = found.matrix
    np.testing.assert_allclose(solution.sum(axis=1), 1, atol=1e-6)
    assert np.trace(solution) == pytest.approx(k, abs=1e-6)
    assert solution.min() > -1e-6 and np.linalg.eigvalsh(solution).min() > -1e-6
    best = max(
        partition_value(matrix, labels) for labels in itertools.product(range(k), repeat=n) if len(set(labels)) == k
    )
    assert found.value >= best - 1e-6 * np.abs(matrix).sum()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "groups"), [(8, {"k": 3}), (15, {"k": 8}), (25, {"k": 5}), (12, {"ridge": 0.8})])
def test_low_rank_value_and_bound_enclose_the_general_solver(n, groups, seed):
    matrix = noisy(n, seed)
    general, low_rank = solve_relaxation(matrix, **groups), solve_low_rank(matrix, **groups)
    slack = 2e-3 * abs(general.value)  # twice its tolerance: once for the gap, once for entries of -tolerance/n
    assert low_rank.value == pytest.approx(general.value, abs=slack)
    assert low_rank.bound >= general.value - 1e-5 * np.abs(matrix).sum()
    np.testing.assert_allclose(low_rank.matrix.sum(axis=1), 1, atol=1e-9)
    assert low_rank.matrix.min() >= -1e-3 / n


def test_low_rank_solver_recovers_hundreds_of_tasks():
    matrix, labels = planted((60, 90, 50), noise=1.0)
    found = partition(matrix, k=3)
    assert found.relaxation.solver == "lowrank"
    np.testing.assert_array_equal(found.labels, labels)


def test_offsets_of_rows_and_columns_change_nothing():
    matrix, labels = planted((3, 4, 3), noise=0.1)
    offsets = 10 * np.random.default_rng(1).standard_normal(10)
    shifted = matrix + offsets + offsets[:, None]
    np.testing.assert_array_equal(partition(shifted, k=3).labels, labels)
    np.testing.assert_allclose(solve_relaxation(shifted, k=3).matrix, solve_relaxation(matrix, k=3).matrix, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_affinity_changes_nothing(scale):
    matrix, labels = planted((3, 4, 3), noise=0.1)
    np.testing.assert_array_equal(partition(scale * matrix, k=3).labels, labels)
    np.testing.assert_array_equal(partition(scale * matrix, ridge=0.5 * scale).labels, labels)


def test_losses_in_place_of_scores_turn_the_groups_round():
    matrix, labels = planted((4, 4))
    assert not np.array_equal(partition(-matrix, k=2).labels, labels)


@pytest.mark.parametrize("solver", ["clarabel", "lowrank"])
def test_one_group_and_all_apart_are_exact(solver):
    matrix = noisy(5, 0)
    np.testing.assert_array_equal(partition(matrix, k=1, solver=solver).labels, np.zeros(5))
    np.testing.assert_array_equal(partition(matrix, k=5, solver=solver).labels, np.arange(5))
    assert partition(matrix, k=1).value == pytest.approx(matrix.sum() / 5)
    assert partition(matrix, k=5).value == pytest.approx(np.trace(matrix))


def test_the_path_goes_from_many_groups_to_one_and_keeps_the_best():
    matrix, _ = planted((2, 3, 3), noise=0.05)
    best, path = partition_path(matrix, ridges=(0.001, 0.5, 20.0))
    assert [part.ridge for part in path] == [0.001, 0.5, 20.0]
    assert path[1].k == 3 and path[2].k == 1
    scores = [partition_value(matrix, part.labels) for part in path]
    assert best is path[int(np.argmax(scores))]
    assert path[1].value == pytest.approx(scores[1] - 0.5 * 3)


def test_equal_partitions_of_a_path_give_the_first():
    matrix, _ = planted((2, 3))
    best, path = partition_path(matrix)
    assert best is path[0] and best.ridge == 0.1


def test_rounding_scans_tasks_in_order():
    solution = np.array([[0.4, 0.3, 0.3, 0.0], [0.3, 0.7, 0.0, 0.0], [0.3, 0.0, 0.3, 0.4], [0.0, 0.0, 0.4, 0.6]])
    np.testing.assert_array_equal(round_relaxation(solution), [0, 0, 0, 1])
    np.testing.assert_array_equal(round_relaxation(solution, threshold=0.35), [0, 1, 2, 2])


@pytest.mark.parametrize(
    ("k", "apart", "performance"),
    [
        (2, [{"bfs", "dfs", "bridges", "strongly_connected_components", "dijkstra", "bellman_ford"}], 0.7387),
        (3, [{"bfs", "bridges", "strongly_connected_components", "dijkstra", "bellman_ford"}, {"dfs"}], 0.7528),
        (4, [{"bfs", "bridges", "strongly_connected_components"}, {"dfs"}, {"bellman_ford"}], 0.7583),
    ],
)
@pytest.mark.parametrize("solver", ["clarabel", "scs", "lowrank"])
def test_real_transfer_matrix_gives_its_known_groups(reference, solver, k, apart, performance):
    table = pd.read_csv(reference("algorithmic-reasoning/pairwise_transfer_full.csv"), index_col=0)
    transfer = table.to_numpy()
    found = partition((transfer + transfer.T) / 2, k=k, tasks=list(table.columns), solver=solver)
    rest = set(table.columns) - set().union(*apart)
    assert {frozenset(group) for group in found.groups} == {frozenset(group) for group in [*apart, rest]}
    within = found.labels[:, None] == found.labels
    np.fill_diagonal(within, False)
    partners = within.sum(axis=1)
    means = np.where(partners > 0, (transfer * within).sum(axis=1) / np.maximum(partners, 1), np.diag(transfer))
    assert means.mean() == pytest.approx(performance, abs=5e-5)  # printed to four digits


def block_outcomes(subsets, labels, noise, seed=0):
    """A member's score is the number of its subset's members that share its block."""
    same = labels[:, None] == labels
    scores = subsets.members @ same.astype(float)
    return scores + noise * np.random.default_rng(seed).standard_normal(scores.shape)


def test_stability_finds_the_planted_number_of_groups_and_who_is_sure_of_them():
    labels = np.repeat([0, 1, 2], 4)
    subsets = random_subsets(12, count=120, size=3, seed=0)
    found = stability(affinity_matrix(block_outcomes(subsets, labels, 0.3), subsets), ks=(2, 3, 4, 5), samples=15)
    assert found.suggested_k == 3
    np.testing.assert_array_equal(found.co_clustering[3], labels[:, None] == labels)
    mean, low, high = found.interval(3)
    assert mean == low == high == 1.0
    assert found.interval(5)[0] < 1.0
    np.testing.assert_array_equal(found.partitions[3].labels, labels)


def test_stability_takes_given_matrices_in_place_of_the_bootstrap():
    subsets = random_subsets(6, count=20, size=3, seed=0)
    affinity = affinity_matrix(block_outcomes(subsets, np.repeat([0, 1], 3), 0.3), subsets)
    drawn = affinity.bootstrap(5, seed=2)
    given, own = stability(affinity, ks=(2,), matrices=drawn), stability(affinity, ks=(2,), samples=5, seed=2)
    assert np.array_equal(given.co_clustering[2], own.co_clustering[2])
    other = np.kron([[0.0, 1.0], [1.0, 0.0]], np.ones((3, 3)))  # prefers members of the other half
    assert stability(affinity, ks=(2,), matrices=other[None]).agreement[2][0] < 0.5
    with pytest.raises(ValueError, match=r"matrices must have shape \(B >= 1, 6, 6\), got \(6, 6\)"):
        stability(affinity, matrices=other)


def test_stability_of_noise_is_low():
    subsets = random_subsets(10, count=60, size=3, seed=0)
    outcomes = np.random.default_rng(0).standard_normal(subsets.members.shape)
    found = stability(affinity_matrix(outcomes, subsets), ks=(3,), samples=15)
    assert found.interval(3)[0] < 0.8
    assert ((found.co_clustering[3] > 0.1) & (found.co_clustering[3] < 0.9)).any()


def test_where_all_pairs_are_alike_a_penalty_leaves_one_group():
    offsets = np.add.outer(np.arange(4.0), np.arange(4.0))
    best, path = partition_path(offsets, ridges=(0.1, 1.0))
    assert [part.k for part in path] == [1, 1] and best.k == 1
    assert best.relaxation.value == pytest.approx(offsets.sum() / 4 - 0.1)
    assert partition(offsets, ridge=0.1, solver="lowrank").k == 1
    with pytest.raises(ValueError, match="tell tasks apart"):
        partition(offsets, ridge=0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: partition(np.array([[1.0, 2.0], [0.0, 1.0]]), k=1),
            r"affinity must be symmetric, got 2.0 at \(0, 1\)",
        ),
        (lambda: partition(np.ones((2, 3)), k=1), r"shape \(n, n\) with n >= 2, got \(2, 3\)"),
        (lambda: partition(np.full((2, 2), np.nan), k=1), r"affinity must be finite, got nan at \(0, 0\)"),
        (lambda: partition(noisy(4, 0), k=5), "k must be between 1 and 4, got 5"),
        (lambda: partition(noisy(4, 0), k=0), "k must be between 1 and 4, got 0"),
        (lambda: partition(noisy(4, 0)), "exactly one of k and ridge must be given"),
        (lambda: partition(noisy(4, 0), k=2, ridge=1.0), "exactly one of k and ridge must be given"),
        (lambda: partition(noisy(4, 0), ridge=-1.0), "ridge must be a finite number >= 0, got -1"),
        (lambda: partition(np.add.outer(np.arange(4), np.arange(4)), k=2), "affinity must tell tasks apart"),
        (lambda: partition(noisy(4, 0), k=2, tasks=["a", "b"]), "tasks must be 4 names, got 2"),
        (lambda: partition(noisy(4, 0), k=2, solver="mosek"), "solver must be one of"),
        (lambda: spectral_partition(noisy(4, 0), k=9), "k must be between 1 and 4, got 9"),
        (lambda: partition_value(np.eye(3), [0, 1]), r"labels must have shape \(3,\), got \(2,\)"),
        (lambda: partition_path(np.eye(3), ridges=()), "at least one penalty"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_pair_without_a_subset_is_named():
    subsets = given_subsets(["a", "b", "c"], [("a", "b"), ("b", "c")])
    with pytest.raises(ValueError, match=r"no subset holds \[\('a', 'c'\)\]"):
        partition(affinity_matrix(np.zeros((2, 3)), subsets), k=2)


@pytest.mark.parametrize(
    ("solver", "options"), [("clarabel", {"max_iter": 2}), ("scs", {"max_iters": 2}), ("scs", {"max_iters": 60})]
)
def test_a_relaxation_that_is_not_solved_is_an_error_with_its_status(solver, options):
    with pytest.raises(RuntimeError, match=f"must be solved to optimality, but {solver}"):
        solve_relaxation(noisy(20, 0), k=3, solver=solver, options=options)


def test_a_low_rank_solution_that_is_not_good_enough_is_an_error():
    with pytest.raises(RuntimeError, match=r"to a tolerance of 0\.001, but after 2 rounds"):
        solve_low_rank(noisy(20, 0), k=3, max_rounds=2)
