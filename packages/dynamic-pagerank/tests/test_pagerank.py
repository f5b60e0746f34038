import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import dense, random_events

from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, personalized_pagerank, power_iteration

KINDS = [(directed, weighted) for directed in (False, True) for weighted in (False, True)]
kinds = pytest.mark.parametrize(("directed", "weighted"), KINDS)
# A dense inverse of a matrix whose condition number is at most 2/α is exact to this.
ROUNDING = 1e-12


def follow(events, *, directed, weighted, **options):
    batch = options.pop("batch", 1)
    graph = DynamicGraph(directed=directed, weighted=weighted)
    ranked = DynamicPageRank(graph, **options)
    ranked.update(events, batch=batch)
    return ranked


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    nodes=st.integers(2, 12),
    length=st.integers(1, 150),
    batch=st.sampled_from([1, 3, None]),
    alpha=st.sampled_from([0.05, 0.15, 0.5, 0.9]),
    end=st.sampled_from(["source", "target"]),
    spread=st.sampled_from([1.0, 6.0]),
)
def test_invariant_and_bound_hold_after_any_events(seed, kind, nodes, length, batch, alpha, end, spread):
    directed, weighted = kind
    events = random_events(seed, nodes=nodes, length=length, directed=directed, weighted=weighted, spread=spread)
    options = {end: 0, "alpha": alpha, "epsilon": 1e-3, "batch": batch}
    ranked = follow(events, directed=directed, weighted=weighted, **options)
    # 1/α repairs divide by α; the estimate itself is at most 1/α.
    assert ranked.invariant_violation() <= 1e-12 / alpha
    position = ranked.graph.nodes.position(0)
    exact = dense(ranked.graph, alpha)
    truth = exact[position] if end == "source" else exact[:, position]
    error = truth - ranked.scores().to_numpy()
    low, high = ranked.error_interval()
    assert (low - ROUNDING / alpha <= error).all() and (error <= high + ROUNDING / alpha).all()
    if end == "target":
        assert np.abs(error).max() <= 1e-3 + ROUNDING
    elif not directed:
        degrees = ranked.graph.arrays.total[: len(error)]
        assert (np.abs(error) <= 1e-3 * degrees * (1 + 1e-9) + ROUNDING).all()


@kinds
@pytest.mark.parametrize("end", ["source", "target"])
def test_errors_stay_bounded_through_a_long_mixed_stream(directed, weighted, end):
    epsilon, part = 1e-5, 1000
    events = random_events(7, nodes=60, length=8000, directed=directed, weighted=weighted)
    graph = DynamicGraph(directed=directed, weighted=weighted)
    ranked = DynamicPageRank(graph, **{end: 0}, epsilon=epsilon)
    for begin in range(0, len(events), part):
        ranked.update(events[begin : begin + part])
        assert ranked.invariant_violation() <= 1e-12
        truth = power_iteration(graph, **{end: 0}, tolerance=1e-12)
        error = np.abs(truth - ranked.scores().to_numpy())
        bound = np.array([ranked.error_bound(v) for v in ranked.scores()])
        assert (error <= bound + 2e-12).all()
        if end == "target" or not directed:
            degrees = graph.arrays.total[: len(error)] if end == "source" else 1.0
            assert (bound <= epsilon * degrees * (1 + 1e-9)).all()


@kinds
def test_deleting_every_edge_leaves_the_walk_at_its_source(directed, weighted):
    events = random_events(3, nodes=20, length=300, directed=directed, weighted=weighted, spread=5.0)
    ranked = follow(events, directed=directed, weighted=weighted, source=0, epsilon=1e-9)
    ends, _ = ranked.graph.edges()
    label = ranked.graph.nodes.label
    ranked.update([(label(u), label(v), -1) for u, v in ends.tolist()])
    assert ranked.graph.number_of_edges() == 0
    assert ranked[0] == pytest.approx(1.0, abs=1e-8)
    assert ranked.scores().to_numpy().sum() == pytest.approx(1.0, abs=1e-7)


def test_first_and_last_edge_of_a_node_replace_its_virtual_loop():
    ranked = DynamicPageRank(DynamicGraph(directed=True), source="a", epsilon=1e-12)
    assert ranked["a"] == pytest.approx(1.0)
    ranked.insert("a", "b")
    # From a the walk stops at once with α, else at b, where it stays.
    assert ranked["a"] == pytest.approx(0.15) and ranked["b"] == pytest.approx(0.85)
    ranked.delete("a", "b")
    assert ranked["a"] == pytest.approx(1.0) and ranked["b"] == pytest.approx(0.0, abs=1e-12)


