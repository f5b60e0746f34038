import subprocess
import sys

import pytest

from reprise.core import read_record, run_experiment
from reprise.gnn_bounds.paper import PAPER


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path, data):
    record = run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared
    assert record.claims


def test_exponents_are_reproduced_at_smoke_scale(tmp_path):
    record = run_experiment(PAPER, "degree-scaling", scale="smoke", out=tmp_path, workers=1, device="cpu")
    verdicts = {claim.id: claim.verdict for claim in record.claims}
    assert {verdicts[name] for name in ("B3", "B3b", "B3d", "B3f")} == {"reproduced"}


def test_the_order_of_cells_and_workers_does_not_change_a_number(tmp_path):
    tables = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        run_experiment(PAPER, "lower-bound", scale="smoke", out=out, workers=workers, device="cpu")
        tables.append(next(out.rglob("table.csv")).read_text())
    assert tables[0] == tables[1]


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    assert {f"B{number}" for number in range(1, 9)} <= set(ids)


def test_listing_the_paper_imports_nothing_heavy():
    heavy = "('torch', 'numba', 'scipy', 'pandas', 'matplotlib')"
    code = f"import sys, reprise.gnn_bounds.paper, reprise.gnn_bounds; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
