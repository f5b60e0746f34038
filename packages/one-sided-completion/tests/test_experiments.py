import os
from pathlib import Path

import pytest

from reprise.core import MissingData, read_record, run_experiment
from reprise.one_sided_completion.paper import PAPER

REAL = Path(os.environ.get("REPRISE_DATA", "absent")) / "one-sided-completion" / "u.data"
needs_movielens = pytest.mark.skipif(not REAL.exists(), reason="MovieLens-100K is not below $REPRISE_DATA")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_movielens if name == "movielens" else ()) for name in PAPER.experiments]
)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path):
    record = run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared
    assert record.claims


def test_the_order_of_cells_and_workers_does_not_change_a_number(tmp_path):
    tables = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        run_experiment(PAPER, "noise", scale="smoke", out=out, workers=workers, device="cpu")
        tables.append(next(out.rglob("table.csv")).read_text())
    assert tables[0] == tables[1]


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    assert {f"O{number}" for number in range(1, 16)} <= set(ids)


def test_claims_that_hold_at_smoke_scale_are_reproduced_there(tmp_path):
    record = run_experiment(PAPER, "noise", scale="smoke", out=tmp_path, workers=1, device="cpu")
    assert {claim.id: claim.verdict for claim in record.claims}["O11b"] == "reproduced"


def test_absent_data_is_named_with_its_source(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"grouplens\.org"):
        run_experiment(PAPER, "movielens", scale="paper", out=tmp_path, workers=1, device="cpu")
