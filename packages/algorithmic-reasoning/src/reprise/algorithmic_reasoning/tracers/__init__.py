"""The twelve algorithms, each with every step of its way: a matrix (and a source) in, a `Trace` out."""

from collections.abc import Callable

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

__all__ = ["TRACERS", "Trace"]
