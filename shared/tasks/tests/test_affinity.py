import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.tasks import affinity_gains, affinity_matrix, all_pairs, gain_matrix, given_subsets, random_subsets


def by_hand(outcomes, subsets, target):
    n = len(subsets.tasks)
    matrix = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(n):
            held = [k for k, members in enumerate(subsets.members) if members[i] and members[j]]
            if held:
                score = [outcomes[k, i] if target == "task" else outcomes[k, subsets.members[k]].mean() for k in held]
                matrix[i, j] = np.mean(score)
    return matrix


@settings(deadline=None)
@given(n=st.integers(2, 8), size=st.integers(2, 4), seed=st.integers(0, 99), target=st.sampled_from(["task", "subset"]))
def test_affinity_equals_the_mean_written_out(n, size, seed, target):
    subsets = random_subsets(n, count=5, size=min(size, n), seed=seed, cover=seed % 2 == 0)
    outcomes = np.random.default_rng(seed).standard_normal((len(subsets), n))
    affinity = affinity_matrix(outcomes, subsets, target=target)
    np.testing.assert_allclose(affinity.matrix, by_hand(outcomes, subsets, target))
    assert affinity.coverage == subsets.coverage
    np.testing.assert_array_equal(np.isnan(affinity.matrix), affinity.counts == 0)


def test_pairs_give_back_the_transfer_matrix():
    transfer = np.random.default_rng(0).standard_normal((6, 6))
    subsets = all_pairs(6)
    outcomes = np.zeros((15, 6))
    for row, (i, j) in zip(outcomes, subsets):
        row[i], row[j] = transfer[i, j], transfer[j, i]
    off = ~np.eye(6, dtype=bool)
    affinity = affinity_matrix(outcomes, subsets)
    np.testing.assert_allclose(affinity.matrix[off], transfer[off])
    np.testing.assert_allclose(affinity.symmetric().matrix[off], ((transfer + transfer.T) / 2)[off])


def test_scores_of_whole_subsets_give_a_symmetric_affinity():
    subsets = random_subsets(5, count=8, size=3)
    affinity = affinity_matrix(np.arange(len(subsets), dtype=float), subsets)
    assert affinity.target == "subset"
    np.testing.assert_allclose(affinity.matrix, affinity.matrix.T)


def test_standardized_entries_off_the_diagonal_have_mean_0_and_deviation_1():
    subsets = random_subsets(6, count=20, size=3)
    affinity = affinity_matrix(5 + 1e-3 * np.random.default_rng(1).standard_normal(subsets.members.shape), subsets)
    off = affinity.standardized().matrix[~np.eye(6, dtype=bool)]
    assert off.mean() == pytest.approx(0, abs=1e-9) and off.std() == pytest.approx(1)


def test_bootstrap_spreads_as_the_standard_error_of_the_means():
    subsets = given_subsets(2, [(0, 1)] * 50)
    outcomes = np.random.default_rng(2).standard_normal((50, 2))
    drawn = affinity_matrix(outcomes, subsets).bootstrap(4000, seed=1)[:, 0, 1]
    # exponential weights give a variance of s²/(m + 1); the deviation of 4000 draws is known to about 1.2 %
    assert drawn.std() == pytest.approx(outcomes[:, 0].std() / 51**0.5, rel=0.05)
    assert drawn.mean() == pytest.approx(outcomes[:, 0].mean(), abs=4 * drawn.std() / 4000**0.5)


def test_bootstrap_keeps_what_is_certain_and_repeats_with_its_seed():
    subsets = random_subsets(6, count=6, size=3)
    affinity = affinity_matrix(np.ones((len(subsets), 6)), subsets)
    np.testing.assert_allclose(affinity.bootstrap(5), 1)
    noisy = affinity_matrix(np.random.default_rng(0).standard_normal((len(subsets), 6)), subsets)
    np.testing.assert_array_equal(noisy.bootstrap(3, seed=4), noisy.bootstrap(3, seed=4))
    assert not np.array_equal(noisy.bootstrap(3, seed=4), noisy.bootstrap(3, seed=5))


def test_a_missing_outcome_is_refused_with_its_task_and_subset():
    subsets = given_subsets(["walk", "run", "jump"], [("walk", "run"), ("run", "jump")])
    outcomes = np.zeros((2, 3))
    outcomes[0, 2] = np.nan  # not a member: not read
    affinity_matrix(outcomes, subsets)
    outcomes[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"got nan for task 'jump' in subset 1, \('run', 'jump'\)"):
        affinity_matrix(outcomes, subsets)


def test_bad_arguments_are_refused():
    subsets = random_subsets(4, count=3, size=2)
    with pytest.raises(ValueError, match=r"outcomes must have shape \(\d+, 4\) or"):
        affinity_matrix(np.zeros((2, 4)), subsets)
    with pytest.raises(ValueError, match="target must be one of 'task', 'subset', got 'both'"):
        affinity_matrix(np.zeros(subsets.members.shape), subsets, target="both")
    with pytest.raises(ValueError, match="must differ to be standardised"):
        affinity_matrix(np.ones(subsets.members.shape), subsets).standardized()


def test_gains_do_not_see_what_a_task_scores_on_its_own_and_have_unit_spread():
    matrix = np.random.default_rng(3).standard_normal((5, 5))
    gains = gain_matrix(matrix)
    off = ~np.eye(5, dtype=bool)
    assert gains[off].std() == pytest.approx(1) and gains[off].mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(gains, gains.T)
    np.testing.assert_allclose(gain_matrix(7 * (matrix + np.arange(5)[:, None])), gains)


def test_gains_of_two_tasks_and_of_equal_affinities_are_left_as_they_are():
    np.testing.assert_array_equal(gain_matrix([[1, 2], [4, 1]]), [[1, 3], [3, 1]])
    np.testing.assert_array_equal(gain_matrix(np.ones((3, 3))), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="matrix must be finite"):
        affinity_gains(affinity_matrix(np.ones((1, 3)), given_subsets(3, [(0, 1)])))
