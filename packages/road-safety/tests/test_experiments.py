"""Every experiment at smoke scale through the real runner."""

import subprocess
import sys

import pytest

from reprise.core import read_record, run_experiment
from reprise.road_safety.paper import PAPER


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path, data):
    record = run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared
    assert record.claims


def test_facts_of_the_city_are_reproduced_at_smoke_scale(tmp_path, data):
    record = run_experiment(PAPER, "cambridge-build", scale="smoke", out=tmp_path, workers=1, device="cpu")
    assert {claim.verdict for claim in record.claims} == {"reproduced"}


def test_every_claim_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))


def test_listing_the_paper_imports_nothing_heavy():
    heavy = "('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'shapely', 'igraph')"
    code = f"import sys, reprise.road_safety.paper, reprise.road_safety; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_states_run_at_paper_scale_once_their_files_are_there(tmp_path, monkeypatch):
    from dataclasses import replace

    from reprise.core import Context
    from reprise.road_safety.experiments.state_data import write_miniature
    from reprise.road_safety.experiments.states import EXPERIMENT

    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    write_miniature(tmp_path / "road-safety/ml4roadsafety", "MT", False, 30)
    write_miniature(tmp_path / "road-safety/mmtrace", "DE", True, 30)
    settings = replace(
        EXPERIMENT.settings("paper"),
        states=("MT",),
        networks=("gcn", "agcrn"),
        adaptive_states=("MT",),
        hidden=4,
        epochs=1,
        fusion_epochs=1,
        input_time_steps=2,
        trials=1,
    )
    cells = list(EXPERIMENT.cells(settings))
    assert {cell["part"] for cell in cells} == {"facts", "network", "together", "fusion"}
    for cell in cells:
        for row in EXPERIMENT.measure(settings, cell, Context("road-safety/states", cell)):
            assert row["mean_count"] >= 1 if cell["part"] == "facts" else 0 <= row["test_auroc"] <= 1


def test_the_states_name_the_folder_that_is_missing(tmp_path, monkeypatch):
    from reprise.core import Context, MissingData
    from reprise.road_safety.experiments.states import EXPERIMENT

    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    settings = EXPERIMENT.settings("paper")
    cell = next(iter(EXPERIMENT.cells(settings)))
    with pytest.raises(MissingData, match=r"road-safety/ml4roadsafety/DE lacks adj_matrix\.pt"):
        EXPERIMENT.measure(settings, cell, Context("road-safety/states", cell))


def test_years_of_every_state_follow_one_another():
    from reprise.road_safety.experiments.state_data import IMAGE_YEARS, YEARS
    from reprise.road_safety.training import check_years

    assert len(YEARS) == 8
    for split in (*YEARS.values(), *IMAGE_YEARS.values()):
        check_years(*split)


def test_reading_by_position_is_wrong_where_features_are_missing(tmp_path):
    import numpy as np

    from reprise.road_safety import export_ml4roadsafety, from_ml4roadsafety, synthetic_city
    from reprise.road_safety.experiments.loader_roundtrip import MISSING, alter, wrong_by_position

    dataset = synthetic_city(60, (2020,), name="XX", seed=1).dataset
    state = export_ml4roadsafety(dataset, tmp_path)
    before = wrong_by_position(state, from_ml4roadsafety(tmp_path, "XX"))
    alter(MISSING, state, dataset, np.random.default_rng(0))
    assert 0 <= before <= wrong_by_position(state, from_ml4roadsafety(tmp_path, "XX"))
