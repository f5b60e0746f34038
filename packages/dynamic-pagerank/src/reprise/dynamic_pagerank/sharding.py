"""Beyond one process: many sources over the workers of a Dask cluster, which share one memory-mapped graph."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.adjacency import Adjacency
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank
from reprise.dynamic_pagerank.validation import positive_integer


def save_graph(graph: DynamicGraph, folder: str | Path) -> None:
    """Write a graph as one .npy file per array, which `open_graph` maps into memory.

    Parameters
    ----------
    graph : DynamicGraph
        With the nodes 0…n−1 as labels (``nodes=n``).
    folder : str or Path
        Made if it is not there.

    Raises
    ------
    ValueError
        If the graph has other labels: each process would hold a copy of them.
    """
    if graph.nodes.labels is not None:
        raise ValueError("graph must have the nodes 0…n−1 as labels: make it with nodes=n")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in Adjacency._fields:
        np.save(folder / f"{name}.npy", getattr(graph.arrays, name))
    facts = {"directed": graph.directed, "weighted": graph.weighted, "nodes": len(graph.nodes)}
    (folder / "graph.json").write_text(json.dumps(facts), encoding="utf-8")


def open_graph(folder: str | Path) -> DynamicGraph:
    """Return the graph of a folder, mapped into memory: processes that only read it share its pages.

    What is changed is copied page by page, and never written to the folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no graph.
    """
    folder = Path(folder)
    facts = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    graph = DynamicGraph(**facts)
    # Copy on write; empty arrays cannot be mapped.
    mapped = {name: graph.weighted or name != "weights" for name in Adjacency._fields}
    loaded = [np.load(folder / f"{name}.npy", mmap_mode="c" if here else None) for name, here in mapped.items()]
    graph.arrays = Adjacency(*map(np.asarray, loaded))
    return graph


def scores_of_many(
    client: Any,
    folder: str | Path,
    sources: Sequence[Hashable],
    *,
    alpha: float = 0.15,
    epsilon: float = 1e-6,
    shards: int | None = None,
) -> NDArray[np.float64]:
    """Return the scores from many sources, computed by the workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Its workers see `folder`.
    folder : str or Path
        Written by `save_graph`.
    sources : sequence of hashable
    alpha, epsilon : float
        As for `DynamicPageRank`.
    shards : int, optional
        Into how many parts the sources are divided; one per thread of the cluster unless given.

    Returns
    -------
    ndarray, shape (sources, nodes)

    Notes
    -----
    A push from a source is local, so that sources need not know of each other. A graph that is larger than the memory
    of one machine is not attempted.
    """
    parts = positive_integer("shards", sum(client.nthreads().values()) if shards is None else shards)
    divided = [list(part) for part in np.array_split(np.asarray(sources), min(parts, len(sources)))]
    futures = [client.submit(_shard, str(folder), part, alpha, epsilon, pure=False) for part in divided]
    return np.concatenate(client.gather(futures))


def _shard(folder: str, sources: list[Any], alpha: float, epsilon: float) -> NDArray[np.float64]:
    graph = open_graph(folder)
    found = [DynamicPageRank(graph, source=int(source), alpha=alpha, epsilon=epsilon) for source in sources]
    return np.stack([one.scores().to_numpy() for one in found])
