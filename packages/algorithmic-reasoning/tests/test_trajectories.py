"""Graphs and trajectories: equal to the reference bit for bit, and right by what the algorithms promise."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reprise.algorithmic_reasoning import ALGORITHMS, official_split, sample, spec, trace, tracers
from reprise.algorithmic_reasoning.sampling import FAMILIES, SPLITS

CONFIGS = {
    "seed11_n5": {"seed": 11, "nodes": 5, "samples": 3},
    "seed12_n16": {"seed": 12, "nodes": 16, "samples": 3},
    "seed13_n16_trainp": {"seed": 13, "nodes": 16, "samples": 2},
}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_array_of_the_reference_is_reproduced(reference, name, config):
    prefix = f"{name}/{config}/"
    expected = {key.removeprefix(prefix): reference[key] for key in reference if key.startswith(prefix)}
    p = FAMILIES[name].training_p if config.endswith("trainp") else None
    found = sample(name, p=p, **CONFIGS[config])
    np.testing.assert_array_equal(found.lengths, expected.pop("lengths"))
    stages = {"input": found.inputs, "hint": found.hints, "output": found.outputs}
    assert set(expected) == {f"{stage}_{probe}" for stage, probes in stages.items() for probe in probes}
    for key, values in expected.items():
        stage, _, probe = key.partition("_")
        ours = stages[stage][probe].numpy()
        assert ours.shape == values.shape, key
        np.testing.assert_array_equal(ours, values, err_msg=key)


@pytest.mark.parametrize(
    ("name", "shortest", "longest"),
    [
        ("bfs", 3, 4),
        ("dfs", 192, 192),
        ("topological_sort", 132, 141),
        ("articulation_points", 302, 404),
        ("bridges", 302, 404),
        ("strongly_connected_components", 324, 324),
        ("mst_kruskal", 224, 380),
        ("mst_prim", 65, 65),
        ("dijkstra", 65, 65),
        ("bellman_ford", 5, 8),
        ("dag_shortest_paths", 4, 175),
        ("floyd_warshall", 64, 64),
    ],
)
def test_trajectories_of_the_official_test_split_have_the_known_lengths(name, shortest, longest):
    lengths = official_split(name, "test").lengths
    assert len(lengths) == SPLITS["test"].samples
    assert (int(lengths.min()), int(lengths.max())) == (shortest, longest)


def undirected(nodes, p, seed):
    return nx.gnp_random_graph(nodes, p, seed=seed)


@settings(max_examples=30, deadline=None)
@given(nodes=st.integers(2, 12), p=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_outputs_agree_with_networkx(nodes, p, seed):
    graph = undirected(nodes, p, seed)
    rng = np.random.default_rng(seed)
    for u, v in graph.edges:
        graph[u][v]["weight"] = float(rng.uniform(0.1, 1.0))
    weights = nx.to_numpy_array(graph)

    cut = trace("articulation_points", graph).outputs["is_cut"][0]
    assert set(torch.nonzero(cut).flatten().tolist()) == set(nx.articulation_points(graph))
    found = np.argwhere(trace("bridges", graph).outputs["is_bridge"][0].numpy() == 1)
    assert {tuple(sorted(edge)) for edge in found.tolist()} == {tuple(sorted(edge)) for edge in nx.bridges(graph)}

    tree = trace("mst_kruskal", graph).outputs["in_mst"][0].numpy()
    best = nx.minimum_spanning_tree(graph).size(weight="weight")
    assert (tree * weights).sum() / 2 == pytest.approx(best)

    lengths = nx.single_source_dijkstra_path_length(graph, 0)
    for name in ("dijkstra", "bellman_ford"):
        pi = trace(name, graph, source=0).outputs["pi"][0].tolist()
        assert walked(pi, weights, 0) == pytest.approx(lengths)
    everywhere = dict(nx.all_pairs_dijkstra_path_length(graph))
    Pi = trace("floyd_warshall", graph).outputs["Pi"][0].tolist()
    for start, expected in everywhere.items():
        reached = {end: length for end, length in walked(Pi[start], weights, start).items() if end in expected}
        assert reached == pytest.approx(expected)

    reach = nx.single_source_shortest_path_length(graph, 0)
    pi = trace("bfs", graph, source=0).outputs["pi"][0].tolist()
    assert walked(pi, (weights > 0).astype(float), 0) == reach


def walked(pi, weights, source):
    """Lengths of the paths that pointers to predecessors describe, of the nodes that lead back to the source."""
    lengths = {}
    for end in range(len(pi)):
        node, length, steps = end, 0.0, 0
        while node != source and pi[node] != node and steps <= len(pi):
            length, node, steps = length + weights[pi[node], node], pi[node], steps + 1
        if node == source:
            lengths[end] = length
    return lengths


@settings(max_examples=30, deadline=None)
@given(nodes=st.integers(1, 12), p=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_directed_outputs_agree_with_networkx(nodes, p, seed):
    graph = nx.gnp_random_graph(nodes, p, seed=seed, directed=True)
    ids = trace("strongly_connected_components", graph).outputs["scc_id"][0].tolist()
    groups = {frozenset(i for i in range(nodes) if ids[i] == label) for label in ids}
    assert groups == {frozenset(group) for group in nx.strongly_connected_components(graph)}

    acyclic = nx.DiGraph((u, v, {"weight": 1.0 + (7 * u + v) % 5}) for u, v in graph.edges if u < v)
    acyclic.add_nodes_from(range(nodes))
    A = nx.to_numpy_array(acyclic, nodelist=range(nodes))
    found = trace("topological_sort", A).outputs
    order = [int(found["topo_head"][0].argmax())]
    while found["topo"][0, order[-1]] != order[-1]:
        order.append(int(found["topo"][0, order[-1]]))
    assert sorted(order) == list(range(nodes))
    assert all(order.index(u) < order.index(v) for u, v in acyclic.edges)
    pi = trace("dag_shortest_paths", A, source=0).outputs["pi"][0].tolist()
    assert walked(pi, A, 0) == pytest.approx(nx.single_source_dijkstra_path_length(acyclic, 0))


def test_a_graph_may_be_given_in_any_form():
    A = np.array([[0, 2, 0], [2, 0, 1], [0, 1, 0]])
    expected = trace("dijkstra", A, source=np.int64(1)).hints["d"]
    for form in (A.tolist(), sparse.csr_array(A), sparse.coo_matrix(A), nx.from_numpy_array(A), np.asfortranarray(A)):
        torch.testing.assert_close(trace("dijkstra", form, source=1).hints["d"], expected, rtol=0, atol=0)


def test_a_graph_of_ones_own_class_is_one_of_networkx_and_its_lightest_parallel_edge_counts():
    class Roads(nx.MultiGraph):
        pass

    roads = Roads([(0, 1, {"weight": 2.0}), (0, 1, {"weight": 1.0}), (1, 2, {"weight": 1.0}), (0, 2, {"weight": 2.5})])
    assert trace("dijkstra", roads, source=0).hints["d"][-1, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_masked_array_is_refused():
    with pytest.raises(TypeError, match="adjacency must not be a masked array"):
        trace("bfs", np.ma.masked_equal(np.eye(3), 0), source=0)


def test_a_single_node_has_a_trace_of_every_algorithm():
    for name in ALGORITHMS:
        source = 0 if spec(name).get("s") is not None and spec(name)["s"].stage == "input" else None
        assert trace(name, [[0.0]], source=source).steps >= 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_graphs_traced_together_have_the_traces_that_each_has_alone(name, monkeypatch):
    monkeypatch.setattr(tracers, "_CHUNK", 2 * 8 * 9**3)  # two graphs a call, and one in the last
    together = sample(name, nodes=9, samples=5, seed=3)
    for graph, length in enumerate(together.lengths.tolist()):
        A = together.inputs["A"][graph].numpy()
        source = int(together.inputs["s"][graph].argmax()) if "s" in together.inputs else None
        alone = trace(name, A, source)
        assert alone.lengths.tolist() == [length]
        for key, values in alone.hints.items():
            torch.testing.assert_close(together.hints[key][:length, graph], values[:, 0], rtol=0, atol=0)
        for key, values in alone.outputs.items():
            torch.testing.assert_close(together.outputs[key][graph], values[0], rtol=0, atol=0)


def test_records_of_a_call_are_bounded_on_dense_graphs_too(monkeypatch):
    sizes = []

    def watched(matrices):
        sizes.append((len(matrices), tracers.kruskal(matrices)))
        return sizes[-1][1]

    monkeypatch.setattr(tracers, "_CHUNK", 1 << 20)
    monkeypatch.setitem(tracers.TRACERS, "mst_kruskal", watched)
    sample("mst_kruskal", nodes=16, samples=30, seed=0, p=1.0)
    assert [count for count, _ in sizes] == [6] * 5
    assert max(traces.hints["in_mst_h"].nbytes for _, traces in sizes) <= 1 << 20


def test_hints_are_zero_beyond_a_graphs_length_and_go_with_their_graph():
    found = sample("mst_kruskal", nodes=8, samples=4, seed=0)
    short = int(found.lengths.argmin())
    assert found.lengths[short] < found.steps
    for values in found.hints.values():
        assert not values[found.lengths[short] :, short].any()
    alone = found.select([short])
    assert alone.steps == found.lengths[short]
    for name, values in alone.hints.items():
        assert torch.equal(values[:, 0], found.hints[name][: alone.steps, short])


def test_random_positions_are_sorted_and_leave_the_graphs_alone():
    plain, moved = (sample("bfs", nodes=9, samples=3, seed=4, positions=kind) for kind in ("index", "random"))
    assert torch.equal(plain.inputs["A"], moved.inputs["A"])
    assert not torch.equal(plain.inputs["pos"], moved.inputs["pos"])
    assert bool((moved.inputs["pos"].diff(dim=1) >= 0).all())


@pytest.mark.parametrize(
    ("name", "adjacency", "source", "message"),
    [
        ("quicksort", [[0]], None, "algorithm must be one of bfs, dfs"),
        ("dfs", [[0, 1]], None, r"adjacency must be square, of at least one node, got shape \(1, 2\)"),
        ("dfs", np.zeros((0, 0)), None, "at least one node"),
        ("dijkstra", [[0, np.nan], [np.nan, 0]], 0, "adjacency must be finite, got nan from node 0 to 1"),
        ("dijkstra", [[0, -1], [-1, 0]], 0, "weights above 0 for dijkstra, got -1 from node 0 to 1"),
        ("bfs", [[0, 1], [0, 0]], 0, "symmetric for bfs.* got 1 from node 0 to 1 and 0 back"),
        (
            "topological_sort",
            [[0, 1], [1, 0]],
            None,
            r"no cycle for topological_sort, got one among the nodes \[0, 1\]",
        ),
        ("dag_shortest_paths", [[1.0, 0], [0, 0]], 0, r"no cycle .* the nodes \[0\]"),
        ("bfs", [[0]], None, "source must be given for bfs"),
        ("bfs", [[0]], 1, "source must be between 0 and 0, got 1"),
        ("dfs", [[0]], 0, "source must not be given for dfs"),
    ],
)
def test_a_bad_graph_is_named(name, adjacency, source, message):
    with pytest.raises(ValueError, match=message):
        trace(name, adjacency, source)


@pytest.mark.parametrize("adjacency", [[[1j]], "ab", [[0], [0, 1]], None])
def test_what_is_no_matrix_is_refused(adjacency):
    with pytest.raises(TypeError, match="adjacency must be a matrix of"):
        trace("dfs", adjacency)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nodes": 3}, ValueError, "nodes must be at least 4, got 3"),
        ({"nodes": 4.5}, TypeError, "nodes must be an integer, got 4.5"),
        ({"samples": 0}, ValueError, "samples must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be between 0 and 2³² − 1, got -1"),
        ({"p": 1.5}, ValueError, "p must be finite, at least 0 and at most 1, got 1.5"),
        ({"p": []}, ValueError, "p must hold at least one chance"),
        ({"p": "0.5"}, TypeError, "p must be a number, got '0.5'"),
        ({"positions": "none"}, ValueError, "positions must be one of index, random"),
    ],
)
def test_bad_options_of_sampling_are_named(options, error, message):
    with pytest.raises(error, match=message):
        sample("strongly_connected_components", **({"nodes": 8, "samples": 2, "seed": 0} | options))
