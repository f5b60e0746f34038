"""Every experiment through the real runner at smoke scale, and what its parts promise."""

import pandas as pd
import pytest

from reprise.core import read_record, run_experiment
from reprise.multi_objective_rl.experiments import grouping, hessian, preferences, recovery
from reprise.multi_objective_rl.paper import PAPER


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path):
    if name == "preferences":
        pytest.importorskip("mo_gymnasium")
        pytest.importorskip("pymoo")
    run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared


def test_every_claim_is_declared_once_and_the_specified_ones_are_there():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
    assert {f"M{number}" for number in range(1, 12)} <= set(ids)


def test_claims_of_returns_are_paired_by_seed():
    """Noise that all methods share, however large, does not hide a gain."""
    rows = [
        {"family": "cartpole", "method": method, "trial": trial, "return": base * factor, "nmi": nmi, "success": None}
        for trial, base in enumerate((100.0, 400.0, 30.0))
        for method, factor, nmi in (
            ("joint", 1.0, 0.0),
            ("random", 1.1, 0.2),
            ("cosine", 1.2, 0.5),
            ("policygradex", 1.5, 0.9),
        )
    ]
    verdicts = {claim.id: claim.judge(pd.DataFrame(rows))[0].value for claim in grouping.EXPERIMENT.claims}
    assert all(verdicts[name] == "reproduced" for name in ("M3", "M3b", "M4", "M4b", "M10", "M10b"))
    assert all(verdicts[name] == "not run at this scale" for name in ("M2", "M3c", "M3d"))
    worse = pd.DataFrame([{**row, "return": -row["return"] + 1000} for row in rows])
    assert grouping.EXPERIMENT.claims[0].judge(worse)[0].value == "not reproduced"


def test_rows_of_the_map_do_not_enter_the_claims_on_preferences():
    rows = [
        {"kind": "atlas", "trial": trial, "k": k, "utility": base + gain, "hypervolume": base + gain}
        for trial, base in enumerate((10.0, 20.0, 30.0))
        for k, gain in ((1, 0.0), (3, 5.0 + 0.1 * trial))
    ]
    table = pd.DataFrame([*rows, {"kind": "map", "trial": 0, "k": 3, "first": 0.5, "second": 0.5, "policy": 0}])
    found = {claim.id: claim.judge(table)[0].value for claim in preferences.EXPERIMENT.claims}
    assert found == {"M11": "reproduced", "M11b": "reproduced"}


def test_seeds_and_sizes_are_those_asked_for():
    laptop = grouping.EXPERIMENT.scales["laptop"]
    assert laptop.trials >= 8 and len(list(grouping.cells(laptop))) == 8
    assert recovery.EXPERIMENT.scales["laptop"].trials == 6
    assert max(hessian.EXPERIMENT.scales["laptop"].counts) == 16384
