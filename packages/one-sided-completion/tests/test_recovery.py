import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from reprise.one_sided_completion import impute, observe, recover_rows, recover_rows_by_descent, sample, second_moment


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_rows_equal_the_ridge_regression_of_scikit_learn(n, d, r, seed):
    generator = np.random.default_rng(seed)
    factor, M = generator.standard_normal((d, r)), generator.standard_normal((n, d))
    mask = generator.random((n, d)) < 0.6
    rows = recover_rows(factor, observe(M, mask), ridge=0.1)
    for k in range(n):
        seen = mask[k]
        if seen.any():
            expected = Ridge(alpha=0.1, fit_intercept=False).fit(factor[seen], M[k, seen]).coef_
            np.testing.assert_allclose(rows[k], expected, atol=1e-8)
        else:
            assert (rows[k] == 0).all()


def test_rows_in_the_span_are_recovered_exactly_from_r_entries():
    generator = np.random.default_rng(0)
    factor = generator.standard_normal((30, 4))
    M = generator.standard_normal((100, 4)) @ factor.T
    rows = recover_rows(factor, sample(M, per_row=8, seed=0), ridge=1e-12)
    np.testing.assert_allclose(rows @ factor.T, M, atol=1e-6)


def test_both_algorithms_together_fill_in_the_matrix(tall):
    M, seen = tall
    factor = impute(second_moment(seen), rank=3).factor
    predicted = recover_rows(factor, sample(M, p=0.8, seed=5)) @ factor.T
    assert np.linalg.norm(predicted - M) < 0.1 * np.linalg.norm(M)


def test_descent_on_all_rows_comes_to_the_same_predictions(tall):
    M, _ = tall
    seen = sample(M[:300], p=0.8, seed=5)
    factor = np.linalg.svd(M, full_matrices=False)[2][:3].T
    exact = recover_rows(factor, seen, ridge=1e-10) @ factor.T
    descended = recover_rows_by_descent(factor, seen, step_size=0.02, steps=2000) @ factor.T
    assert np.linalg.norm(descended - exact) < 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("factor", "ridge", "message"),
    [
        (np.ones((3, 1)), 1.0, "ratings must have 3 columns, got 2"),
        (np.full((2, 1), np.nan), 1.0, "factor must be finite"),
        (np.ones((2, 1)), 0.0, "ridge must be greater than 0"),
    ],
)
def test_bad_input_is_refused(factor, ridge, message):
    with pytest.raises(ValueError, match=message):
        recover_rows(factor, observe([[1.0, 2.0]], [[True, True]]), ridge=ridge)
