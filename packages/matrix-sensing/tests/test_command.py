import json

import numpy as np
import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.matrix_sensing.command import app


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    u = rng.standard_normal((10, 1))
    A = rng.standard_normal((60, 10, 10))
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "y.npy", np.einsum("mij,ij->m", A, u @ u.T))
    return tmp_path, u @ u.T


def run(folder, *more, A="A.npy", y="y.npy", out="X.npy"):
    call = ["fit", str(folder / A), str(folder / y), "--out", str(folder / out), *more]
    return CliRunner().invoke(app, call)


def test_fit_writes_the_matrix_behind_the_files(files):
    folder, truth = files
    answer = run(folder)
    assert answer.exit_code == 0 and "dimension 10 and rank 1" in answer.stdout
    np.testing.assert_allclose(np.load(folder / "X.npy"), truth, atol=1e-3)


def test_json_says_what_was_found(files):
    folder, _ = files
    result = json.loads(run(folder, "--json").stdout)
    assert result["rank"] == 1 and result["dimension"] == 10 and result["relative_loss"] < 1e-6
    assert result["converged"] is True


def test_a_run_that_stops_early_says_so(files):
    folder, _ = files
    assert json.loads(run(folder, "--json", "--steps", "3").stdout)["converged"] is False
    assert "more than the tolerance of 1e-08" in run(folder, "--steps", "3").stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": "missing.npy"}, "there is no file"),
        ({"A": "text.npy"}, "is no .npy file of numbers"),
        ({"y": "A.npy"}, "y must have one entry per measurement"),
        ({"more": ["--device", "tpu"]}, "device must be auto, cpu or cuda, got 'tpu'"),
        ({"out": "X.csv"}, "--out must end in .npy"),
        ({"out": "nowhere/X.npy"}, "cannot write"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(files, change, message):
    folder, _ = files
    (folder / "text.npy").write_text("1,2,3")
    answer = run(folder, *change.pop("more", ()), **change)
    assert isinstance(answer.exception, RepriseError)
    assert message in str(answer.exception)
