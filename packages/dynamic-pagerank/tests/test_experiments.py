import gzip
import os

import pytest

from reprise.core import MissingData, read_record, run_experiment
from reprise.dynamic_pagerank import rmat
from reprise.dynamic_pagerank.paper import PAPER

SURE = {"P1", "P1b", "P2", "P2b", "P5b", "B2"}


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
        run_experiment(PAPER, "batching", scale="smoke", out=out, workers=workers, device="cpu")
        tables.append(next(out.rglob("table.csv")).read_text())
    assert tables[0] == tables[1]


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    assert {f"P{number}" for number in range(1, 10)} <= set(ids)


def test_a_missing_file_of_the_paper_scale_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"soc-LiveJournal1\.txt\.gz"):
        run_experiment(PAPER, "real-streams", scale="paper", out=tmp_path, workers=1, device="cpu")


def test_the_paper_scale_reads_files_of_the_form_of_those_that_it_names(tmp_path, monkeypatch):
    folder = tmp_path / "dynamic-pagerank"
    folder.mkdir()
    names = ("soc-LiveJournal1.txt.gz", "com-orkut.ungraph.txt.gz", "soc-pokec-relationships.txt.gz")
    for seed, name in enumerate(names):
        edges = rmat(7, 400, directed="orkut" not in name, seed=seed)
        lines = ["# Nodes: 128 Edges: 400", "# FromNodeId\tToNodeId", *(f"{u + 1}\t{v + 1}" for u, v in edges)]
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    monkeypatch.setitem(os.environ, "REPRISE_DATA", str(tmp_path))
    record = run_experiment(PAPER, "real-streams", scale="paper", out=tmp_path, workers=1, device="cpu")
    assert {claim.id: claim.verdict for claim in record.claims}["P8"] == "reproduced"
