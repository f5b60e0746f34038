import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reprise.matrix_sensing import RankOneMeasurements, SensingProblem, SparseMeasurements


@given(d=st.integers(2, 12), r=st.integers(1, 4), condition=st.floats(1.0, 20.0), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_truth_has_the_rank_norm_and_condition_asked_for(d, r, condition, seed):
    r = min(r, d)
    problem = SensingProblem.gaussian(d, r, 5, condition=condition, seed=seed)
    values = torch.linalg.eigvalsh(problem.truth).flip(0)
    assert float(values[0]) == pytest.approx(1.0)
    if r > 1:
        assert float(values[r - 1]) == pytest.approx(1 / condition)
    assert float(values[r:].abs().sum()) == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(problem.basis @ (problem.basis.mT @ problem.truth), problem.truth)
    torch.testing.assert_close(problem.measurements.apply(problem.truth), problem.targets)


def test_truth_measurements_and_noise_have_streams_of_their_own():
    plain = SensingProblem.gaussian(8, 2, 10, seed=1)
    noisy = SensingProblem.gaussian(8, 2, 10, noise=0.5, seed=1)
    more = SensingProblem.gaussian(8, 2, 20, seed=1)
    other = SensingProblem.gaussian(8, 2, 10, seed=2)
    torch.testing.assert_close(plain.measurements.matrices(), noisy.measurements.matrices())
    torch.testing.assert_close(plain.truth, more.truth)
    assert not torch.allclose(plain.targets, noisy.targets)
    assert not torch.allclose(plain.truth, other.truth)


def test_a_seed_sequence_gives_the_same_problem_each_time():
    sequence = np.random.SeedSequence(5).spawn(1)[0]
    first, second = (SensingProblem.gaussian(6, 1, 7, seed=sequence) for _ in range(2))
    torch.testing.assert_close(first.targets, second.targets)


def test_quadratic_network_measures_the_teacher():
    problem = SensingProblem.quadratic_network(7, 2, 9, seed=0)
    inputs = problem.measurements.vectors
    torch.testing.assert_close(problem.targets, (inputs @ problem.basis).square().sum(1))


def test_noise_has_the_standard_deviation_asked_for():
    clean = SensingProblem.gaussian(5, 1, 20_000, seed=3)
    noisy = SensingProblem.gaussian(5, 1, 20_000, noise=0.3, seed=3)
    assert float((noisy.targets - clean.targets).std()) == pytest.approx(0.3, rel=0.03)  # 6 standard errors


def test_arrays_of_every_form_become_their_operator():
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((6, 4, 4))
    problem = SensingProblem.from_arrays(dense, np.ones(6), truth=np.diag([2.0, 1.0, 0.0, 0.0]))
    assert problem.rank == 2 and problem.count == 6 and problem.dimension == 4
    rows = sparse.csr_array(dense.reshape(6, 16))
    same = SensingProblem.from_arrays(rows, np.ones(6))
    assert isinstance(same.measurements, SparseMeasurements)
    torch.testing.assert_close(same.measurements.matrices(), problem.measurements.matrices())
    assert isinstance(SensingProblem.from_arrays(dense[:, 0], np.ones(6)).measurements, RankOneMeasurements)


def test_a_stack_gives_back_its_items():
    problems = [SensingProblem.gaussian(5, 1, 6, seed=seed) for seed in range(3)]
    stacked = SensingProblem.stack(problems)
    for index, problem in enumerate(problems):
        torch.testing.assert_close(stacked.item(index).targets, problem.targets)
        torch.testing.assert_close(stacked.item(index).truth, problem.truth)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimension": 0, "rank": 1, "measurements": 5}, "dimension must be at least 1, got 0"),
        ({"dimension": 4, "rank": 5, "measurements": 5}, r"rank must be between 1 and dimension \(4\), got 5"),
        ({"dimension": 4, "rank": 0, "measurements": 5}, r"rank must be between 1 and dimension \(4\), got 0"),
        ({"dimension": 4, "rank": 1, "measurements": -1}, "measurements must be at least 1, got -1"),
        ({"dimension": 4, "rank": 1, "measurements": 5, "condition": 0.5}, "condition must be at least 1"),
        ({"dimension": 4, "rank": 1, "measurements": 5, "noise": float("nan")}, "noise must be at least 0 and finite"),
    ],
)
def test_impossible_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SensingProblem.gaussian(**arguments, seed=0)


def test_a_size_that_is_no_integer_is_a_type_error():
    with pytest.raises(TypeError, match=r"rank must be an integer, got 1\.5"):
        SensingProblem.gaussian(4, 1.5, 5, seed=0)


A = np.random.default_rng(0).standard_normal((5, 3, 3))


@pytest.mark.parametrize(
    ("y", "truth", "message"),
    [
        (np.ones(4), None, r"y must have one entry per measurement \(5\), got shape \(4,\)"),
        (np.array([1, 2, np.inf, 1, 1]), None, "y must be finite, got 1 NaN or infinite entries of 5"),
        (np.ones(5), np.triu(np.ones((3, 3))), "truth must be symmetric"),
        (np.ones(5), np.ones((2, 2)), r"truth must have shape \(3, 3\), got \(2, 2\)"),
        (np.ones(5), np.zeros((3, 3)), "truth must have a positive eigenvalue"),
    ],
)
def test_data_that_do_not_fit_are_refused(y, truth, message):
    with pytest.raises(ValueError, match=message):
        SensingProblem.from_arrays(A, y, truth=truth)


def test_problems_of_different_shape_do_not_stack():
    with pytest.raises(ValueError, match="problems must share kind, dimension, count and rank"):
        SensingProblem.stack([SensingProblem.gaussian(5, 1, 6, seed=0), SensingProblem.gaussian(5, 1, 7, seed=0)])