def test_a_star_has_its_closed_form():
    leaves, alpha = 10, 0.2
    graph = DynamicGraph.from_edges([(0, i) for i in range(1, leaves + 1)])
    ranked = DynamicPageRank(graph, source=0, alpha=alpha, epsilon=1e-13)
    centre = 1 / (2 - alpha)
    assert ranked[0] == pytest.approx(centre, abs=1e-10)
    assert ranked[3] == pytest.approx((1 - centre) / leaves, abs=1e-10)


@pytest.mark.parametrize("directed", [False, True])
def test_static_scores_agree_with_networkx(directed):
    G = nx.gnp_random_graph(80, 0.1, seed=2, directed=directed)
    G.add_edges_from((v, (v + 1) % 80) for v in range(80))  # networkx treats dangling nodes otherwise
    ours = personalized_pagerank(G, 5, alpha=0.15, epsilon=1e-12)
    theirs = nx.pagerank(G, alpha=0.85, personalization={5: 1.0}, tol=1e-14, max_iter=1000)
    assert max(abs(ours[v] - theirs[v]) for v in G) < 1e-9


def test_weighted_scores_agree_with_networkx():
    rng = np.random.default_rng(0)
    G = nx.cycle_graph(30)
    G.add_edges_from(nx.gnp_random_graph(30, 0.2, seed=1).edges())
    for _, _, data in G.edges(data=True):
        data["w"] = float(rng.uniform(0.1, 5))
    ours = personalized_pagerank(G, 0, epsilon=1e-12, weight="w")
    theirs = nx.pagerank(G, alpha=0.85, personalization={0: 1.0}, weight="w", tol=1e-14, max_iter=1000)
    assert max(abs(ours[v] - theirs[v]) for v in G) < 1e-9


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("end", ["source", "target"])
def test_many_columns_equal_one_at_a_time(end, threads, monkeypatch):
    from reprise.dynamic_pagerank import follow as following

    monkeypatch.setattr(following, "_WORTH_THREADS", 0 if threads else 10**9)
    events = random_events(5, nodes=40, length=600)
    labels = [0, 3, 7, 11]
    many = follow(events, directed=False, weighted=False, **{f"{end}s": labels}, batch=10)
    for column, label in enumerate(labels):
        one = follow(events, directed=False, weighted=False, **{end: label}, batch=10)
        # Labels are numbered as they come, so that the nodes have other positions.
        assert all(many.scores(of=label)[v] == pytest.approx(one[v], abs=2e-5) for v in one.scores())
        assert many[events[0][0]][column] == many.scores(of=label)[events[0][0]]
        exact = dense(many.graph)[many.graph.nodes.position(label)]
        if end == "target":
            exact = dense(many.graph)[:, many.graph.nodes.position(label)]
        low, high = many.error_interval(of=label)
        error = exact - many.scores(of=label).to_numpy()
        assert (low - ROUNDING <= error).all() and (error <= high + ROUNDING).all()


def test_uniform_restart_follows_a_growing_graph():
    events = random_events(9, nodes=50, length=500)
    graph = DynamicGraph.from_edges([(0, 1)])
    ranked = DynamicPageRank(graph, restart="uniform", epsilon=1e-7)
    ranked.update([event for event in events if {*event[:2]} != {0, 1}], batch=5)
    truth = power_iteration(graph)
    assert graph.number_of_nodes() > 40
    assert np.abs(truth - ranked.scores().to_numpy()).max() <= 1e-7 * graph.arrays.total.max()
    assert ranked.invariant_violation() < 1e-12


def test_a_restart_distribution_is_the_mixture_of_its_sources():
    graph = DynamicGraph.from_edges(random_events(1, nodes=20, length=60, deletions=0))
    ranked = DynamicPageRank(graph, restart={0: 1, 5: 3}, epsilon=1e-10)
    ranked.update([(0, "new"), ("new", 5)])
    exact = dense(graph)
    first, second = graph.nodes.position(0), graph.nodes.position(5)
    np.testing.assert_allclose(ranked.scores().to_numpy(), exact[first] / 4 + 3 * exact[second] / 4, atol=1e-8)


def test_a_restart_vector_is_the_mapping_in_the_order_of_the_nodes():
    edges = random_events(1, nodes=20, length=60, deletions=0)
    found = []
    for vector in (False, True):
        graph = DynamicGraph.from_edges(edges)
        masses = np.zeros(graph.number_of_nodes(), dtype=">f4")
        masses[[2, 5]] = 1, 3
        restart = masses[::1] if vector else {graph.nodes.label(2): 1, graph.nodes.label(5): 3}
        found.append(DynamicPageRank(graph, restart=restart, epsilon=1e-10).scores().to_numpy())
    assert np.array_equal(*found)


