"""Measurements during a training keep their share of its time."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reprise.hvp import watch


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


@pytest.fixture
def data():
    torch.manual_seed(1)
    return [(torch.randn(5, 3), torch.randint(2, (5,)))]


def test_watch_keeps_its_share_and_the_models_mode(model, data):
    model.train()
    rows = []
    watcher = watch(model, F.cross_entropy, data, every=3, share=0.05, log=rows.append, steps=5)
    now = [0.0]
    watcher.clock = lambda: now[0]
    measure = watcher.measure

    def slow_measure():
        now[0] += 10.0
        return measure()

    watcher.measure = slow_measure
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = watcher.attach(optimizer)
    for _ in range(900):
        now[0] += 1.0
        optimizer.step()
    handle.remove()
    assert rows == watcher.rows
    assert rows[0]["step"] == 3
    # after the first, measurements of 10 s are due only every 190 s of training
    assert 3 <= len(rows) <= 5
    assert all(row["share"] <= 0.05 + 1e-9 for row in rows[1:])
    assert model.training
    assert {"loss", "trace", "top_eigenvalue", "lowest_eigenvalue", "negative_fraction", "epsilon"} <= set(rows[0])
    with pytest.raises(ValueError, match="every must be at least 1"):
        watch(model, F.cross_entropy, data, every=0)
    with pytest.raises(ValueError, match="share must be in"):
        watch(model, F.cross_entropy, data, share=0.0)
