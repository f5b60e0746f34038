"""Certified top-k, pairs, windows, files, storage, baselines, generators."""

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import dense, random_events

from reprise.dynamic_pagerank import (
    DynamicGraph,
    DynamicPageRank,
    Edge,
    MonteCarloPageRank,
    SlidingWindow,
    TrackingPageRank,
    Trajectory,
    barabasi_albert,
    erdos_renyi,
    load,
    pair,
    power_iteration,
    read_events,
    rmat,
    top_k,
)
from reprise.dynamic_pagerank.snap import chunked


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), directed=st.booleans(), epsilon=st.sampled_from([1e-2, 1e-3, 1e-5]))
def test_what_top_k_calls_certain_is_true(seed, directed, epsilon):
    graph = DynamicGraph.from_edges(random_events(seed, nodes=25, length=80, directed=directed), directed=directed)
    source = graph.nodes.label(0)
    exact = dense(graph)[0]
    ranked = DynamicPageRank(graph, source=source, epsilon=epsilon)
    found = ranked.top_k(5)
    places = [graph.nodes.position(label) for label in found.labels]
    assert ((found.low - 1e-12 <= exact[places]) & (exact[places] <= found.high + 1e-12)).all()
    outside = np.delete(exact, places)
    if found.set_certain:
        assert exact[places].min() > outside.max()
    for i, sure in enumerate(found.place_certain):
        if sure:
            assert exact[places[i]] > max([*exact[places[i + 1 :]], outside.max()])
    u, v = found.labels[:2]
    assert ranked.compare(u, v) in (0, np.sign(exact[places[0]] - exact[places[1]]))


def test_top_k_refines_until_the_order_is_certain():
    graph = DynamicGraph.from_edges(barabasi_albert(500, 3, seed=1), nodes=500)
    found = top_k(graph, 7, 10)
    exact = power_iteration(graph, source=7)
    assert found.certain and found.set_certain
    assert found.labels == np.argsort(-exact)[:10].tolist()


def test_equal_scores_are_never_called_certain():
    found = top_k([(0, 1), (0, 2)], 0, 3)
    assert found.place_certain.tolist() == [True, False, True]


@pytest.mark.parametrize("directed", [False, True])
def test_a_pair_is_within_its_bound_and_walks_remove_the_bias(directed):
    graph = DynamicGraph.from_edges(erdos_renyi(300, 1500, directed=directed, seed=2), directed=directed, nodes=300)
    exact = dense(graph)[3, 8]
    found = pair(graph, 3, 8, epsilon=1e-3, reverse_epsilon=1e-3)
    assert 0 <= exact - found.value <= found.error_bound
    walked = pair(graph, 3, 8, epsilon=1e-3, reverse_epsilon=1e-3, walks=50_000)
    # Five standard errors: fails by chance once in 10⁶ seeds.
    assert abs(walked.value - exact) < 5 * walked.standard_error < found.error_bound
    with pytest.raises(KeyError, match="no node 999"):
        pair(graph, 3, 999)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), directed=st.booleans(), span=st.sampled_from([1.0, 5.0, 50.0]), parts=st.integers(1, 5)
)
def test_a_window_holds_exactly_the_recent_edges(seed, directed, span, parts):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 60, 80)).astype(float)
    events = [Edge(*map(int, rng.integers(0, 6, 2)), time=time) for time in times]
    window, graph = SlidingWindow(span, directed=directed), DynamicGraph(directed=directed)
    for part in np.array_split(np.arange(80), parts):
        graph.update(window.advance(events[part[0] : part[-1] + 1]))
        now = times[part[-1]]
        recent = {(e.u, e.v) for e in events[: part[-1] + 1] if e.time + span > now}
        if not directed:
            recent = {tuple(sorted(edge)) for edge in recent}
        ends, _ = graph.edges()
        label = graph.nodes.label
        found = {(label(u), label(v)) for u, v in ends.tolist()}
        assert ({tuple(sorted(edge)) for edge in found} if not directed else found) == recent


