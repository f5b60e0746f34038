import json

import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.gnn_bounds.command import app

# a star and a ring, twice each
TEXT = "4\n" + 2 * "5 0\n0 4 1 2 3 4\n0 1 0\n0 1 0\n0 1 0\n0 1 0\n4 1\n0 2 1 3\n0 2 0 2\n0 2 1 3\n0 2 2 0\n"


@pytest.fixture
def graphs(tmp_path):
    path = tmp_path / "toys.txt"
    path.write_text(TEXT)
    return str(path)


def test_norms_says_which_graphs_set_the_bound(graphs):
    result = json.loads(CliRunner().invoke(app, ["norms", graphs, "--json", "--top", "2"]).stdout)
    assert result["max_degree"] == 4 and result["spectral"]["gcn"] == 1.0
    assert result["spectral"]["adjacency"] == pytest.approx(2.0)
    assert len(result["dominant"]) == 2
    assert "maximum degree 4" in CliRunner().invoke(app, ["norms", graphs]).stdout


def test_choose_prints_a_row_per_diffusion(graphs):
    answer = CliRunner().invoke(app, ["choose", graphs, "--epochs", "2", "--device", "cpu", "--json"])
    assert [row["diffusion"] for row in json.loads(answer.stdout)] == ["gcn", "mean", "ppr", "scaled"]


def test_choose_tries_edits(graphs):
    call = ["choose", graphs, "--epochs", "1", "--device", "cpu", "--json", "--drop-hubs", "0.1", "--self-loops", "2"]
    rows = json.loads(CliRunner().invoke(app, call).stdout)
    assert {row["edit"] for row in rows} == {"none", "without 0.1 of nodes", "self-loops of 2"} and len(rows) == 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["norms", "absent.txt"], "there is no TU set"),
        (["norms", "GRAPHS", "--features", "colour"], "kind must be one of"),
        (["norms", "GRAPHS", "--depth", "1"], "depth must be at least 2"),
        (["choose", "GRAPHS", "--device", "tpu"], "--device must be auto, cpu or cuda"),
        (["choose", "GRAPHS", "--drop-hubs", "2"], "share must be between 0 and 1"),
        (["choose", "GRAPHS", "--epochs", "0"], "epochs must be at least 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(graphs, call, message):
    answer = CliRunner().invoke(app, [graphs if word == "GRAPHS" else word for word in call])
    assert isinstance(answer.exception, RepriseError)
    assert message in str(answer.exception)
