"""A small observed matrix that several tests share."""

import numpy as np
import pytest

from reprise.one_sided_completion import linear_mixtures, sample


@pytest.fixture(scope="session")
def tall():
    """A 3000 × 40 matrix of rank 3 and what is seen of it at p = 0.15."""
    M = linear_mixtures(3000, 40, 3, seed=0)
    return M, sample(M, p=0.15, seed=1)


@pytest.fixture
def truth(tall):
    M, _ = tall
    return M.T @ M / len(M)


def relative(estimate, truth):
    return np.linalg.norm(estimate - truth) / np.linalg.norm(truth)
