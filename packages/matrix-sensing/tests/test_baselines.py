import itertools

import cvxpy as cp
import numpy as np
import pytest
import torch

from reprise.matrix_sensing import (
    DivergenceError,
    EntryMeasurements,
    SensingProblem,
    minimum_nuclear_norm,
    projected_gradient_descent,
    recovery_error,
)


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_minimum_nuclear_norm_recovers_the_truth_with_enough_measurements(solver):
    problem = SensingProblem.gaussian(12, 2, 70, seed=0)
    assert float(recovery_error(minimum_nuclear_norm(problem, solver), problem.truth)) < 1e-3


def test_minimum_nuclear_norm_fits_and_no_fitting_matrix_has_less_trace():
    problem = SensingProblem.gaussian(8, 2, 20, seed=1)
    found = minimum_nuclear_norm(problem)
    torch.testing.assert_close(problem.measurements.apply(found), problem.targets, rtol=1e-5, atol=1e-5)
    assert float(torch.linalg.eigvalsh(found)[0]) > -1e-6
    assert float(found.trace()) < float(problem.truth.trace())
    # Dual certificate, found by another program: max yᵀλ s.t. I − Σ λ_i A_i ⪰ 0 has the same value.
    A, dual = problem.measurements.matrices().numpy(), cp.Variable(20)
    program = cp.Problem(
        cp.Maximize(problem.targets.numpy() @ dual), [np.eye(8) - sum(dual[i] * A[i] for i in range(20)) >> 0]
    )
    assert program.solve(solver="CLARABEL") == pytest.approx(float(found.trace()), rel=1e-5)


def test_a_completion_whose_answer_is_known_by_hand():
    # [[1, 2], [2, ?]]: the positive semidefinite completion of least trace has 4.
    problem = SensingProblem.from_arrays(EntryMeasurements([0, 0], [0, 1], 2), [1.0, 2.0])
    expected = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
    torch.testing.assert_close(minimum_nuclear_norm(problem), expected, rtol=1e-4, atol=1e-4)


def test_the_penalised_program_shrinks_the_spectrum_by_the_penalty():
    # With every entry seen once, min tr Z + ‖Z − X‖²/(2λ) moves each eigenvalue to max(σ − λ, 0).
    d = 3
    rows, columns = np.divmod(np.arange(d * d), d)
    truth = np.diag([3.0, 1.0, 0.2])
    problem = SensingProblem.from_arrays(EntryMeasurements(rows, columns, d), truth.ravel())
    found = minimum_nuclear_norm(problem, penalty=0.5)
    expected = torch.diag(torch.tensor([2.5, 0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_targets_that_no_psd_matrix_fits_are_infeasible():
    problem = SensingProblem.from_arrays(EntryMeasurements([0], [0], 2), [-1.0])
    with pytest.raises(ValueError, match="infeasible"):
        minimum_nuclear_norm(problem)


def test_unknown_solver_and_bad_penalty_are_refused():
    problem = SensingProblem.gaussian(4, 1, 8, seed=0)
    with pytest.raises(ValueError, match="solver must be one of auto, CLARABEL, SCS, got 'MOSEK'"):
        minimum_nuclear_norm(problem, "MOSEK")
    with pytest.raises(ValueError, match="penalty must be greater than 0"):
        minimum_nuclear_norm(problem, penalty=0.0)


def test_projected_descent_fits_and_stays_in_the_cone():
    problem = SensingProblem.gaussian(10, 1, 30, seed=0)
    path = projected_gradient_descent(problem, steps=5000)
    assert path.converged
    assert float(torch.linalg.eigvalsh(path.matrix)[0]) > -1e-10
    losses = [row["loss"] for row in path.history]
    assert all(after <= before * (1 + 1e-9) for before, after in itertools.pairwise(losses))
    # It fits, but a factor from a small start would have found the truth.
    assert path.history[-1]["error"] > 0.1


def test_projected_descent_is_exact_when_everything_is_measured():
    problem = SensingProblem.gaussian(5, 1, 60, seed=0)
    assert projected_gradient_descent(problem, steps=5000).history[-1]["error"] < 1e-4


def test_a_step_that_is_too_large_is_refused_with_one_that_is_safe():
    problem = SensingProblem.gaussian(8, 1, 60, seed=0)
    with pytest.raises(DivergenceError, match=r"step is too large: .* a safe step is 0\.\d+ = 1 / "):
        projected_gradient_descent(problem, step=10.0)
