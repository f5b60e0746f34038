"""Every experiment through the real runner at smoke scale, and what its parts promise."""

import numpy as np
import pandas as pd
import pytest

from reprise.core import MissingData, read_record, run_experiment
from reprise.robust_fine_tuning.experiments import image_tasks, nso_rate
from reprise.robust_fine_tuning.experiments.data_sets import TEXT
from reprise.robust_fine_tuning.paper import PAPER

NEEDS_TEXT = {"noisy-labels", "layer-distances", "label-cleaning"}


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path):
    if name in NEEDS_TEXT:
        try:
            TEXT.find()
        except MissingData as error:
            pytest.skip(str(error))
    run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared


def test_every_claim_is_declared_once_and_the_specified_ones_are_there():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    asked = {"R1", "R2", "R3", "R4", "R5", "G1", "G2", "G3", "G4", "G5", "G6", "N1", "N2", "N3", "N4", "N5", "N6", "N7"}
    assert asked <= set(ids) | {"R4" for i in ids if i.startswith("R4")}


def test_claims_of_the_papers_own_tasks_are_not_run_on_the_digits():
    table = pd.DataFrame(
        {"task": "digits", "method": ["growing radii", "one radius"], "trial": 0, "accuracy": [0.9, 0.8], "trace": 1.0}
    )
    verdicts = {claim.id: claim.judge(table)[0].value for claim in image_tasks.EXPERIMENT.claims}
    assert verdicts["G1b"] == "reproduced"
    assert {verdicts[name] for name in ("G1", "G3n", "R3", "N1", "N3n", "N3m")} == {"not run at this scale"}


def test_the_recursion_has_the_expected_squared_gradient_of_a_quadratic():
    """W_t is an autoregression: E‖W_t‖² = ρ^(2t)‖W_0‖² + η²s²/k (1 − ρ^(2t))/(1 − ρ²) with ρ = 1 − η."""
    settings = nso_rate.Settings(trials=4000)
    T, k = 50, 2
    found = nso_rate.mean_squared_gradient(settings, T, k, two_point=True, generator=np.random.default_rng(0))
    step = (k / T) ** 0.5
    decay = (1 - step) ** (2 * np.arange(T))
    expected = (decay + step**2 / k * (1 - decay) / (1 - (1 - step) ** 2)).mean()
    assert found.mean() == pytest.approx(expected, rel=4 * found.std() / found.mean() / 4000**0.5 + 1e-3)