def test_a_weighted_window_takes_back_what_it_added():
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, 100, 400))
    events = [Edge(*map(int, rng.integers(0, 8, 2)), weight=float(rng.uniform(0.1, 3)), time=time) for time in times]
    window, graph = SlidingWindow(10.0, weights=True), DynamicGraph(weighted=True)
    ranked = DynamicPageRank(graph, source=0, epsilon=1e-9)
    for begin in range(0, 400, 50):
        ranked.update(window.advance(events[begin : begin + 50]), multi="weight")
    sums = {}
    for e in events:
        if e.time + 10.0 > times[-1]:
            sums[tuple(sorted((e.u, e.v)))] = sums.get(tuple(sorted((e.u, e.v))), 0) + e.weight
    assert graph.number_of_edges() == len(sums)
    assert all(graph.edge_weight(*edge) == pytest.approx(total) for edge, total in sums.items())
    np.testing.assert_allclose(ranked.scores().to_numpy(), dense(graph)[graph.nodes.position(0)], atol=1e-7)


def test_a_window_refuses_what_it_cannot_order():
    window = SlidingWindow(5.0)
    window.advance([Edge(0, 1, time=10.0)])
    with pytest.raises(ValueError, match=r"time of event 0 must be a number not before .* \(10\), got 3"):
        window.advance([Edge(0, 1, time=3.0)])
    with pytest.raises(ValueError, match="event 0 is a deletion"):
        window.advance([Edge(0, 1, -1, time=30.0)])


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("# c\n1 2 5\n\n3\t4 6\n", None, ([1, 3], [2, 4], [5.0, 6.0])),
        ("1,2,4,7.5\n2,1,-3,8\n", ("u", "v", "_", "time"), ([1, 2], [2, 1], [7.5, 8.0])),
        ("a b\nb c\n", None, (["a", "b"], ["b", "c"], None)),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_read_in_the_formats_of_snap(text, columns, expected, packed, tmp_path):
    path = tmp_path / "edges.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    events = read_events(path, columns=columns)
    assert list(events.tails) == expected[0] and list(events.heads) == expected[1]
    if expected[2]:
        assert events.times.tolist() == expected[2]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("1 2\n# c\n3\n", None, r"line 3: expected 2 columns \(u v\), got '3'"),
        ("1 2 3\n3 4 x\n", None, "line 2: expected a number as time, got 'x'"),
        ("1,2,-4,5\n", None, "line 1: expected a positive weight, got '-4'"),
        ("1 2 0\n", ("u", "v", "sign"), "line 1: expected a sign, 1 or -1, got '0'"),
        ("1\n", None, "line 1: expected 2 to 4 columns"),
        ("1 2\n", ("u", "w"), "columns must hold 'u' and 'v'"),
    ],
)
def test_a_malformed_line_is_named(text, columns, message, tmp_path):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_events(tmp_path / "bad.txt", columns=columns)


@pytest.mark.parametrize("options", [{"source": "a"}, {"targets": ["a", "b"]}, {"restart": "uniform"}])
def test_a_stream_goes_on_after_loading_as_if_nothing_had_been(options, tmp_path):
    events = [(f"{'abcdefgh'[u]}", f"{'abcdefgh'[v]}", s) for u, v, s in random_events(6, nodes=8, length=200)]
    ranked = DynamicPageRank(DynamicGraph.from_edges([("a", "z"), ("b", "z")]), **options)
    ranked.update(events[:100])
    ranked.save(tmp_path / "state.npz")
    resumed = load(tmp_path / "state.npz")
    for each in (ranked, resumed):
        each.update(events[100:])
    of = "a" if "targets" in options else None
    assert dict(ranked.scores(of)) == dict(resumed.scores(of)) and ranked.stats == resumed.stats


