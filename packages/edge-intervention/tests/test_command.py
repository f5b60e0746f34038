import csv
import json

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.edge_intervention import gravity_mobility
from reprise.edge_intervention.command import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def edges(tmp_path):
    path = tmp_path / "net.csv"
    generator = np.random.default_rng(0)
    lines = [f"p{i},p{j},{generator.integers(1, 9)}" for i in range(12) for j in range(12) if generator.random() < 0.3]
    path.write_text("source,target,weight\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def city(tmp_path):
    network, _ = gravity_mobility(15, 20)
    folder = tmp_path / "city"
    folder.mkdir()
    sparse.save_npz(folder / "weights.npz", sparse.csr_matrix(network.weights))
    np.save(folder / "beta_poi.npy", network.beta_poi)
    np.save(folder / "cbg_population.npy", network.population)
    np.save(folder / "poi_indexes.npy", network.category_pois)
    return folder


def test_solve_writes_the_new_weights_and_a_report(edges, tmp_path):
    out, report = tmp_path / "new.csv", tmp_path / "report.json"
    answer = run("solve", edges, "--budget", 0.1, "--out", out, "--rank", 2, "--report", report, "--json")
    assert answer.exit_code == 0, answer.exception
    told = json.loads(answer.stdout)
    assert told == json.loads(report.read_text())
    rows = list(csv.DictReader(out.read_text().splitlines()))
    old, new = (sum(float(row[key]) for row in rows) for key in ("old", "new"))
    assert old - new == pytest.approx(0.1 * old) == pytest.approx(told["removed"])
    assert all(0 <= float(row["new"]) <= float(row["old"]) for row in rows)
    assert told["lower_bound"] <= told["objective"] < told["initial_objective"]
    assert told["converged"] is False or told["gap"] <= 1e-4 * told["objective"]
    assert "no better than" in run("solve", edges, "--budget-weight", 5, "--out", out).stdout


def test_fewer_fall_ill_with_the_new_weights(edges, tmp_path):
    out = tmp_path / "new.csv"
    run("solve", edges, "--budget", 0.3, "--out", out)
    before, after = (
        json.loads(run("simulate", edges, "--p0", 0.1, "--json", *more).stdout) for more in ([], ["--weights", out])
    )
    assert after["ever_infected"] < before["ever_infected"]
    assert "ever infected" in run("simulate", edges, "--runs", 3).stdout


def test_compare_lists_every_method(edges, city):
    rows = json.loads(run("compare", edges, "--budget", 0.1, "--rank", 1, "--runs", 5, "--json").stdout)
    assert [row["method"] for row in rows][-1] == "Frank-Wolfe"
    assert {row["method"]: row["sigma"] for row in rows}["Frank-Wolfe"] < rows[1]["sigma"] < rows[0]["sigma"]
    assert "Frank-Wolfe" in run("compare", edges, "--budget", 0.1, "--runs", 2).stdout
    named = json.loads(run("compare", city, "--budget", 0.1, "--runs", 2, "--steps", 9, "--json").stdout)
    assert named[-1]["method"] == "next generation"


def test_a_mobility_folder_is_solved_for_infections_with_an_equity_report(city, tmp_path):
    answer = run(
        "solve", city, "--budget", 0.1, "--out", tmp_path / "n.csv", "--objective", "next_generation", "--json"
    )
    told = json.loads(answer.stdout)
    assert len(told["by_population"]) == 5
    assert sum(row["removed"] for row in told["by_population"]) == pytest.approx(told["removed"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "exactly one of budget"),
        (["--budget", 2], "can be removed"),
        (["--budget", 0.1, "--rank", 0], "rank must be at least 1"),
        (["--budget", 0.1, "--objective", "magic"], "objective must be one of"),
        (["--budget", 0.1, "--objective", "next_generation"], "needs beta_poi"),
        (["--budget", 0.1, "--objective", "mean_field", "--device", "tpu"], "device must be"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(edges, tmp_path, options, message):
    out = tmp_path / "out.csv"
    answer = run("solve", edges, "--out", out, *options)
    assert isinstance(answer.exception, RepriseError) and message in str(answer.exception)
    assert not out.exists()


def test_missing_and_damaged_files_are_named(edges, tmp_path):
    answer = run("solve", tmp_path / "none.csv", "--budget", 0.1, "--out", tmp_path / "o.csv")
    assert isinstance(answer.exception, RepriseError) and "none.csv" in str(answer.exception)
    answer = run("solve", edges, "--budget", 0.1, "--out", tmp_path / "no" / "o.csv")
    assert isinstance(answer.exception, RepriseError) and "o.csv" in str(answer.exception)
    answer = run("simulate", edges, "--weights", edges)
    assert isinstance(answer.exception, RepriseError) and "source,target,old,new" in str(answer.exception)
