import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.matrix_sensing import (
    SensingProblem,
    gradient_descent,
    gradient_descent_batch,
    principal_angle,
    recovery_error,
    signal_error_split,
)
from reprise.matrix_sensing.curvature import sensing_loss
from reprise.matrix_sensing.loop import DivergenceError


def identity_problem(truth):
    """The measurements that see every entry: M(U) = U Uᵀ − X* exactly."""
    d = len(truth)
    rows, columns = torch.triu_indices(d, d)
    A = torch.zeros(len(rows), d, d, dtype=torch.float64)
    weight = torch.where(rows == columns, 1.0, 2.0**0.5).double()
    A[torch.arange(len(rows)), rows, columns] = weight * len(rows) ** 0.5
    A = (A + A.mT) / 2
    return SensingProblem.from_arrays(A, torch.einsum("mij,ij->m", A, truth), truth=truth)


def test_a_step_follows_half_the_gradient_of_the_loss():
    problem = SensingProblem.gaussian(6, 2, 20, seed=0)
    start = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    path = gradient_descent(problem, scale=0.5, start=start, factor_rank=4, step=0.01, steps=1)
    U = (0.5 * start).requires_grad_()
    (gradient,) = torch.autograd.grad(sensing_loss(problem)(U), U)
    torch.testing.assert_close(path.factor, U.detach() - 0.01 * gradient / 2)


@given(value=st.floats(0.2, 1.0), scale=st.floats(1e-6, 0.1), step=st.floats(0.01, 0.2))
@settings(max_examples=25, deadline=None)
def test_with_full_measurements_each_eigenvalue_follows_its_scalar_recursion(value, scale, step):
    problem = identity_problem(torch.diag(torch.tensor([1.0, value, 0.0], dtype=torch.float64)))
    path = gradient_descent(problem, scale=scale, step=step, steps=40, start="identity", tolerance=0.0)
    expected = torch.full((3,), scale, dtype=torch.float64)
    for _ in range(40):
        expected = expected - step * (expected**2 - torch.tensor([1.0, value, 0.0], dtype=torch.float64)) * expected
    torch.testing.assert_close(path.factor.diagonal(), expected, rtol=1e-9, atol=1e-12)


def test_time_to_recovery_has_the_slope_of_the_theorem_when_measurements_are_full():
    problem = identity_problem(torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)))
    paths = gradient_descent_batch(problem, scales=[1e-3, 1e-6], step=0.05, steps=500, record_every=1)
    first = [next(row["step"] for row in path.history if row["error"] < 0.5) for path in paths]
    expected = math.log(1e3) / math.log1p(0.05)
    assert abs((first[1] - first[0]) - expected) <= 1.0  # steps are whole numbers


def test_small_start_recovers_and_large_start_only_interpolates():
    problem = SensingProblem.gaussian(30, 2, 300, seed=0)
    small, large = gradient_descent_batch(problem, scales=[1e-4, 1.0], steps=3000, record_every=100)
    assert small.history[-1]["error"] < 5e-3
    assert large.history[-1]["error"] > 0.5
    assert large.history[-1]["relative_loss"] < 0.01


def test_orthogonal_and_identity_starts_give_one_matrix():
    problem = SensingProblem.gaussian(8, 1, 30, seed=1)
    first, second = (gradient_descent(problem, steps=100, start=start) for start in ("orthogonal", "identity"))
    torch.testing.assert_close(first.matrix, second.matrix, rtol=1e-8, atol=1e-12)


def test_a_batch_equals_its_runs_one_by_one():
    problems = [SensingProblem.gaussian(10, 1, 50, seed=seed) for seed in range(3)]
    together = gradient_descent_batch(problems, scales=[1e-2, 1e-3, 1e-4], steps=300, tolerance=1e-6)
    for problem, path in zip(problems, together):
        alone = gradient_descent(problem, scale=path.scale, steps=300, tolerance=1e-6)
        torch.testing.assert_close(path.factor, alone.factor, rtol=1e-7, atol=1e-12)
        assert path.column("step") == alone.column("step")
        assert path.converged == alone.converged


