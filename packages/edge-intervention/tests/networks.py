"""Small networks for the tests."""

import numpy as np
from scipy import sparse


def random_directed(nodes, density=0.25, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.integers(1, 10, (nodes, nodes)) * (generator.random((nodes, nodes)) < density)
    np.fill_diagonal(weights, 0)
    return sparse.csr_array(weights.astype(float))


def random_rectangular(n, m, density=0.3, seed=0):
    generator = np.random.default_rng(seed)
    return sparse.csr_array(generator.integers(1, 10, (n, m)) * (generator.random((n, m)) < density) * 1.0)
