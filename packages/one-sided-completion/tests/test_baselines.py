import numpy as np
import pytest

from reprise.one_sided_completion import impute, linear_mixtures, observe, sample, second_moment
from reprise.one_sided_completion.baselines import (
    alternating_descent,
    nuclear_norm,
    nuclear_norm_program,
    soft_impute,
    zero_fill,
)


@pytest.fixture(scope="module")
def half():
    """A 300 × 30 matrix of rank 2 of which half is seen: enough to complete M itself."""
    M = linear_mixtures(300, 30, 2, seed=0, noise=0.0)
    return M, sample(M, p=0.5, seed=1)


@pytest.mark.parametrize("method", [alternating_descent, soft_impute])
def test_completion_of_the_matrix_succeeds_where_half_is_seen(half, method):
    M, seen = half
    left, right = method(seen, 2, max_iter=2000, tol=1e-12)
    assert np.linalg.norm(left @ right.T - M) < 1e-3 * np.linalg.norm(M)


def test_completion_of_the_matrix_fails_where_its_second_moment_is_found():
    """Two entries per row and rank 5: no row can be filled in, but the moment of 20,000 rows is."""
    M = linear_mixtures(20_000, 30, 5, seed=0)
    seen, truth = sample(M, per_row=2, seed=1), M.T @ M / len(M)
    factor = impute(second_moment(seen), 5).factor
    ours = np.linalg.norm(factor @ factor.T - truth)
    for method in (alternating_descent, soft_impute):
        left, right = method(seen, 5)
        assert np.linalg.norm(right @ (left.T @ left / len(M)) @ right.T - truth) > 5 * ours


def test_soft_impute_with_everything_seen_is_soft_thresholding():
    M = np.random.default_rng(0).standard_normal((20, 8))
    left, right = soft_impute(observe(M, np.ones(M.shape, bool)), 8, penalty=1.5, max_iter=2000, tol=1e-16)
    u, s, vt = np.linalg.svd(M, full_matrices=False)
    np.testing.assert_allclose(left @ right.T, (u * np.maximum(s - 1.5, 0)) @ vt, atol=1e-4)


def test_nuclear_norm_equals_the_semidefinite_program():
    pytest.importorskip("cvxpy")
    M = linear_mixtures(500, 20, 2, seed=0) * 5
    moment = second_moment(sample(M, p=0.15, seed=1))
    factor = nuclear_norm(moment, penalty=0.2, max_rank=19, tol=1e-9, max_iter=5000)
    Z = nuclear_norm_program(moment, penalty=0.2)
    np.testing.assert_allclose(factor @ factor.T, Z, atol=2e-4 * np.linalg.norm(Z))


def test_the_program_is_not_begun_on_large_moments(tall):
    with pytest.raises(ValueError, match="above dimension 60, got 70"):
        nuclear_norm_program(second_moment(sample(np.ones((50, 70)), p=0.5, seed=0)), penalty=1.0)


def test_zero_filling_shrinks_what_was_seldom_seen(tall, truth):
    few = second_moment(tall[1][:40])
    factor = zero_fill(few, 3)
    values = np.linalg.eigvalsh(few.to_dense())[::-1][:3]
    np.testing.assert_allclose(np.sort(np.linalg.norm(factor, axis=0) ** 2)[::-1], values, rtol=1e-6)


@pytest.mark.parametrize("method", [alternating_descent, soft_impute])
def test_ranks_that_are_too_large_are_refused(half, method):
    with pytest.raises(ValueError, match="rank must be between 1 and"):
        method(half[1], 31)
