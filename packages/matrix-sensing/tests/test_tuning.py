import pytest
import torch

from reprise.matrix_sensing import SensingProblem, gradient_descent, operator_norm, safe_step, spectral_norm_estimate


@pytest.mark.parametrize("make", [SensingProblem.gaussian, SensingProblem.quadratic_network])
def test_operator_norm_is_the_largest_eigenvalue_of_the_gram_operator(make):
    problem = make(8, 1, 40, seed=0)
    A = problem.measurements.matrices().reshape(40, -1)
    largest = float(torch.linalg.eigvalsh(A @ A.mT / 40)[-1])
    value = operator_norm(problem.measurements, iterations=200)
    assert value == pytest.approx(largest, rel=1e-3)
    assert operator_norm(problem.measurements) == pytest.approx(largest, rel=0.05)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("size", [0.1, 7.0])
def test_the_estimated_norm_does_not_depend_on_the_measurements_scale(factor, size):
    problem = SensingProblem.gaussian(20, 2, 400, seed=0)
    A = factor * problem.measurements.matrices()
    scaled = SensingProblem.from_arrays(A, size * torch.einsum("mij,ij->m", A, problem.truth))
    estimate = spectral_norm_estimate(scaled.measurements, scaled.targets)
    assert 0.7 * size < estimate < 1.5 * size
    step = safe_step(scaled.measurements, scaled.targets)
    path = gradient_descent(scaled, scale=1e-3 * size**0.5, step=step, steps=2000, record_every=100)
    truth = size * problem.truth
    assert float((path.matrix - truth).norm() / truth.norm()) < 0.01


def test_targets_without_a_matrix_behind_them_are_refused():
    problem = SensingProblem.gaussian(5, 1, 20, seed=0)
    with pytest.raises(ValueError, match="y must correlate"):
        spectral_norm_estimate(problem.measurements, torch.zeros(20, dtype=torch.float64))
    with pytest.raises(ValueError, match="measurements must not all be zero"):
        operator_norm(SensingProblem.from_arrays(torch.zeros(3, 2, 2), torch.ones(3)).measurements)