def test_history_holds_the_numbers_of_the_factor_it_was_recorded_at():
    problem = SensingProblem.gaussian(9, 2, 60, seed=2)
    path = gradient_descent(problem, steps=95, record_every=10, singular_values=True, tolerance=0.0)
    assert path.column("step") == [*range(0, 91, 10), 95]
    row, U = path.history[-1], path.factor
    signal, error = signal_error_split(U, problem.basis)
    assert row["loss"] == pytest.approx(float(sensing_loss(problem)(U)))
    assert row["error"] == pytest.approx(float(recovery_error(U @ U.mT, problem.truth)))
    assert row["sigma_r"] == pytest.approx(float(torch.linalg.svdvals(signal)[-1]))
    assert row["error_part"] == pytest.approx(float(torch.linalg.matrix_norm(error, 2)))
    assert row["nuclear_norm"] == pytest.approx(float(torch.linalg.matrix_norm(U @ U.mT, "nuc")))
    leading = torch.linalg.eigh(U @ U.mT).eigenvectors[:, -2:]
    assert row["angle"] == pytest.approx(float(principal_angle(problem.basis, leading)), rel=1e-6)
    assert row["singular_values"] == pytest.approx(torch.linalg.svdvals(U).tolist())


def test_the_adaptive_subspace_follows_its_definition():
    problem = SensingProblem.gaussian(7, 2, 40, seed=3)
    path = gradient_descent(problem, steps=5, step=0.1, adaptive_subspace=True, record_every=1, tolerance=0.0)
    A = problem.measurements.matrices()
    factors = [gradient_descent(problem, steps=t, step=0.1, tolerance=0.0).factor for t in range(1, 5)]
    factors.insert(0, 1e-3 * gradient_descent(problem, steps=1, step=1e-12, scale=1.0).factor)
    S = problem.basis
    for U in factors:
        M = torch.einsum("m,mij->ij", problem.measurements.forward(U) - problem.targets, A) / problem.count
        S = torch.linalg.qr(S - 0.1 * M @ S).Q
    assert path.history[5]["subspace_angle"] == pytest.approx(float(principal_angle(problem.basis, S)), rel=1e-6)
    outside = path.factor - S @ (S.mT @ path.factor)
    assert path.history[5]["subspace_error"] == pytest.approx(float(torch.linalg.matrix_norm(outside, 2)), rel=1e-6)


def test_stochastic_gradient_descent_recovers_as_well():
    problem = SensingProblem.gaussian(20, 2, 200, seed=0)
    path = gradient_descent(problem, batch=20, steps=3000, record_every=100, step=0.01)
    assert path.history[-1]["error"] < 0.02


def test_a_full_batch_in_random_order_is_gradient_descent():
    problem = SensingProblem.gaussian(8, 1, 30, seed=0)
    whole, batch = (gradient_descent(problem, steps=50, batch=size) for size in (None, 30))
    torch.testing.assert_close(whole.factor, batch.factor, rtol=1e-9, atol=1e-14)


def test_it_stops_at_the_tolerance_and_calls_back():
    problem = SensingProblem.gaussian(8, 1, 60, seed=0)
    rows = []
    path = gradient_descent(problem, tolerance=1e-4, callback=rows.append)
    assert path.converged and path.history[-1]["relative_loss"] <= 1e-4 < path.history[-2]["relative_loss"]
    assert rows == path.history


def test_a_large_step_is_refused_with_one_that_works():
    problem = SensingProblem.gaussian(10, 1, 60, seed=0)
    with pytest.raises(DivergenceError, match=r"step is too large.*a safe step is about 0\.\d+") as caught:
        gradient_descent(problem, step=5.0)
    safe = float(str(caught.value).split("about ")[1].split(" ")[0])
    assert gradient_descent(problem, step=safe, steps=3000).history[-1]["error"] < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale must be greater than 0 and finite, got 0.0"),
        ({"scale": math.nan}, "scale must be greater than 0"),
        ({"step": -1.0}, "step must be greater than 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"record_every": 0}, "record_every must be at least 1"),
        ({"batch": 31}, r"batch must be between 1 and the number of measurements \(30\), got 31"),
        ({"factor_rank": 9}, r"factor_rank must be between 1 and dimension \(8\), got 9"),
        ({"start": "ones"}, "start must be 'orthogonal', 'identity' or a tensor"),
        ({"start": torch.ones(8, 3)}, r"start must have shape \(8, 8\), got \(8, 3\)"),
        ({"tolerance": -1.0}, "tolerance must be at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gradient_descent(SensingProblem.gaussian(8, 1, 30, seed=0), **options)


def test_scales_and_problems_must_match():
    problems = [SensingProblem.gaussian(5, 1, 6, seed=seed) for seed in range(3)]
    with pytest.raises(ValueError, match=r"scales must be one, or one per problem \(3\), got 2"):
        gradient_descent_batch(problems, scales=[1e-3, 1e-2])


def test_adaptive_subspace_needs_the_truth():
    A = SensingProblem.gaussian(5, 1, 6, seed=0).measurements
    with pytest.raises(ValueError, match="adaptive_subspace needs a problem whose truth is known"):
        gradient_descent(SensingProblem.from_arrays(A, torch.ones(6)), adaptive_subspace=True)
