import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from reprise.matrix_sensing import DivergenceError, SensingProblem, gradient_descent, truncated_gradient_descent

PROBLEM = SensingProblem.quadratic_network(12, 2, 150, seed=0)


def one_step(U, step, *, truncate, rescale, threshold):
    """Algorithm 1 of the paper, example by example."""
    X, y = PROBLEM.measurements.vectors, PROBLEM.targets
    update = torch.zeros_like(U)
    for x, target in zip(X, y):
        prediction = (U.mT @ x).square().sum()
        if not truncate or prediction <= threshold:
            update += (prediction - target) * torch.outer(x, x) @ U
    moved = U - step / len(y) * update
    if rescale == "matched":
        p = (X @ U).square().sum(1)
        excess = ((p - y) * (p <= threshold if truncate else True)).mean()
    else:
        excess = U.square().sum() - y.mean() if rescale else 0.0
    return moved / (1 - step * excess)


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("rescale", [True, False, "matched"])
def test_a_step_is_that_of_algorithm_1(truncate, rescale):
    start = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    path = truncated_gradient_descent(
        PROBLEM, scale=0.5, start=start, step=0.01, steps=1, truncate=truncate, rescale=rescale, threshold=3.0
    )
    expected = one_step(0.5 * start, 0.01, truncate=truncate, rescale=rescale, threshold=3.0)
    torch.testing.assert_close(path.factor, expected)


def test_the_threshold_defaults_to_three_r_log_m():
    limit = 3 * 2 * math.log(150)
    default, named = (
        truncated_gradient_descent(PROBLEM, scale=0.9, steps=3, step=1e-4, threshold=value) for value in (None, limit)
    )
    torch.testing.assert_close(default.factor, named.factor)
    low = truncated_gradient_descent(PROBLEM, scale=0.9, steps=3, step=1e-4, threshold=limit / 4)
    assert not torch.allclose(default.factor, low.factor)


def test_without_both_remedies_it_is_gradient_descent():
    plain = gradient_descent(PROBLEM, step=0.01, steps=200)
    same = truncated_gradient_descent(PROBLEM, step=0.01, steps=200, truncate=False, rescale=False)
    torch.testing.assert_close(plain.factor, same.factor)


def test_several_scales_run_as_their_single_runs():
    together = truncated_gradient_descent(PROBLEM, scale=[1e-2, 1e-3], step=0.01, steps=100)
    for path in together:
        alone = truncated_gradient_descent(PROBLEM, scale=path.scale, step=0.01, steps=100)
        torch.testing.assert_close(path.factor, alone.factor, rtol=1e-8, atol=1e-14)


def test_small_scale_recovers_the_teacher():
    problem = SensingProblem.quadratic_network(15, 1, 200, seed=0)
    path = truncated_gradient_descent(problem, rescale=False, steps=2000)
    assert path.history[-1]["error"] < 0.01


def test_matched_rescaling_leaves_no_floor_where_that_of_the_paper_does():
    problem = SensingProblem.quadratic_network(12, 1, 400, seed=0)
    paper, matched = (truncated_gradient_descent(problem, rescale=rescale) for rescale in (True, "matched"))
    assert matched.history[-1]["error"] < 0.1 * paper.history[-1]["error"]


def test_a_step_that_turns_the_sign_is_divergence():
    with pytest.raises(DivergenceError, match="try rescale='matched'"):
        truncated_gradient_descent(PROBLEM, scale=3.0, step=1.0)


def test_a_threshold_must_be_positive():
    with pytest.raises(ValueError, match="threshold must be greater than 0"):
        truncated_gradient_descent(PROBLEM, threshold=-1.0)


def test_rescale_must_be_one_of_its_values():
    with pytest.raises(ValueError, match="rescale must be True, False or 'matched', got 'yes'"):
        truncated_gradient_descent(PROBLEM, rescale="yes")


def test_the_threshold_is_in_the_units_of_the_truth():
    larger = replace(PROBLEM, targets=100 * PROBLEM.targets, truth=100 * PROBLEM.truth)
    options = {"rescale": False, "steps": 60, "tolerance": 0.0}
    path = truncated_gradient_descent(PROBLEM, step=0.02, scale=1e-2, **options)
    same = truncated_gradient_descent(larger, step=0.0002, scale=1e-1, **options)
    torch.testing.assert_close(same.matrix, 100 * path.matrix)


def test_scales_may_be_an_array():
    paths = truncated_gradient_descent(PROBLEM, scale=np.logspace(-3, -2, 2), steps=5)
    assert [path.scale for path in paths] == [1e-3, 1e-2]
