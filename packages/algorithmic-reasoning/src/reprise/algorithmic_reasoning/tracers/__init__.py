"""The twelve algorithms, each with every step of its way: matrices (and sources) in, `Traces` out."""

from collections.abc import Callable, Sequence

import numpy as np

from reprise.algorithmic_reasoning.tracers.bellman_ford import bellman_ford
from reprise.algorithmic_reasoning.tracers.breadth_first import breadth_first_search
from reprise.algorithmic_reasoning.tracers.depth_first import (
    articulation_points,
    bridges,
    dag_shortest_paths,
    depth_first_search,
    strongly_connected_components,
    topological_sort,
)
from reprise.algorithmic_reasoning.tracers.floyd_warshall import floyd_warshall
from reprise.algorithmic_reasoning.tracers.kruskal import kruskal
from reprise.algorithmic_reasoning.tracers.priority_first import dijkstra, prim
from reprise.algorithmic_reasoning.tracers.traces import Array, Traces

TRACERS: dict[str, Callable[..., Traces]] = {
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

_CHUNK = 1 << 25  # bytes of a call's records, about


def trace_all(name: str, matrices: Sequence[Array], sources: Sequence[int | None]) -> list[Traces]:
    """Traces of an algorithm on graphs of one size, many in one compiled call.

    Parameters
    ----------
    name : str
    matrices : sequence of ndarray of float64, shape (N, N)
    sources : sequence of int or None
        None where the algorithm starts from no given node.

    Returns
    -------
    list of Traces
        Of so many graphs each, in their order, that records are of moderate size.
    """
    tracer, given = TRACERS[name], None not in sources
    size = max(1, _CHUNK // (_steps(name, matrices) * len(matrices[0]) ** 2))
    found = []
    for start in range(0, len(matrices), size):
        part = np.stack(matrices[start : start + size])
        found.append(tracer(part, np.array(sources[start : start + size])) if given else tracer(part))
    return found


def _steps(name: str, matrices: Sequence[Array]) -> int:
    """Steps of a graph, about: Kruskal's algorithm takes some for every edge, others for every node."""
    if name == "mst_kruskal":
        return 1 + 5 * max(int(np.count_nonzero(A)) for A in matrices) // 2
    return 8 * len(matrices[0])


__all__ = ["TRACERS", "Traces", "trace_all"]
