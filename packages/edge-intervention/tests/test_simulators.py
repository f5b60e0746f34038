import numpy as np
import pytest
from networks import random_directed, random_rectangular
from scipy import sparse

from reprise.edge_intervention import (
    InvalidWeightsError,
    gravity_mobility,
    reproduction_number,
    simulate_graph,
    simulate_metapopulation,
)


def plain_metapopulation(W, beta, N, base, p0, steps, runs, seed):
    """The model as it is written, step by step, with numpy's generator."""
    g, (n, _) = np.random.default_rng(seed), W.shape
    N = N[:, None]
    S = np.repeat(N, runs, axis=1)
    E = g.binomial(S, p0)
    S = S - E
    I, R = np.zeros((n, runs), int), np.zeros((n, runs), int)  # noqa: E741
    for _ in range(steps):
        force = W @ (beta[:, None] * (W.T @ (I / N)))
        new = np.minimum(g.poisson(force * S / N) + g.binomial(S, base * I / N), S)
        turned, out = g.binomial(E, 1 / 16), g.binomial(I, 1 / 14)
        S, E, I, R = S - new, E + new - turned, I + turned - out, R + out  # noqa: E741
    return R.sum(axis=0), I.sum(axis=0), S.sum(axis=0)


def plain_graph(W, beta, p0, steps, runs, seed):
    """The chain as it is written: escape from all infectious in-neighbours at once."""
    g, n = np.random.default_rng(seed), W.shape[0]
    survive = np.log(np.clip(1 - beta * W.toarray(), 1e-3, 1))
    state = (g.random((n, runs)) < p0).astype(int)  # 0 S, 1 E, 2 I, 3 R
    for _ in range(steps):
        escape = np.exp(survive @ (state == 2))
        draws = g.random((n, runs))
        new = np.where((state == 0) & (draws > escape), 1, state)
        new = np.where((state == 1) & (draws < 1 / 16), 2, new)
        state = np.where((state == 2) & (draws < 1 / 14), 3, new)
    return (state == 3).sum(axis=0), (state > 0).sum(axis=0)


def close(ours, theirs):
    """Whether two means agree within four standard errors of their difference."""
    width = np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    return abs(ours.mean() - theirs.mean()) <= 4 * width


def test_the_metapopulation_follows_the_model_as_written():
    network, _ = gravity_mobility(12, 20, visits=40.0, seed=1)
    beta, N = network.beta_poi * 80, network.population.astype(int)
    ours = simulate_metapopulation(network.weights, beta, N, 0.05, 0.01, steps=60, runs=400)
    R, I, S = plain_metapopulation(network.weights, beta, N, 0.05, 0.01, 60, 400, 1)  # noqa: E741
    assert 0.1 * N.sum() < (N.sum() - S).mean() < 0.9 * N.sum()
    assert close(ours.infections, R) and close(ours.I[:, -1], I) and close(ours.ever_infected, N.sum() - S)


def test_the_graph_follows_the_chain_as_written():
    W = random_directed(40, 0.15, seed=3)
    ours = simulate_graph(W, beta=0.02, p0=0.05, steps=50, runs=2000)
    R, ever = plain_graph(W, 0.02, 0.05, 50, 2000, 1)
    assert 5 < R.mean() < 35
    assert close(ours.infections, R) and close(ours.ever_infected, ever)


@pytest.mark.parametrize("model", ["seir", "sir"])
def test_with_one_seed_lower_weights_never_infect_more(model):
    W = random_directed(60, 0.1, seed=5)
    M = W.copy()
    M.data *= np.random.default_rng(0).random(W.nnz)
    before, after = (simulate_graph(net, 0.03, 0.05, 60, 300, model=model, seed=4) for net in (W, M))
    assert (after.ever_infected <= before.ever_infected).all()
    assert (after.ever_infected < before.ever_infected).any()


@pytest.mark.parametrize("model", ["seir", "sir", "sis"])
def test_nobody_is_lost(model):
    W = random_rectangular(9, 14)
    found = simulate_metapopulation(W, np.full(14, 0.3), np.full(9, 200), 0.02, 0.02, model, 50, 6)
    assert (found.S + found.E + found.I + found.R == 1800).all()
    assert (found.S >= 0).all() and (np.diff(found.R, axis=1) >= 0).all()
    if model == "sis":
        assert (found.R == 0).all() and (found.infections == found.I[:, -1]).all()
    else:
        assert (found.ever_infected == 1800 - found.S[:, -1]).all()


def test_runs_of_one_seed_are_the_same_and_do_not_depend_on_how_many():
    W = random_directed(30, seed=1)
    few, many = simulate_graph(W, runs=5, seed=7), simulate_graph(W, runs=9, seed=7)
    assert (many.I[:5] == few.I).all() and (many.I != simulate_graph(W, runs=9, seed=8).I).any()