def test_what_is_no_saved_state_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ValueError, match="holds no saved DynamicPageRank"):
            load(tmp_path / name)
    ranked = DynamicPageRank(DynamicGraph.from_edges([((1, 2), 3)]), source=3)
    with pytest.raises(TypeError, match="all integers or all strings"):
        ranked.save(tmp_path / "x.npz")


@pytest.mark.parametrize("directed", [False, True])
def test_the_baselines_follow_the_same_stream(directed):
    events = random_events(8, nodes=40, length=600, directed=directed)
    tracked, walked = DynamicGraph(directed=directed), DynamicGraph(directed=directed)
    tracker = TrackingPageRank(tracked, source=0, epsilon=1e-10)
    monte_carlo = MonteCarloPageRank(walked, source=0, walks=20_000, seed=3)
    tracker.update(events)
    monte_carlo.update(events)
    exact = dense(tracked)[0]
    # Each residual is below ε, and the scores from all 40 nodes to one sum up to at most 40.
    assert np.abs(tracker.scores().to_numpy() - exact).max() < 40e-10
    # A count of visits scatters like √(π/(α R)) · α at most; five times that.
    found = np.array([monte_carlo.scores()[v] for v in tracker.scores()])
    assert (np.abs(found - exact) < 5 * np.sqrt(exact / 20_000) + 1e-3).all()


@pytest.mark.parametrize("directed", [False, True])
def test_walks_are_maintained_without_bias(directed):
    events = random_events(4, nodes=12, length=150, directed=directed)
    mean, runs = 0.0, 40
    for seed in range(runs):
        graph = DynamicGraph(directed=directed)
        estimate = MonteCarloPageRank(graph, source=0, walks=500, seed=seed)
        estimate.update(events)
        mean = mean + estimate.scores().to_numpy() / runs
    # 20,000 walks in all: the scatter of the mean is below √(π/20,000), of which four are allowed.
    exact = dense(graph)[0]
    assert (np.abs(mean - exact) < 4 * np.sqrt(exact / 20_000) + 1e-4).all()


def test_generators_give_distinct_edges_of_the_right_kind():
    for edges in (
        barabasi_albert(300, 4, seed=1),
        erdos_renyi(300, 2000, seed=1),
        rmat(10, 3000, directed=False, seed=1),
    ):
        assert len(np.unique(np.sort(edges, axis=1), axis=0)) == len(edges)
        assert (edges[:, 0] != edges[:, 1]).all()
    degrees = np.bincount(barabasi_albert(20_000, 4, seed=2).ravel())
    # Degrees fall like d^-3: a share of 2m(m+1)/((d)(d+1)(d+2)) has degree d, at d = m this is 2/(m+2).
    assert np.mean(degrees == 4) == pytest.approx(2 / 6, abs=0.02)
    np.testing.assert_array_equal(rmat(8, 500, seed=5), rmat(8, 500, seed=5))
    heads = np.bincount(rmat(12, 20_000, seed=0)[:, 0], minlength=4096)
    # By the first bit three quarters of the tails lie in the lower half (0.57 + 0.19), less what repeats.
    assert 0.6 < heads[:2048].sum() / 20_000 < 0.8
    with pytest.raises(ValueError, match="edges must be at most half"):
        erdos_renyi(4, 6)


def test_a_trajectory_is_drawn_and_animated(tmp_path):
    from PIL import Image

    ranked, seen = DynamicPageRank(DynamicGraph(), source=0), Trajectory(top=3)
    for step, edge in enumerate(barabasi_albert(30, 2, seed=0).tolist()):
        ranked.update([tuple(edge)])
        if step % 10 == 0:
            seen.record(step, ranked.scores())
    seen.animate(tmp_path / "a.gif", seconds=1)
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == len(seen.events)
    with pytest.raises(ValueError, match="at least two snapshots"):
        Trajectory().animate(tmp_path / "b.gif")


def test_reading_is_streamed():
    chunks = list(chunked(io.StringIO("1 2\n2 3\n3 4\n"), 2))
    assert [len(chunk) for chunk in chunks] == [2, 1]
