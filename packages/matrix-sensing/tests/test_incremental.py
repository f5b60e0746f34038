import numpy as np
import pytest
import torch

from reprise.matrix_sensing import SensingProblem, gradient_descent, rank_path
from reprise.matrix_sensing.incremental import numerical_rank


def everything_measured(spectrum):
    d = len(spectrum)
    rows, columns = torch.triu_indices(d, d)
    A = torch.zeros(len(rows), d, d, dtype=torch.float64)
    A[torch.arange(len(rows)), rows, columns] = torch.where(rows == columns, 1.0, 2.0**0.5).double() * len(rows) ** 0.5
    truth = torch.diag(torch.tensor(spectrum, dtype=torch.float64))
    return SensingProblem.from_arrays(A, torch.einsum("mij,ij->m", A, truth), truth=truth)


def test_directions_are_learned_at_the_predicted_steps():
    problem = everything_measured([1.0, 0.5, 0.25, 0.0, 0.0])
    path = gradient_descent(problem, scale=1e-5, steps=3000, step=0.02, record_every=1, singular_values=True)
    learned = rank_path(path)
    np.testing.assert_allclose(learned.eigenvalues, [1.0, 0.5, 0.25], rtol=1e-3)
    # The prediction takes saturation as continuous: an error of O(ησ) of the time.
    np.testing.assert_allclose(learned.steps, learned.predicted, rtol=0.02)
    assert (np.diff(learned.steps) > 0).all()


def test_it_says_what_it_needs():
    path = gradient_descent(SensingProblem.gaussian(5, 1, 20, seed=0), steps=20)
    with pytest.raises(ValueError, match="singular_values=True"):
        rank_path(path)


def test_numerical_rank_is_the_place_of_the_largest_gap():
    assert numerical_rank(np.array([3.0, 2.0, 1e-3, 5e-4, 1e-15])) == 2
    assert numerical_rank(np.array([1.0, 1.0, 1.0])) == 3
    assert numerical_rank(np.array([2.0])) == 1
    assert numerical_rank(np.array([1.0, 1e-9, 1e-20])) == 1