def test_weeks_follow_one_another():
    W = random_rectangular(8, 10)
    options = {"beta_poi": np.full(10, 0.5), "population": np.full(8, 300), "beta_base": 0.0, "p0": 0.02, "runs": 4}
    same = simulate_metapopulation([W, W], steps=20, **options)
    assert (same.I == simulate_metapopulation(W, steps=20, **options).I).all()
    quiet = simulate_metapopulation([W, 1e-9 * W], steps=40, steps_per_network=5, **options)
    assert (np.diff(quiet.S[:, 6:], axis=1) == 0).all() and (np.diff(quiet.S[:, :6], axis=1) < 0).any()


def test_without_transmission_only_the_first_fall_ill():
    found = simulate_metapopulation([[0.0, 1.0]], [0.0, 0.0], [1000], 0.0, 0.1, steps=400, runs=3)
    assert (found.ever_infected == found.E[:, 0]).all() and (found.R[:, -1] >= 0.99 * found.E[:, 0]).all()
    assert found.interval()[0] <= found.mean <= found.interval()[1]


def test_the_reproduction_number_is_the_top_eigenvalue():
    W, generator = random_rectangular(140, 200, density=0.1), np.random.default_rng(0)
    beta, N = generator.uniform(0, 1e-3, 200), generator.integers(100, 900, 140)
    dense = W.toarray()
    matrix = 0.02 * np.eye(140) + dense * beta @ dense.T / np.sqrt(np.outer(N, N))
    assert reproduction_number(W, beta, N, 0.02) == pytest.approx(14 * np.linalg.eigvalsh(matrix)[-1])


def test_the_epidemic_dies_below_the_threshold_and_grows_above():
    network, _ = gravity_mobility(15, 25, seed=2)
    base = reproduction_number(network.weights, network.beta_poi, network.population, 0.0)
    for target in (0.7, 2.0):
        beta = network.beta_poi * target / base
        found = simulate_metapopulation(network.weights, beta, network.population, 0.0, 0.01, steps=200, runs=20)
        ill = (found.E + found.I).mean(axis=0)
        assert (ill[120] < ill[0]) == (target < 1)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"beta_poi": [1.0]}, ValueError, r"beta_poi must have shape \(2,\)"),
        ({"beta_poi": [1.0, -1.0]}, ValueError, "beta_poi must be finite and at least 0, got -1.0 at 1"),
        ({"beta_poi": ["a", "b"]}, TypeError, "beta_poi must hold real numbers"),
        ({"population": [0.0]}, ValueError, "population must be finite and at least 1, got 0.0 at 0"),
        ({"beta_base": -0.1}, ValueError, "beta_base must be finite"),
        ({"p0": 1.1}, ValueError, "p0 must be finite and lie in"),
        ({"p0": "x"}, TypeError, "p0 must be a number"),
        ({"model": "seirs"}, ValueError, "model must be one of"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"runs": True}, TypeError, "runs must be an integer"),
        ({"incubation": 0.5}, ValueError, "incubation must be finite"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"W": [[1.0, np.nan]]}, InvalidWeightsError, "nan"),
        ({"W": []}, TypeError, "at least one matrix"),
    ],
)
def test_bad_input_of_the_metapopulation_is_named(options, kind, message):
    given = {"W": [[1.0, 2.0]], "beta_poi": [1.0, 1.0], "population": [10], "beta_base": 0.1, "p0": 0.1, "steps": 2}
    with pytest.raises(kind, match=message):
        simulate_metapopulation(**{**given, **options})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"W": np.ones((2, 3))}, ValueError, "square"),
        ({"beta": -1}, ValueError, "beta must be finite"),
        ({"model": "sis"}, ValueError, "model must be one of"),
        ({"runs": 0}, ValueError, "runs must be at least 1"),
    ],
)
def test_bad_input_of_the_graph_is_named(options, kind, message):
    with pytest.raises(kind, match=message):
        simulate_graph(**{"W": np.ones((2, 2)), **options})


def test_arrays_of_every_kind_are_taken():
    expected = simulate_metapopulation([[1.0, 2.0]], [1.0, 1.0], [50], 0.1, 0.1, steps=9, runs=2).I
    for kind in (np.int64, ">f4", np.float16):
        ones = np.ones(2, dtype=kind)
        ones.flags.writeable = False
        W = sparse.csr_matrix(np.array([[1, 2]], dtype=float))
        assert (simulate_metapopulation(W, ones[::-1], (50,), np.float32(0.1), 0.1, steps=9, runs=2).I >= 0).all()
        assert (expected == simulate_metapopulation(W, ones[None, :], [50], 0.1, 0.1, steps=9, runs=np.int8(2)).I).all()
