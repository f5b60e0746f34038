"""The trees of modules that the authors' repository ships."""

from __future__ import annotations

from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.algorithmic_reasoning.structure import BranchingStructure

_EDGE_TRANSFORMER = """
1: bfs dfs topological_sort {scc} dag_shortest_paths bellman_ford articulation_points bridges
1: dijkstra mst_prim
1: floyd_warshall mst_kruskal
2: dfs topological_sort {scc} dag_shortest_paths articulation_points bridges
2: bfs bellman_ford
2: dijkstra
2: mst_prim
2: floyd_warshall
2: mst_kruskal
3: dfs topological_sort dag_shortest_paths
3: {scc}
3: articulation_points bridges
3: bfs
3: bellman_ford
3: dijkstra
3: mst_prim
3: floyd_warshall
3: mst_kruskal
4: dfs topological_sort
4: dag_shortest_paths
4: {scc}
4: articulation_points bridges
4: bfs
4: bellman_ford
4: dijkstra
4: mst_prim
4: floyd_warshall
4: mst_kruskal
"""
_GATV2 = """
1: bfs dfs bridges {scc} mst_kruskal dag_shortest_paths
1: floyd_warshall topological_sort articulation_points dijkstra
1: mst_prim bellman_ford
2: bfs
2: dfs bridges
2: {scc}
2: mst_kruskal dag_shortest_paths
2: floyd_warshall
2: topological_sort articulation_points
2: dijkstra
2: mst_prim
2: bellman_ford
"""


def edge_transformer_tree() -> BranchingStructure:
    """Of the Edge Transformer: five layers, the first shared by all twelve, of 1, 3, 6, 9 and 10 modules."""
    return _read(_EDGE_TRANSFORMER, 5)


def gatv2_tree() -> BranchingStructure:
    """Of GATv2: three layers of 1, 3 and 9 modules."""
    return _read(_GATV2, 3)


def _read(text: str, layers: int) -> BranchingStructure:
    return BranchingStructure.from_text(text.format(scc="strongly_connected_components"), ALGORITHMS, layers)
