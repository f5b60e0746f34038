"""What an algorithm reads, thinks and answers: the probes of CLRS-30 (Veličković et al. 2022) of twelve algorithms.

A probe has a stage (input, hint, output), a location (on nodes, edges or the graph) and a type, which says how a
network encodes and predicts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["input", "hint", "output"]
Location = Literal["node", "edge", "graph"]
Type = Literal["scalar", "mask", "mask_one", "categorical", "pointer"]


@dataclass(frozen=True)
class Probe:
    """One quantity of an algorithm's trajectory.

    Attributes
    ----------
    stage : {"input", "hint", "output"}
    location : {"node", "edge", "graph"}
        Of N, N × N or one entry.
    type : {"scalar", "mask", "mask_one", "categorical", "pointer"}
        A number; 0 or 1 (−1: left out); one-hot over the nodes; one-hot over `categories`, on a last axis; the index of
        a node.
    categories : int
        Of a categorical, else 0.
    """

    stage: Stage
    location: Location
    type: Type
    categories: int = 0


def _probes(stage: Stage, text: str) -> dict[str, Probe]:
    """Probes from lines "names: location type", with the number of categories behind a categorical."""
    found: dict[str, Probe] = {}
    for line in text.strip().splitlines():
        names, kind = line.split(":")
        location, type_, *categories = kind.split()
        for name in names.split():
            found[name] = Probe(stage, location, type_, *map(int, categories))  # type: ignore[arg-type]
    return found


_GRAPH = "pos: node scalar\nA: edge scalar\nadj: edge mask"
_SOURCE = "s: node mask_one"
_STACK = "color: node categorical 3\ns_prev: node pointer"
_PLACE = "u v s_last: node mask_one"
_TIMES = "d f: node scalar\ntime: graph scalar"

_HINTS = {
    "bfs": "reach_h: node mask\npi_h: node pointer",
    "dfs": f"pi_h: node pointer\n{_STACK}\n{_TIMES}\n{_SOURCE}\n{_PLACE}",
    "topological_sort": f"topo_h: node pointer\ntopo_head_h: node mask_one\n{_STACK}\n{_SOURCE}\n{_PLACE}",
    "articulation_points": f"is_cut_h: node mask\npi_h: node pointer\nlow child_cnt: node scalar\n"
    f"{_STACK}\n{_TIMES}\n{_SOURCE}\n{_PLACE}",
    "bridges": f"is_bridge_h: edge mask\npi_h: node pointer\nlow: node scalar\n{_STACK}\n{_TIMES}\n{_SOURCE}\n{_PLACE}",
    "strongly_connected_components": f"scc_id_h: node pointer\nA_t: edge mask\nphase: graph mask\n"
    f"{_STACK}\n{_TIMES}\n{_SOURCE}\n{_PLACE}",
    "mst_kruskal": "in_mst_h: edge mask\npi: node pointer\nu v root_u root_v: node mask_one\nmask_u mask_v: node mask\n"
    "phase: graph categorical 3",
    "mst_prim": "pi_h: node pointer\nkey: node scalar\nmark in_queue: node mask\nu: node mask_one",
    "dijkstra": "pi_h: node pointer\nd: node scalar\nmark in_queue: node mask\nu: node mask_one",
    "bellman_ford": "pi_h: node pointer\nd: node scalar\nmsk: node mask",
    "dag_shortest_paths": f"pi_h topo_h: node pointer\nd: node scalar\nmark: node mask\ntopo_head_h: node mask_one\n"
    f"{_STACK}\n{_PLACE}\nphase: graph mask",
    "floyd_warshall": "Pi_h: edge pointer\nD: edge scalar\nmsk: edge mask\nk: node mask_one",
}
_OUTPUTS = {
    "topological_sort": "topo: node pointer\ntopo_head: node mask_one",
    "articulation_points": "is_cut: node mask",
    "bridges": "is_bridge: edge mask",
    "strongly_connected_components": "scc_id: node pointer",
    "mst_kruskal": "in_mst: edge mask",
    "floyd_warshall": "Pi: edge pointer",
}

ALGORITHMS = tuple(_HINTS)
SOURCED = ("bfs", "mst_prim", "dijkstra", "bellman_ford", "dag_shortest_paths")  # those that start from a given node


def require_algorithm(name: str) -> str:
    """`name`, if it is one of the twelve.

    Raises
    ------
    ValueError
        If it is not.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}")
    return name


def spec(name: str) -> dict[str, Probe]:
    """Probes of an algorithm by name: inputs, hints, outputs.

    Parameters
    ----------
    name : str
        One of `ALGORITHMS`.

    Returns
    -------
    dict of str to Probe

    Raises
    ------
    ValueError
        If there is no such algorithm.

    Examples
    --------
    >>> spec("bfs")["pi"]
    Probe(stage='output', location='node', type='pointer', categories=0)
    """
    require_algorithm(name)
    inputs = _GRAPH + (f"\n{_SOURCE}" if name in SOURCED else "")
    outputs = _OUTPUTS.get(name, "pi: node pointer")
    return _probes("input", inputs) | _probes("hint", _HINTS[name]) | _probes("output", outputs)
