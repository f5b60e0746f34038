from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from scipy import stats

from reprise.edge_intervention.draws import binomial, geometric, mixed, poisson, uniform


@njit
def sample(kind, a, b, size):
    drawn = np.empty(size)
    for k in range(size):
        state = mixed(12345, k)
        if kind == 0:
            drawn[k] = uniform(state)
        elif kind == 1:
            drawn[k] = poisson(b, state)
        elif kind == 2:
            drawn[k] = binomial(int(a), b, state)
        else:
            drawn[k] = geometric(b, state)
    return drawn


def fits(drawn, law):
    """Chi-square test over bins of at least 50 expected draws, with a fixed seed: p above 1e-4."""
    edges = np.unique(law.ppf(np.linspace(0, 1, 21)[1:-1]))
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * len(drawn)
    observed = np.array([((drawn > low) & (drawn <= high)).sum() for low, high in pairwise(bounds)])
    keep = expected > 50
    return stats.chisquare(observed[keep], expected[keep] * observed[keep].sum() / expected[keep].sum()).pvalue > 1e-4


@pytest.mark.parametrize("mean", [0.01, 0.7, 12.0, 250.0, 900.0])
def test_poisson_draws_follow_the_law(mean):
    assert fits(sample(1, 0, mean, 20_000), stats.poisson(mean))


@pytest.mark.parametrize(("count", "probability"), [(1, 0.3), (20, 1 / 16), (1500, 0.0002), (3000, 0.4), (50, 0.93)])
def test_binomial_draws_follow_the_law(count, probability):
    assert fits(sample(2, count, probability, 20_000), stats.binom(count, probability))


@pytest.mark.parametrize("probability", [1 / 16, 0.5, 0.99])
def test_geometric_draws_follow_the_law(probability):
    assert fits(sample(3, 0, probability, 20_000), stats.geom(probability))


def test_uniform_draws_are_uniform_and_uncorrelated():
    drawn = sample(0, 0, 0.0, 50_000)
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02


def test_certain_and_impossible_events():
    assert sample(2, 5, 1.0, 3).tolist() == [5, 5, 5] and sample(2, 5, 0.0, 3).tolist() == [0, 0, 0]
    assert sample(1, 0, 0.0, 3).tolist() == [0, 0, 0] and sample(3, 0, 1.0, 3).tolist() == [1, 1, 1]
    assert (sample(3, 0, 0.0, 3) > 1e9).all()
