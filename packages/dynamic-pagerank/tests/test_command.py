import gzip
import json

import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.dynamic_pagerank import load, personalized_pagerank
from reprise.dynamic_pagerank.command import app


def run(*arguments, text=None):
    return CliRunner().invoke(app, ["stream", *map(str, arguments)], input=text)


@pytest.fixture
def edges(tmp_path):
    path = tmp_path / "edges.txt"
    path.write_text("# a comment\n1 2\n2 3\n3 1\n1 4\n1 2\n")
    return path


def test_stream_prints_the_top_nodes_as_the_graph_grows(edges):
    answer = run(edges, "--source", 1, "--every", 3, "--epsilon", 1e-10, "--json")
    reports = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [report["edges"] for report in reports] == [2, 4]
    scores = personalized_pagerank([("1", "2"), ("2", "3"), ("3", "1"), ("1", "4")], "1", epsilon=1e-10)
    best = reports[-1]["top"][0]
    assert best["node"] == "1" and best["score"] == pytest.approx(scores["1"], abs=1e-8) and best["place_certain"]


def test_standard_input_gives_the_same_lines_as_the_file(edges):
    assert run("-", "--source", 1, text=edges.read_text()).stdout == run(edges, "--source", 1).stdout


def test_window_state_and_animation_are_written(tmp_path):
    path = tmp_path / "timed.txt"
    path.write_text("".join(f"{i % 7} {(i * 3 + 1) % 7} {i}\n" for i in range(60)))
    answer = run(
        path,
        "--target",
        0,
        "--window",
        10,
        "--every",
        20,
        "--save",
        tmp_path / "s.npz",
        "--animation",
        tmp_path / "a.gif",
    )
    assert answer.exit_code == 0, answer.exception
    assert load(tmp_path / "s.npz").graph.number_of_edges() < 10
    assert (tmp_path / "a.gif").stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1 2\n3\n", ["--source", "1"], "line 2: expected 2 columns"),
        (
            "1 2\n1 2\n",
            ["--source", "1", "--multi", "error"],
            "event 1 inserts the edge from '1' to '2', which is there",
        ),
        ("1 2\n", [], "exactly one of source, target"),
        ("1 2\n", ["--source", "1", "--alpha", "2"], "alpha must lie strictly between 0 and 1"),
        ("1 2\n", ["--source", "1", "--multi", "twice"], "multi must be one of"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text, options, message):
    answer = run("-", *options, text=text)
    assert isinstance(answer.exception, RepriseError)
    assert message in str(answer.exception)


def test_a_missing_file_is_named(tmp_path):
    answer = run(tmp_path / "none.txt", "--source", 1)
    assert isinstance(answer.exception, RepriseError) and "none.txt" in str(answer.exception)


def test_what_is_no_text_or_no_whole_gzip_is_named(tmp_path):
    path = tmp_path / "edges"
    path.write_bytes(b"\xff\xfe1 2\n")
    assert "edges must hold text in UTF-8" in str(run(path, "--source", 1).exception)
    path.write_bytes(gzip.compress(b"1 2\n" * 1000)[:-20])
    assert "edges must hold whole gzip data" in str(run(path, "--source", 1).exception)


@pytest.mark.parametrize("option", ["--save", "--animation"])
def test_a_folder_that_is_not_there_is_told_before_the_stream(edges, tmp_path, option):
    answer = run(edges, "--source", 1, option, tmp_path / "none" / "x.npz")
    assert isinstance(answer.exception, RepriseError) and answer.stdout == ""
    assert f"{option} must name a file in a folder that exists" in str(answer.exception)


def test_nothing_of_a_batch_with_a_malformed_line_is_applied(tmp_path):
    answer = run("-", "--source", 1, "--every", 2, "--json", "--save", tmp_path / "s.npz", text="1 2\n2 3\n3 4\n5\n")
    assert "line 4: expected 2 columns" in str(answer.exception)
    assert [json.loads(line)["edges"] for line in answer.stdout.splitlines()] == [2]
    assert not (tmp_path / "s.npz").exists()
