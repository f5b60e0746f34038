import subprocess
import sys
from types import SimpleNamespace

import pytest

from reprise.core import MissingData, read_record, run_experiment
from reprise.gnn_bounds.experiments import noise_stable_fine_tuning
from reprise.gnn_bounds.experiments.data import GIN
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


@pytest.mark.parametrize("name", ["graph-norms", "bound-comparison", "noise-stable-fine-tuning"])
def test_the_scale_of_the_paper_names_the_file_that_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"lacks .*download it there"):
        run_experiment(PAPER, name, scale="paper", out=tmp_path, workers=1, device="cpu")


def test_published_gin_weights_are_fine_tuned_with_the_choices_of_the_authors(tmp_path, data):
    """A stand-in for the weights, whose head alone is missing."""
    import torch

    from reprise.gnn_bounds import MoleculeGIN

    weights = {name: value for name, value in MoleculeGIN().state_dict().items() if not name.startswith("head.")}
    torch.save(weights, tmp_path / "supervised_contextpred.pth")
    settings = noise_stable_fine_tuning.Settings(
        network="gin", epochs=1, trials=1, from_scratch=False, trace_molecules=4, trace_products=2, training_molecules=8
    )
    cells = list(noise_stable_fine_tuning.cells(settings))
    assert [(cell["sigma"], cell["clean_weight"]) for cell in cells] == [(0.0, 1.0), (0.1, 0.6)]
    context = SimpleNamespace(
        data=lambda wanted: tmp_path if wanted is GIN else data,
        shared_seed=lambda *parts: 0,
        device="cpu",
        progress=lambda done, total: None,
    )
    (row,) = noise_stable_fine_tuning.measure(settings, cells[1], context)
    assert 0 <= row["test_auc"] <= 1 and row["trace"] == row["trace"]


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    assert {f"B{number}" for number in range(1, 9)} <= set(ids)


def test_listing_the_paper_imports_nothing_heavy():
    heavy = "('torch', 'numba', 'scipy', 'pandas', 'matplotlib')"
    code = f"import sys, reprise.gnn_bounds.paper, reprise.gnn_bounds; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