def test_arrays_of_any_layout_are_taken():
    graph = DynamicGraph.from_edges([(0, 1), (1, 2), (2, 0), (2, 3)], nodes=4)
    sources = np.array([2, 0], dtype=">i2")[::-1]
    sources.flags.writeable = False
    ranked = DynamicPageRank(graph, sources=sources, epsilon=1e-10)
    np.testing.assert_allclose(ranked.scores(of=2).to_numpy(), dense(graph)[2], atol=1e-9)
    ranked.update(np.asfortranarray([[3, 0], [1, 3]], dtype=np.float16))
    np.testing.assert_allclose(ranked.scores(of=0).to_numpy(), dense(graph)[0], atol=1e-9)


def test_batches_push_less_and_keep_the_bound():
    events = random_events(2, nodes=100, length=4000)
    pushes = []
    for batch in (1, 100):
        ranked = follow(events, directed=False, weighted=False, source=0, epsilon=1e-6, batch=batch)
        error = np.abs(dense(ranked.graph)[0] - ranked.scores().to_numpy())
        assert (error <= 1e-6 * ranked.graph.arrays.total[: len(error)] + ROUNDING).all()
        pushes.append(ranked.stats.pushes)
    assert pushes[1] < pushes[0] / 2


def test_rebase_takes_over_changes_made_elsewhere():
    graph = DynamicGraph.from_edges([(0, 1), (1, 2), (2, 3)])
    ranked = DynamicPageRank(graph, source=0, epsilon=1e-9)
    graph.add_edge(3, 0)
    graph.add_edge(3, 9)
    with pytest.raises(RuntimeError, match=r"call rebase\(\) first"):
        ranked.insert(0, 2)
    with pytest.raises(RuntimeError, match="changed elsewhere"):
        ranked.scores()
    ranked.rebase()
    np.testing.assert_allclose(ranked.scores().to_numpy(), dense(graph)[0], atol=1e-8)


def test_adding_weights_equals_the_graph_of_their_sums():
    rng = np.random.default_rng(4)
    graph = DynamicGraph(weighted=True)
    ranked = DynamicPageRank(graph, source=0, epsilon=1e-10)
    sums = {}
    for _ in range(300):
        u, v = sorted(map(int, rng.integers(0, 10, 2)))
        weight = float(rng.integers(1, 5))
        if sums.get((u, v), 0) > weight:
            ranked.update([(u, v, -1, weight)], multi="weight")
            sums[u, v] -= weight
        else:
            ranked.update([(u, v, 1, weight)], multi="weight")
            sums[u, v] = sums.get((u, v), 0) + weight
    assert all(graph.edge_weight(*pair) == pytest.approx(total) for pair, total in sums.items())
    np.testing.assert_allclose(ranked.scores().to_numpy(), dense(graph)[0], atol=1e-8)
    assert ranked.invariant_violation() < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": 0, "alpha": 0.0}, "alpha must lie strictly between 0 and 1, got 0.0"),
        ({"source": 0, "alpha": 1}, "alpha must lie strictly between 0 and 1"),
        ({"source": 0, "epsilon": 0}, "epsilon must be positive and finite, got 0"),
        ({"source": 0, "epsilon": float("nan")}, "epsilon must be positive and finite"),
        ({"source": 0, "target": 1}, "exactly one of source, target, .* got source and target"),
        ({}, "exactly one of .* got none"),
        ({"sources": []}, "sources must name at least one node"),
        ({"sources": [1, 1]}, "sources must be distinct"),
        ({"source": 0, "dangling": "absorb"}, "dangling must be 'self'"),
        ({"restart": {0: -1.0}}, "restart must hold finite numbers"),
        ({"restart": "everywhere"}, "restart must be a mapping from node to probability, .* or 'uniform'"),
        ({"restart": [1.0]}, r"an array of one per node, or 'uniform' \(2 nodes\), got \[1.0\]"),
        ({"restart": {0: "x"}}, "restart must be a mapping"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        DynamicPageRank(DynamicGraph.from_edges([(0, 1)]), **options)


def test_unhashable_labels_and_wrong_kinds_are_type_errors():
    with pytest.raises(TypeError, match="must be hashable"):
        DynamicPageRank(DynamicGraph(), source=[1])
    with pytest.raises(TypeError, match="graph must be a DynamicGraph"):
        DynamicPageRank(nx.path_graph(3), source=0)
    with pytest.raises(TypeError, match="sources must be an iterable of node labels, got 'ab'"):
        DynamicPageRank(DynamicGraph(), sources="ab")
    with pytest.raises(TypeError, match="sources must be an iterable of node labels, got 3"):
        DynamicPageRank(DynamicGraph(), sources=3)
    with pytest.raises(TypeError, match="alpha must be a number"):
        DynamicPageRank(DynamicGraph(), source=0, alpha="0.1")
