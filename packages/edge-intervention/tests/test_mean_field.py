import sys

import numpy as np
import pytest
from networks import random_directed

from reprise.edge_intervention import MeanFieldObjective, frank_wolfe, k_edge_deletion

pytest.importorskip("torch")


def plain(W, beta, p0, steps):
    """The mean-field recursion as it is written."""
    dense = np.clip(1 - beta * W.toarray(), 1e-3, 1)
    S, E, I = np.full(len(dense), 1 - p0), np.full(len(dense), p0), np.zeros(len(dense))  # noqa: E741
    for _ in range(steps):
        new = S * (1 - np.prod(1 - I[None, :] * (1 - dense), axis=1))
        S, E, I = S - new, E + new - E / 16, I + E / 16 - I / 14  # noqa: E741
    return len(dense) - S.sum()


def test_value_and_gradient_are_those_of_the_recursion():
    W = random_directed(12, seed=2)
    objective = MeanFieldObjective(beta=0.03, p0=0.05, steps=30)
    near = objective.linearise(W, 0)
    assert near.value == pytest.approx(plain(W, 0.03, 0.05, 30)) == pytest.approx(objective.value(W))
    assert np.isnan(near.support)
    for e in range(0, W.nnz, 4):
        up, down = W.copy(), W.copy()
        up.data[e] += 1e-4
        down.data[e] -= 1e-4
        slope = (objective.value(up) - objective.value(down)) / 2e-4
        assert near.gradient[e] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_aiming_at_infections_leaves_fewer_than_aiming_at_the_top_edge():
    W = random_directed(40, 0.1, seed=1)
    found = frank_wolfe(W, budget_fraction=0.2, objective="mean_field", steps=15)
    objective = MeanFieldObjective()
    assert found.objective == pytest.approx(objective.value(found.weights))
    assert found.objective < objective.value(k_edge_deletion(W, budget_fraction=0.2)) < found.initial_objective
    assert np.isnan(found.lower_bound)


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, got 'tpu'"):
        MeanFieldObjective(device="tpu")
    with pytest.raises(ValueError, match="square"):
        frank_wolfe(np.ones((2, 3)), budget=1.0, objective="mean_field")
    with pytest.raises(ValueError, match="p0 must be"):
        frank_wolfe(np.ones((2, 2)), budget=1.0, objective="mean_field", p0=2.0)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"install reprise-edge-intervention\[torch\]"):
        MeanFieldObjective()
