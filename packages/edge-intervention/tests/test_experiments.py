import os
from dataclasses import replace

import pytest

from reprise.core import MissingData, read_record, run_experiment
from reprise.edge_intervention.paper import PAPER

SURE = {"C1", "C2"}


def has_data(name):
    try:
        for data_set in PAPER.experiment(name).data.get("smoke", ()):
            data_set.find()
    except MissingData as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path):
    has_data(name)
    record = run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared
    # What is exact holds at every scale.
    assert all(claim.verdict == "reproduced" for claim in record.claims if claim.id in SURE)


def test_the_number_of_workers_does_not_change_a_number(tmp_path):
    tables = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        settings = PAPER.experiment("certify").settings("smoke")
        settings = replace(settings, steps=20, ranks=(1,))
        run_experiment(PAPER, "certify", scale="smoke", out=out, settings=settings, workers=workers, device="cpu")
        tables.append(next(out.rglob("table.csv")).read_text())
    assert tables[0] == tables[1]


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    for number in range(1, 17):
        assert any(found == f"C{number}" or found.startswith(f"C{number}a") for found in ids), f"C{number}"
    assert {"B1", "B2"} <= set(ids)


def test_missing_data_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"openflights\.txt"):
        run_experiment(PAPER, "graphs", scale="smoke", out=tmp_path, workers=1, device="cpu")
