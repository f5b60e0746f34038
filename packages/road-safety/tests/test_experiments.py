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
