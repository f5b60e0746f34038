"""64 sources at once: two threads against one, and two Dask workers that share a mapped graph against one process."""

from __future__ import annotations

import tempfile

import numba
import numpy as np

from reprise.core.ratios import compare, write
from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, barabasi_albert
from reprise.dynamic_pagerank.sharding import save_graph, scores_of_many

NODES, SOURCES, BATCH = 100_000, 64, 1000


def main() -> None:
    """Measure, print and write."""
    edges = barabasi_albert(NODES, 8, seed=1)
    graph = DynamicGraph.from_edges(edges, nodes=NODES)
    sources = np.random.default_rng(0).choice(NODES, SOURCES, replace=False).tolist()
    streamed = DynamicGraph.from_edges(edges[:-BATCH], nodes=NODES)
    ranked = DynamicPageRank(streamed, sources=sources)
    removal = np.column_stack([edges[-BATCH:], np.full(BATCH, -1)])

    def with_threads(threads, work):
        def run():
            numba.set_num_threads(threads)
            work()

        return run

    def stream():
        ranked.update(edges[-BATCH:], batch=BATCH)
        ranked.update(removal, batch=BATCH)

    def static():
        DynamicPageRank(graph, sources=sources)

    results = [
        compare(f"{SOURCES} sources: {name}", with_threads(2, work), with_threads(1, work))
        for name, work in (
            ("batches of 1000, two threads against one", stream),
            ("static, two threads against one", static),
        )
    ]
    from distributed import Client, LocalCluster

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        save_graph(graph, folder)
        results.append(
            compare(
                f"{SOURCES} sources: two Dask workers with a mapped graph against one process with one thread",
                lambda: scores_of_many(client, folder, sources),
                with_threads(1, lambda: [DynamicPageRank(graph, source=source) for source in sources]),
            )
        )
    write(__file__, results, libraries=["numba", "distributed"])


if __name__ == "__main__":
    main()
