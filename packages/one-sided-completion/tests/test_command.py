import json

import numpy as np
import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.one_sided_completion import linear_mixtures, sample
from reprise.one_sided_completion.command import app


@pytest.fixture
def folder(tmp_path):
    M = linear_mixtures(600, 12, 2, seed=0)
    seen = sample(M, per_row=5, seed=1).tocoo()
    lines = [f"{k},{j * 10},{v!r}" for k, j, v in zip(seen.row.tolist(), seen.col.tolist(), seen.data.tolist())]
    (tmp_path / "all.csv").write_text("user,item,rating\n" + "\n".join(lines))
    for name, half in (("one", [x for x in lines if int(x.split(",")[0]) < 300]), ("two", None)):
        half = half or [x for x in lines if int(x.split(",")[0]) >= 300]
        (tmp_path / f"{name}.csv").write_text("user,item,rating\n" + "\n".join(half))
    return tmp_path


def run(*call):
    return CliRunner().invoke(app, [str(part) for part in call])


def test_fit_writes_the_moment_and_its_factor(folder):
    answer = run("fit", folder / "all.csv", "--rank", 2, "--out", folder / "m.npz")
    assert answer.exit_code == 0 and "600 rows, 12 columns" in answer.stdout
    with np.load(folder / "m.npz") as file:
        assert file["factor"].shape == (12, 2) and file["items"].tolist() == list(range(0, 120, 10))


def test_two_sites_add_up_to_the_whole(folder):
    for name in ("one", "two"):
        assert run("fit", folder / f"{name}.csv", "--rank", 2, "--out", folder / f"{name}.npz").exit_code == 0
    answer = run("merge", folder / "one.npz", folder / "two.npz", "--out", folder / "sum.npz", "--json")
    assert json.loads(answer.stdout)["rows"] == 600
    for source, out in (("sum.npz", "a.npz"), ("all.csv", "b.npz")):
        result = json.loads(run("fit", folder / source, "--rank", 2, "--out", folder / out, "--json").stdout)
        assert result["columns"] == 12 and result["converged"]
    with np.load(folder / "a.npz") as a, np.load(folder / "b.npz") as b:
        np.testing.assert_allclose(a["total"], b["total"], rtol=1e-12)
        np.testing.assert_allclose(a["factor"] @ a["factor"].T, b["factor"] @ b["factor"].T, atol=1e-6)
    noisy = run("merge", folder / "sum.npz", "--noise-std", 1.0, "--out", folder / "noisy.npz")
    assert noisy.exit_code == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["fit", "missing.csv", "--out", "m.npz"], "there is no file"),
        (["fit", "all.csv", "--out", "m.csv"], "must end in .npz"),
        (["fit", "all.csv", "--rank", "13", "--out", "m.npz"], "rank must be between 1 and"),
        (["fit", "all.csv", "--weights", "x", "--out", "m.npz"], "weights must be one of"),
        (["fit", "all.csv", "--rank", "2", "--out", "nowhere/m.npz"], "cannot write"),
        (["fit", "bad.npz", "--out", "m.npz"], "holds no sparse matrix"),
        (["merge", "bad.npz", "--out", "m.npz"], "holds no moment"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(folder, call, message, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "bad.npz").write_bytes(b"x")
    answer = run(*call)
    assert isinstance(answer.exception, RepriseError) and message in str(answer.exception)
