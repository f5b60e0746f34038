import networkx as nx
import numpy as np
import pytest

from reprise.gnn_bounds import diffusion_matrix, lower_bound_gap
from reprise.gnn_bounds.lower_bound import LIMIT

STAR = nx.to_numpy_array(nx.star_graph(6))


@pytest.mark.parametrize("kind", ["adjacency", "gcn"])
def test_the_gap_is_what_the_closed_form_says(kind):
    found = lower_bound_gap(diffusion_matrix(STAR, kind), 4, [1.0, 2.0, 0.5, 3.0], N=400, trials=20_000)
    # 4 standard errors, and the bias 1/(4N) of E|ȳ|√N
    assert abs(found.normalised - LIMIT) < 4 * found.stderr * 20 / found.factor + LIMIT / 1600
    u = np.array([1 / np.sqrt(2), *[1 / np.sqrt(12)] * 6])
    if kind == "adjacency":
        assert found.factor == pytest.approx(u.mean() * 6**1.5 * 3.0)


def test_two_examples_have_a_gap_that_can_be_counted():
    """N = 2: ȳ is −1, 0, 0, 1 with equal probability, so that E|ȳ| = 1/2."""
    found = lower_bound_gap(STAR, 2, [1.0, 1.0], N=2, trials=40_000)
    assert found.gap / found.factor == pytest.approx(0.5, abs=4 * found.stderr / found.factor)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"P": diffusion_matrix(STAR, "mean")}, ValueError, "P must be symmetric"),
        ({"P": np.zeros((3, 3))}, ValueError, "connected"),
        ({"P": -STAR}, ValueError, "negative"),
        ({"P": "star"}, TypeError, "must be a matrix"),
        ({"depth": 1}, ValueError, "depth must be at least 2"),
        ({"scales": [1.0]}, ValueError, "one entry per layer"),
        ({"scales": [1.0, 0.0]}, ValueError, r"scales\[1\] must be"),
        ({"N": 0}, ValueError, "N must be at least 1"),
        ({"trials": 1.5}, TypeError, "trials must be a whole number"),
        ({"generator": True}, TypeError, "generator must be"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        lower_bound_gap(**({"P": STAR, "depth": 2, "scales": [1.0, 1.0], "N": 4, "trials": 10} | change))
