"""10⁶ updates on 10⁷ edges: updates per second, bytes per half-edge, edges touched per second, and nodes by degree."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from reprise.core.ratios import seconds, summary, write
from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, barabasi_albert

NODES, EACH, UPDATES, EPSILON = 1_000_000, 10, 1_000_000, 1e-6
clock = time.process_time  # other programs disturb it least


def touches_per_second(graph, source):
    """Edges touched per second by static pushes."""
    work = DynamicPageRank(graph, source=source, epsilon=EPSILON).stats.work
    taken = [seconds(lambda: DynamicPageRank(graph, source=source, epsilon=EPSILON), clock=clock) for _ in range(5)]
    return work / float(np.median(taken))


if __name__ == "__main__":
    small = barabasi_albert(5_000, 5, seed=1)
    cached = touches_per_second(DynamicGraph.from_edges(small, nodes=5_000), 7)
    print(f"edges touched per second in cache: {cached:.3g}", flush=True)
    edges = barabasi_albert(NODES, EACH, seed=1)
    # Labels in random order: what a graph from outside has.
    edges = np.random.default_rng(0).permutation(NODES)[edges]
    degrees = np.bincount(edges.ravel(), minlength=NODES)
    place = np.empty(NODES, dtype=np.int64)
    place[np.argsort(-degrees, kind="stable")] = np.arange(NODES)
    times, rates, memory = {}, {}, {}
    for order, ends in (("as they come", edges), ("by degree", place[edges])):
        graph = DynamicGraph.from_edges(ends[:-UPDATES], nodes=NODES)
        graph.reserve(len(ends))
        ranked = DynamicPageRank(graph, source=int(ends[0, 0]), epsilon=EPSILON)
        last = ends[-UPDATES:]
        removal = np.column_stack([last[::-1], np.full(UPDATES, -1)])
        times[order] = []
        for _ in range(3):
            times[order] += [seconds(partial(ranked.update, events), clock=clock) for events in (last, removal)]
        rates[order] = touches_per_second(graph, int(ends[0, 0]))
        memory = graph.nbytes
        print(f"nodes {order}: {UPDATES / np.median(times[order]):,.0f} updates a second", flush=True)
    results = [
        {
            "work": f"{UPDATES:,} updates on {len(edges):,} edges, nodes {order}",
            "updates_per_second": UPDATES / float(np.median(taken)),
            "lowest": UPDATES / max(taken),
            "highest": UPDATES / min(taken),
            "touches_per_second": rates[order],
        }
        for order, taken in times.items()
    ]
    results.append(
        summary("updates, nodes by degree against as they come", list(zip(times["by degree"], times["as they come"])))
    )
    half_edges = 2 * len(edges)
    results.append({"work": "bytes per half-edge", **{name: size / half_edges for name, size in memory.items()}})
    results.append({"work": "edges touched per second in cache", "touches_per_second": cached})
    print(results[-2], flush=True)
    write(__file__, results, libraries=["numba"])
