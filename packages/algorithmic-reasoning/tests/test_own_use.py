"""What goes beyond the paper: steps drawn, trees with confidence, affinities that grow, the command."""

import json

import networkx as nx
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reprise.algorithmic_reasoning import (
    ALGORITHMS,
    SOURCED,
    BranchingStructure,
    Search,
    Split,
    branch_confidence,
    draw,
    estimate_affinity,
    frames,
    newton_affinity,
    sample,
    trace,
)
from reprise.algorithmic_reasoning.command import app
from reprise.tasks import TaskFeatures, affinity_gains, partition_path, random_subsets

PATH = nx.path_graph(4)


def planted(names="abcdef", rows=60):
    """Two groups of tasks that want opposite answers."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(6, generator=generator)
    features = {}
    for index, name in enumerate(names):
        values = torch.randn(rows, 6, generator=generator)
        sign = 1.0 if index < len(names) // 2 else -1.0
        features[name] = TaskFeatures(values, labels=(sign * values @ direction).sign())
    return features


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_can_be_drawn_at_its_first_and_last_step(name):
    found = sample(name, nodes=5, samples=1, seed=0)
    for step in (0, found.steps - 1):
        figure = draw(found, step)
        assert f"step {step} of" in figure.axes[0].get_title()


def test_frames_are_one_per_step_with_nodes_in_their_places():
    found = trace("bfs", PATH, source=0)
    drawn = list(frames(found, labels="abcd"))
    assert len(drawn) == found.steps
    places = [{text.get_text(): text.get_position() for text in figure.axes[0].texts} for figure in drawn]
    assert set(places[0]) == set("abcd") and all(place == places[0] for place in places)
    # what is reached grows step by step: all of a path after its length
    fills = [figure.axes[0].collections[-1].get_facecolors() for figure in drawn]
    seen = [int((fill[:, 0] < 0.9).sum()) for fill in fills]
    assert seen == sorted(seen) and seen[0] == 1 and seen[-1] == 4


def test_bad_steps_are_named():
    found = trace("bfs", PATH, source=0)
    with pytest.raises(ValueError, match=r"step must be between 0 and the graph's length − 1 \(3\), got 9"):
        draw(found, 9)
    with pytest.raises(ValueError, match="labels must be one for each of 4 nodes, got 2"):
        draw(found, 0, labels="ab")
    with pytest.raises(ValueError, match="graph must be between 0 and the number of graphs"):
        list(frames(found, graph=1))


def test_one_newton_step_at_the_papers_penalty_is_the_exact_affinity():
    features = planted()
    quick, exact = newton_affinity(features, subsets=15), estimate_affinity(features, subsets=15)
    np.testing.assert_allclose(quick.affinity.matrix, exact.matrix, rtol=1e-4)


def test_a_further_task_is_taken_in_without_fitting_the_others_again():
    features = planted("abcdefg")
    last = features.pop("g")
    before = newton_affinity(features, subsets=15, ridge=10.0)
    after = before.with_task("g", last, count=12, seed=1)
    assert after.fits == 12 and after.affinity.tasks == (*"abcdefg",)
    old = len(before.affinity.subsets)
    np.testing.assert_array_equal(after.affinity.outcomes[:old, :6], before.affinity.outcomes)
    assert after.affinity.coverage == 1.0 and after.affinity.subsets.members[old:, 6].all()
    # the same as all subsets solved at once
    whole = newton_affinity(features | {"g": last}, subsets=after.affinity.subsets, ridge=10.0)
    np.testing.assert_allclose(whole.affinity.matrix, after.affinity.matrix, rtol=1e-9)
    gains = affinity_gains(after.affinity).matrix[6]
    assert gains[3:6].min() > gains[:3].max()  # planted("abcdefg") puts d, e, f and g together
    with pytest.raises(ValueError, match="name must be new, got 'a'"):
        before.with_task("a", last)
    with pytest.raises(ValueError, match="count must be at least 3, got 2"):
        before.with_task("h", last, count=2)


def found_from(features, *, count=15, gains=True):
    """A search over one layer."""
    names = tuple(features)
    affinity = estimate_affinity(features, subsets=random_subsets(list(names), count=count, size=3), ridge=1.0)
    best = partition_path(affinity_gains(affinity))[0]
    tree = BranchingStructure([[set(names)], [set(group) for group in best.groups]])
    split = Split(1, names, affinity, best, {})
    return Search(tree, (split,), len(names), len(names), tuple(k / 10 for k in range(1, 11)), gains)


def test_planted_branches_are_certain_and_noise_is_not():
    sure = branch_confidence(found_from(planted()), samples=12)
    order = [sure.tasks.index(name) for name in "abcdef"]
    groups = np.kron(np.eye(2), np.ones((3, 3)))
    np.testing.assert_array_equal(sure.together[1][np.ix_(order, order)], groups)
    np.testing.assert_array_equal(sure.together[0], np.ones((6, 6)))
    assert sure.consensus().layers[1] == (frozenset("abc"), frozenset("def"))
    low, high = sure.interval(1, "a", "b")
    assert 0.7 < low < high <= 1.0
    generator = torch.Generator().manual_seed(5)
    noise = {
        name: TaskFeatures(torch.randn(20, 6, generator=generator), labels=torch.randn(20, generator=generator).sign())
        for name in "abcdef"
    }
    unsure = branch_confidence(found_from(noise), samples=12).together[1]
    assert ((unsure > 0.05) & (unsure < 0.95)).any()
    with pytest.raises(ValueError, match="threshold must be finite"):
        sure.consensus(2.0)


def test_the_command_prints_answers_and_draws_steps(tmp_path):
    file = tmp_path / "roads.txt"
    file.write_text("# streets\nhome shop 2\nshop school 1.5\nhome school 9\n")
    arguments = ["trace", str(file), "--algorithm", "dijkstra", "--source", "home", "--draw", str(tmp_path / "steps")]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["nodes"] == ["home", "shop", "school"] and found["outputs"]["pi"] == [0, 0, 1]
    assert len(list((tmp_path / "steps").glob("*.png"))) == found["steps"]
    plain = CliRunner().invoke(app, arguments[:6])
    assert "pi school: shop" in plain.output


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("a b c d\n", [], "line 1 of graph.txt must be"),
        ("a b x\n", [], "line 1 of graph.txt must end with a number"),
        ("a b\n", ["--source", "z"], "source must be a node of the graph, got 'z'"),
        ("a b\n", [], "source must be given for bfs"),
        ("a b\n", ["--algorithm", "sort"], "algorithm must be one of"),
    ],
)
def test_bad_files_of_the_command_are_named(tmp_path, text, arguments, message):
    file = tmp_path / "graph.txt"
    file.write_text(text)
    result = CliRunner().invoke(app, ["trace", str(file), *arguments])
    assert result.exit_code != 0 and message in str(result.exception)
    assert "bfs" in SOURCED
