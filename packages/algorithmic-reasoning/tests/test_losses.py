"""Losses and scores: equal to the reference library's."""

import numpy as np
import pytest
import torch

from reprise.algorithmic_reasoning import Prediction, Probe, loss, sample, score
from reprise.algorithmic_reasoning.losses import hint_loss, output_loss, probe_score

PROBES = {
    "scalar": Probe("hint", "node", "scalar"),
    "mask": Probe("hint", "node", "mask"),
    "emask": Probe("hint", "edge", "mask"),
    "mask_one": Probe("hint", "node", "mask_one"),
    "categorical": Probe("hint", "node", "categorical", 3),
    "pointer": Probe("hint", "node", "pointer"),
    "epointer": Probe("hint", "edge", "pointer"),
    "gmask": Probe("hint", "graph", "mask"),
    "gcat": Probe("hint", "graph", "categorical", 3),
}


@pytest.fixture(scope="module")
def values(reference_file):
    with np.load(reference_file("loss_reference.npz")) as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file}


def truth(values, key, probe):
    return values[key].long() if probe.type == "pointer" else values[key]


@pytest.mark.parametrize("name", PROBES)
def test_losses_equal_the_reference(values, name):
    probe = PROBES[name]
    if f"{name}|out_loss" in values:
        found = output_loss(probe, values[f"{name}|out_pred"], truth(values, f"{name}|out_truth", probe))
        torch.testing.assert_close(found.float(), values[f"{name}|out_loss"], rtol=1e-5, atol=1e-6)
    found = hint_loss(
        probe, values[f"{name}|hint_pred"], truth(values, f"{name}|hint_truth", probe), values["lengths"].long()
    )
    torch.testing.assert_close(found.float(), values[f"{name}|hint_loss"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mask", "emask", "mask_one", "categorical", "pointer", "epointer"])
def test_scores_equal_the_reference(values, name):
    probe = PROBES[name]
    if f"{name}|score" not in values:
        pytest.skip(f"the reference has no score of {name}")
    found = probe_score(probe, values[f"{name}|out_pred"], truth(values, f"{name}|out_truth", probe))
    assert found == pytest.approx(float(values[f"{name}|score"]), abs=1e-7)


def test_a_mask_without_positives_scores_one_where_none_is_claimed():
    probe = PROBES["mask"]
    nothing = torch.zeros(2, 3, dtype=torch.int8)
    assert probe_score(probe, torch.full((2, 3), -1.0), nothing) == 1.0
    assert probe_score(probe, torch.full((2, 3), 1.0), nothing) == 0.0


def test_a_graph_of_one_step_has_no_hint_loss():
    assert float(hint_loss(PROBES["scalar"], torch.zeros(0, 2, 3), torch.zeros(1, 2, 3), torch.tensor([1, 1]))) == 0.0


def test_predictions_of_another_algorithm_are_refused():
    paths = sample("bfs", nodes=4, samples=1, seed=0)
    with pytest.raises(ValueError, match="must be of one algorithm, got dfs and bfs"):
        loss(Prediction("dfs", {}, {}), paths)
    with pytest.raises(ValueError, match="must be of one algorithm"):
        score(Prediction("dfs", {}, {}), paths)
