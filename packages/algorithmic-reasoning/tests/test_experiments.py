import pytest

from reprise.algorithmic_reasoning.experiments.data_sets import LANGUAGE_MODEL
from reprise.algorithmic_reasoning.paper import PAPER
from reprise.core import MissingData, read_record, run_experiment


@pytest.mark.parametrize("name", PAPER.experiments)
def test_the_experiment_runs_at_smoke_scale_and_leaves_a_record(name, tmp_path, reference_file):
    reference_file("clrs_reference.npz")
    record = run_experiment(PAPER, name, scale="smoke", out=tmp_path, workers=1, device="cpu")
    folder = next(tmp_path.rglob("record.json")).parent
    assert {"figure.svg", "figure.png", "table.csv"} <= {path.name for path in folder.iterdir()}
    declared = [claim.id for claim in PAPER.experiment(name).claims]
    assert [claim.id for claim in read_record(folder / "record.json").claims] == declared
    # What holds at any size; what needs trained networks is judged by the recorded runs.
    anywhere = {"C1", "C10", "C6", "C14", "C8d"}
    verdicts = {claim.id: claim.verdict for claim in record.claims}
    assert all(verdicts[name] == "reproduced" for name in anywhere & set(verdicts))
    paper_only = {"C2b", "C3", "C3b", "C4b", "C4d", "C9d", "C9e", "C12", "C12c"}
    assert all(verdicts[name] == "not run at this scale" for name in paper_only & set(verdicts))
    if name == "text":
        assert {"config.json", "tokenizer.json"} <= set(LANGUAGE_MODEL.missing(tmp_path))


def test_the_text_experiment_says_which_model_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingData, match=r"language-model lacks config\.json, tokenizer\.json"):
        run_experiment(PAPER, "text", scale="paper", out=tmp_path / "out", workers=1, device="cpu")


def test_every_claim_of_the_paper_is_declared_once():
    ids = [claim.id for name in PAPER.experiments for claim in PAPER.experiment(name).claims]
    assert len(ids) == len(set(ids))
