import math

import numpy as np
import pytest

from reprise.gnn_bounds import GraphStatistics, LayerNorms, dominant_graphs, garg2020, ju2023, liao2021, tightenings
from reprise.gnn_bounds.bounds.bound import log_geometric

ARRAY = np.array


def norms(spectral=(2.0, 0.7, 1.5), frobenius=(4.0, 1.4, 3.0), dims=(10, 20, 30)):
    spectral = ARRAY(spectral)
    names = tuple(map(str, range(len(spectral))))
    return LayerNorms(names, spectral, ARRAY(frobenius), ARRAY(dims), spectral, spectral)


def stats(degree=(7, 3), spectral=(2.5, 4.0), features=(3.0, 1.0), row=(1.5, 1.0), nodes=(9, 4)):
    count = len(degree)
    mean = ARRAY(features) / np.sqrt(nodes)
    return GraphStatistics(
        "adjacency", ARRAY(nodes), ARRAY(degree), ARRAY(spectral), ARRAY(features), ARRAY(row), mean[:count]
    )


def test_ju2023_is_its_formula():
    found = ju2023(norms(), stats(), n=100, depth=3, loss_bound=5.4, constant=2.0)
    r, product = ARRAY([2.0, 2.0, 2.0]), 2.0 * 0.7 * 1.5
    terms = np.sqrt(2.0 * 5.4 * ARRAY([10, 20, 30]) * 3.0**2 * 4.0**4 * r**2 * product**2 / 100)
    np.testing.assert_allclose(found.terms, terms)
    assert found.value == pytest.approx(terms.sum())
    per_graph = ju2023(norms(), stats(), n=100, depth=3, per="graph").value
    per_set = ju2023(norms(), stats(), n=100, depth=3).value
    assert per_graph / per_set == pytest.approx(max(3.0 * 2.5**2, 1.0 * 4.0**2) / (3.0 * 4.0**2))


def test_liao2021_for_gcn_is_its_formula():
    found = liao2021(norms(), stats(), n=100, depth=3, margin=0.5, model="gcn")
    product = (2.0 * 0.7 * 1.5) ** 2
    inside = 42**2 * 1.5**2 * 8**2 * 9 * 30 * math.log(4 * 3 * 30) * product * 12.0 / (0.25 * 100)
    assert found.value == pytest.approx(math.sqrt(inside))


@pytest.mark.parametrize(("exponent", "power"), [(None, 2), (4, 4)])
def test_liao2021_for_mpgnn_is_its_formula(exponent, power):
    weights = norms((0.5, 0.5, 0.3), (1.0, 1.0, 0.6))
    found = liao2021(weights, stats(), n=100, depth=3, model="mpgnn", feature_norm="spectral", zeta_exponent=exponent)
    ratio = 7 * 0.5
    xi = (ratio**2 - 1) / (ratio - 1)
    spread = max(0.3**-power, (0.15 * xi) ** (4 / 3))
    inside = 42**2 / 100 * 9.0 * spread**2 * 9 * 30 * math.log(360) * (2 * 0.25 * 4 + 0.09 * 4)
    assert found.value == pytest.approx(math.sqrt(inside))


def test_the_geometric_sum_has_its_limits():
    assert math.exp(log_geometric(0.0, 5)) == pytest.approx(5.0)
    assert math.exp(log_geometric(math.log(3.0), 4)) == pytest.approx(40.0)
    assert log_geometric(-math.inf, 3) == 0.0
    assert math.exp(log_geometric(1e-12, 5)) == pytest.approx(5.0)


@pytest.mark.parametrize("bound", [math.inf, 1.0])
def test_garg2020_is_its_formula(bound):
    found = garg2020(norms(), stats(), n=100, depth=3, margin=0.5, activation_bound=bound)
    B1 = B2 = 2.0
    Bx, beta, r, d, N = 1.5, 1.5, 30, 7, 100
    C = d * B2
    M = (C**2 - 1) / (C - 1)
    R = d * min(bound * math.sqrt(r), B1 * Bx * M)
    Z = B1 * Bx + B2 * R
    Q = 24 * beta * math.sqrt(N) * max(Z, M * math.sqrt(r) * max(Bx * B1, R * B2))
    expected = 4 / (0.5 * N) + 24 * r * beta * Z * math.sqrt(3 * math.log(Q)) / (0.5 * math.sqrt(N))
    assert found.value == pytest.approx(expected)
    assert 10 ** found.parts["log_Q"] == pytest.approx(math.log(Q))


def test_values_that_leave_float64_keep_their_logarithm():
    size = np.full(400, 1e6)
    found = ju2023(norms(size, size, size.astype(int)), stats(), n=10, depth=400)
    assert found.value == math.inf and 2400 < found.log10 < 2700


def test_a_network_of_zeros_has_the_bound_zero():
    zero = norms((0.0, 0.0), (0.0, 0.0), (3, 3))
    assert ju2023(zero, stats(), n=10, depth=2).value == 0.0
    assert liao2021(zero, stats(), n=10, depth=2).value == 0.0
    assert not math.isnan(garg2020(zero, stats(), n=10, depth=2).log10)
    edgeless = stats(degree=(0, 0), spectral=(0.0, 0.0))
    assert ju2023(norms(), edgeless, n=10, depth=3).value == 0.0
    assert math.isfinite(liao2021(norms(), edgeless, n=10, depth=3, model="mpgnn").value)


def test_each_tightening_only_tightens():
    found = tightenings(norms(), stats(), n=100, depth=3, zero_start=True)
    assert [step.step for step in found] == ["paper", "per graph", "mean features", "first round"]
    assert all(step.gain >= 1 for step in found)
    total = np.prod([step.gain for step in found])
    assert total == pytest.approx(found[0].bound.value / found[-1].bound.value)


def test_the_dominant_graph_is_the_one_whose_absence_lowers_the_bound():
    table = stats(degree=(1, 1, 1), spectral=(2.0, 8.0, 4.0), features=(1.0, 1.0, 1.0), nodes=(1, 1, 1))
    found = dominant_graphs(table, depth=3, top=2)
    assert found.order.tolist() == [1, 2]
    np.testing.assert_allclose(found.gain, [4.0, 16.0])


@pytest.mark.parametrize("bound", [ju2023, liao2021, garg2020])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n": 2.5}, TypeError, "n must be a whole number"),
        ({"n": True}, TypeError, "n must be a whole number"),
        ({"depth": 1}, ValueError, "depth must be at least 2"),
        ({"feature_norm": "nuclear"}, ValueError, "feature_norm must be one of"),
    ],
)
def test_bad_arguments_are_refused(bound, options, error, message):
    with pytest.raises(error, match=message):
        bound(norms(), stats(), **({"n": 10, "depth": 3} | options))


@pytest.mark.parametrize("bound", [liao2021, garg2020])
@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_must_be_positive_and_finite(bound, margin):
    with pytest.raises(ValueError, match="margin must be"):
        bound(norms(), stats(), n=10, depth=3, margin=margin)


def test_numpy_numbers_are_numbers():
    assert ju2023(norms(), stats(), n=np.int64(10), depth=np.int32(3), loss_bound=np.float32(5)).value > 0
