import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import random_events

from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, Edge


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    directed=st.booleans(),
    weighted=st.booleans(),
    nodes=st.integers(1, 30),
    deletions=st.sampled_from([0.1, 0.45]),
)
def test_the_graph_equals_that_of_networkx_after_any_events(seed, directed, weighted, nodes, deletions):
    length = min(400, nodes * nodes // 4 + 1)
    events = random_events(seed, nodes=nodes, length=length, directed=directed, weighted=weighted, deletions=deletions)
    graph = DynamicGraph(directed=directed, weighted=weighted)
    theirs = nx.DiGraph() if directed else nx.Graph()
    for event in events:
        graph.update([event])
        if event[2] == 1:
            theirs.add_edge(event[0], event[1], weight=event[3] if weighted else 1.0)
        else:
            theirs.remove_edge(event[0], event[1])
    assert graph.number_of_edges() == theirs.number_of_edges()
    for v in theirs:
        assert sorted(graph.neighbors(v)) == sorted(theirs[v])
        total = sum(data["weight"] for data in theirs[v].values()) or 1.0
        assert graph.arrays.total[graph.nodes.position(v)] == pytest.approx(total, rel=1e-12)
    for u in theirs:
        for v in theirs:
            assert graph.has_edge(u, v) == theirs.has_edge(u, v)
    at_once = DynamicGraph(directed=directed, weighted=weighted)
    at_once.update(events)
    assert all(sorted(at_once.neighbors(v)) == sorted(graph.neighbors(v)) for v in theirs)


def test_a_long_stream_keeps_memory_at_what_the_largest_moment_needs():
    graph = DynamicGraph(nodes=1000)
    edges = np.random.default_rng(0).permutation(np.array([(u, v) for u in range(1000) for v in range(u)]))[:20_000]
    graph.update(edges)
    before = graph.nbytes
    for _ in range(5):
        graph.update(np.column_stack([edges, -np.ones(len(edges), dtype=int)]))
        graph.update(edges)
    assert graph.number_of_edges() == 20_000
    assert graph.nbytes["lists"] <= 2 * before["lists"] and graph.nbytes["hash"] == before["hash"]


def test_a_self_loop_counts_once():
    graph = DynamicGraph()
    graph.add_edge("a", "a")
    graph.add_edge("a", "b")
    assert graph.degree("a") == 2 and graph.degree("b") == 1
    graph.remove_edge("a", "a")
    assert graph.degree("a") == 1 and graph.neighbors("a") == ["b"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(3, 2), (1, 3), (8, 9, -1)], "event 2 deletes the edge from 8 to 9, which is not there"),
        ([(5, 6), (2, 1)], "event 1 inserts the edge from 2 to 1, which is there"),
        ([(5, 6), (5, 6)], "event 1 inserts the edge from 5 to 6, which is there"),
        ([(5, 6), (6, 5, -1), (5, 6, -1)], "event 2 deletes the edge from 5 to 6, which is not there"),
        ([(5, 6), (7, 8, 2)], "event 1 must be"),
        ([(5, 6), (7, 8, 1, -3.0)], "event 1 must be"),
        ([(5, 6), (7, 8, 1, float("inf"))], "weight of event 1 must be positive and finite"),
        ([(5, 6), (7,)], "event 1 must be"),
        ([(5, 6), (7, 8, 1, 2.0)], "event 1 has weight 2, but the graph has weighted=False"),
        (np.array([[5, 6, 0]]), "sign of event 0 must be 1 or -1"),
        (np.array([[5.5, 6.0]]), "whole numbers"),
        (np.array([5, 6]), r"shape \(k, 2\), \(k, 3\) or \(k, 4\), got \(2,\)"),
    ],
)
def test_an_impossible_event_leaves_everything_as_it_was(events, message):
    graph = DynamicGraph.from_edges([(2, 1)])
    ranked = DynamicPageRank(graph, source=1)
    before = (graph.number_of_nodes(), graph.number_of_edges(), dict(ranked.scores()), ranked.stats)
    with pytest.raises(ValueError, match=message):
        ranked.update(events)
    assert before == (graph.number_of_nodes(), graph.number_of_edges(), dict(ranked.scores()), ranked.stats)
    ranked.insert(1, 77)  # and it goes on
    assert ranked[77] > 0


def test_labels_of_any_hashable_kind_and_unknown_nodes():
    graph = DynamicGraph.from_edges([("a", (1, 2)), ((1, 2), 3.5)])
    assert graph.degree((1, 2)) == 2
    with pytest.raises(KeyError, match="the graph has no node 'z'"):
        graph.degree("z")
    with pytest.raises(TypeError, match="must be hashable"):
        graph.add_edge([1], 2)
    with pytest.raises(ValueError, match="NaN"):
        graph.add_edge(float("nan"), 2)
    with pytest.raises(ValueError, match="between 0 and"):
        DynamicGraph(nodes=3).add_edge(-1, 2)
    with pytest.raises(TypeError, match="must be integers"):
        DynamicGraph(nodes=3).add_edge("a", "b")


