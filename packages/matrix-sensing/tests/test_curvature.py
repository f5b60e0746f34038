import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.matrix_sensing import EntryMeasurements, SensingProblem, gradient_descent, hessian_trace
from reprise.matrix_sensing.curvature import sensing_loss


@pytest.mark.parametrize("make", [SensingProblem.gaussian, SensingProblem.quadratic_network])
@given(k=st.integers(1, 4), seed=st.integers(0, 999), size=st.floats(0.1, 3.0))
@settings(max_examples=10, deadline=None)
def test_trace_equals_that_of_the_dense_hessian_away_from_zero_loss(make, k, seed, size):
    problem = make(5, 2, 12, seed=seed)
    U = size * torch.randn(5, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    dense = torch.autograd.functional.hessian(sensing_loss(problem), U).reshape(5 * k, 5 * k)
    assert hessian_trace(problem, U) == pytest.approx(float(dense.trace()), rel=1e-10)
    assert hessian_trace(problem, U, "hvp") == pytest.approx(float(dense.trace()), rel=1e-10)


def test_trace_of_entry_measurements_equals_that_of_the_dense_hessian():
    problem = SensingProblem.from_arrays(EntryMeasurements([0, 1, 2], [0, 2, 1], 3), [1.0, 2.0, 3.0])
    U = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dense = torch.autograd.functional.hessian(sensing_loss(problem), U).reshape(6, 6)
    assert hessian_trace(problem, U) == pytest.approx(float(dense.trace()), rel=1e-10)


def test_trace_at_zero_loss_is_the_nuclear_norm_times_2d_plus_2():
    # The relative standard deviation of Σ_i tr(S_i² X)/m over draws is below 1/√m ≈ 1 % here.
    problem = SensingProblem.gaussian(10, 2, 10_000, seed=0)
    U = problem.basis
    assert hessian_trace(problem, U) == pytest.approx(22 * 2.0, rel=0.04)


def test_random_products_estimate_the_trace():
    problem = SensingProblem.gaussian(10, 1, 60, seed=0)
    U = gradient_descent(problem, steps=300, factor_rank=3).factor
    assert hessian_trace(problem, U, "hvp", products=400) == pytest.approx(hessian_trace(problem, U), rel=0.15)


def test_bad_arguments_are_refused():
    problem = SensingProblem.gaussian(4, 1, 8, seed=0)
    with pytest.raises(ValueError, match="method must be 'exact' or 'hvp', got 'dense'"):
        hessian_trace(problem, torch.ones(4, 1), "dense")
    with pytest.raises(ValueError, match=r"factor must have shape \(4, k\), got \(3, 1\)"):
        hessian_trace(problem, torch.ones(3, 1))
