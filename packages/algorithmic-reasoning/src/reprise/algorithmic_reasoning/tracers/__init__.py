"""The twelve algorithms, each with every step of its way: a matrix (and a source) in, a `Trace` out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reprise.algorithmic_reasoning.tracers.bellman_ford import bellman_ford
from reprise.algorithmic_reasoning.tracers.breadth_first import breadth_first_search
from reprise.algorithmic_reasoning.tracers.depth_first import (
    ARTICULATION,
    BRIDGES,
    COMPONENTS,
    DFS,
    SHORTEST,
    TOPOLOGICAL,
    articulation_points,
    bridges,
    dag_shortest_paths,
    depth_first_search,
    depth_first_traces,
    strongly_connected_components,
    topological_sort,
)
from reprise.algorithmic_reasoning.tracers.floyd_warshall import floyd_warshall
from reprise.algorithmic_reasoning.tracers.kruskal import kruskal
from reprise.algorithmic_reasoning.tracers.priority_first import dijkstra, prim
from reprise.algorithmic_reasoning.tracers.trace import Trace

TRACERS: dict[str, Callable[..., Trace]] = {
    "bfs": breadth_first_search,
    "dfs": depth_first_search,
    "topological_sort": topological_sort,
    "articulation_points": articulation_points,
    "bridges": bridges,
    "strongly_connected_components": strongly_connected_components,
    "mst_kruskal": kruskal,
    "mst_prim": prim,
    "dijkstra": dijkstra,
    "bellman_ford": bellman_ford,
    "dag_shortest_paths": dag_shortest_paths,
    "floyd_warshall": floyd_warshall,
}

_DEPTH_FIRST = {
    "dfs": DFS,
    "topological_sort": TOPOLOGICAL,
    "articulation_points": ARTICULATION,
    "bridges": BRIDGES,
    "strongly_connected_components": COMPONENTS,
    "dag_shortest_paths": SHORTEST,
}


def trace_all(name: str, matrices: Sequence[np.ndarray[Any, Any]], sources: Sequence[int | None]) -> list[Trace]:
    """Traces of an algorithm on graphs of one size, in one compiled call where it is depth-first.

    Parameters
    ----------
    name : str
    matrices : sequence of ndarray of float64, shape (N, N)
    sources : sequence of int or None
        None where the algorithm starts from no given node.
    """
    given = [source for source in sources if source is not None]
    if name in _DEPTH_FIRST:
        return depth_first_traces(_DEPTH_FIRST[name], np.stack(matrices), given or None)
    tracer = TRACERS[name]
    if given:
        return [tracer(A, source) for A, source in zip(matrices, given)]
    return [tracer(A) for A in matrices]


__all__ = ["TRACERS", "Trace", "trace_all"]