def test_arrays_and_events_mean_the_same():
    array = np.array([[0, 1, 1, 2.0], [1, 2, 1, 0.5], [0, 1, -1, np.nan]])
    first, second = DynamicGraph(weighted=True), DynamicGraph(weighted=True)
    first.update(array)
    second.update([Edge(0, 1, weight=2.0), Edge(1, 2, weight=0.5), Edge(0, 1, -1)])
    assert first.edges()[0].tolist() == second.edges()[0].tolist() == [[1, 2]]
    many = np.random.default_rng(0).permutation(np.array([(u, v) for u in range(30) for v in range(u)]))
    by_array, one_by_one = DynamicGraph.from_edges(many), DynamicGraph.from_edges(list(map(tuple, many.tolist())))
    assert by_array.nodes.labels == sorted(by_array.nodes.labels, key=by_array.nodes.labels.index)
    assert set(by_array.nodes.labels) == set(one_by_one.nodes.labels)
    assert all(sorted(by_array.neighbors(v)) == sorted(one_by_one.neighbors(v)) for v in range(30))


def test_numbering_by_degree_changes_no_score():
    edges = np.array([(0, i) for i in range(1, 20)] + [(i, i + 1) for i in range(1, 19)])
    plain, sorted_ = DynamicGraph.from_edges(edges), DynamicGraph.from_edges(edges, by_degree=True)
    assert sorted_.nodes.label(0) == 0
    first = DynamicPageRank(plain, source=4, epsilon=1e-10).scores()
    second = DynamicPageRank(sorted_, source=4, epsilon=1e-10).scores()
    assert all(first[v] == pytest.approx(second[v], abs=1e-7) for v in first)


def test_multigraphs_and_asymmetric_arrays_are_refused():
    from scipy import sparse

    from reprise.dynamic_pagerank import personalized_pagerank

    with pytest.raises(ValueError, match="multigraph"):
        DynamicGraph.from_networkx(nx.MultiGraph([(0, 1)]))
    with pytest.raises(ValueError, match="must be symmetric"):
        personalized_pagerank(sparse.csr_array(np.array([[0, 1], [0, 0]])), 0)
    ring = sparse.csr_array(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))
    assert personalized_pagerank(ring, 0, epsilon=1e-10)[1] == pytest.approx(0.298246, abs=1e-6)
    with pytest.raises(KeyError, match="no node 7"):
        personalized_pagerank(ring, 7)


def test_nodes_of_several_kinds_are_numbered_by_degree_and_stay_themselves():
    graph = DynamicGraph.from_edges([("a", 1), (1, "1"), (1, (0, 1))], by_degree=True)
    assert graph.nodes.labels[0] == 1 and set(graph.nodes.labels) == {1, "a", "1", (0, 1)}
    assert graph.degree(1) == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nodes": True}, TypeError, "nodes must be an integer or an iterable of labels, got True"),
        ({"nodes": 2.5}, TypeError, "nodes must be an integer or an iterable"),
        ({"nodes": "abc"}, TypeError, "nodes must be an integer or an iterable"),
        ({"nodes": 2**40}, ValueError, "nodes must lie between 0 and 2147483647, got 1099511627776"),
        ({"directed": "no"}, TypeError, "directed must be True or False, got 'no'"),
        ({"weighted": 1}, TypeError, "weighted must be True or False, got 1"),
    ],
)
def test_a_wrong_argument_of_a_graph_is_named(options, error, message):
    with pytest.raises(error, match=message):
        DynamicGraph(**options)


@pytest.mark.parametrize("weight", [1e308, 5e-324])
def test_weights_whose_sums_or_quotients_overflow_are_refused(weight):
    graph = DynamicGraph(weighted=True)
    with pytest.raises(ValueError, match=r"the weight of event 1 must lie between 1e-150 and 1e\+150"):
        graph.update([(0, 1), (0, 2, 1, weight)])
    assert graph.number_of_nodes() == 0


def test_labels_too_large_for_an_int64_are_told_as_they_came():
    with pytest.raises(ValueError, match="got 9223372036854775809"):
        DynamicGraph(nodes=3).update(np.array([[2**63 + 1, 1]], dtype=np.uint64))


def test_what_is_no_networkx_graph_is_named():
    with pytest.raises(TypeError, match="G must be a networkx graph, got NoneType"):
        DynamicGraph.from_networkx(None)
