"""Where walks restart: at one node, or with a distribution over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank import push
from reprise.dynamic_pagerank.graph import DynamicGraph

_EXPECTED = "restart must be a mapping from node to probability, an array of one per node, or 'uniform'"


def columns_at(graph: DynamicGraph, labels: list[Any], name: str) -> push.Columns:
    """Return one column for each node, with residual 1 there; unknown nodes are added.

    Raises
    ------
    ValueError
        If there is none, or one comes twice; `name` is the argument that it blames.
    """
    if not labels:
        raise ValueError(f"{name} must name at least one node, got none")
    places = np.array([graph.add_node(label) for label in labels], dtype=np.int64)
    if len(set(places.tolist())) < len(places):
        raise ValueError(f"{name} must be distinct, got a node twice")
    columns = push.empty_columns(places, len(graph.arrays.total), np.empty(0))
    columns.residual[np.arange(len(places)), places] = 1.0
    return columns


def restarting_column(graph: DynamicGraph, restart: Mapping[Any, float] | NDArray[np.float64] | str) -> push.Columns:
    """Return the column of a restart distribution, which is its residual.

    "uniform" has the mass 1 at every node, so that a new node does not change what the others have.

    Raises
    ------
    ValueError
        If `restart` is no distribution.
    """
    place = np.array([-1], dtype=np.int64)
    size = len(graph.arrays.total)
    if isinstance(restart, str):
        if restart != "uniform":
            raise ValueError(f"{_EXPECTED}, got {restart!r}")
        if not len(graph.nodes):
            raise ValueError("restart='uniform' needs a graph with at least one node")
        columns = push.empty_columns(place, size, np.empty(0))
        columns.residual[0, : len(graph.nodes)] = 1.0
        return columns
    masses = _masses(graph, restart)
    total = sum(masses.values())
    if not (all(mass >= 0 for mass in masses.values()) and np.isfinite(total) and total > 0):
        raise ValueError(f"restart must hold finite numbers ≥ 0 with a positive sum, got {restart!r}")
    nodes = np.array([graph.add_node(label) for label in masses], dtype=np.int64)
    vector = np.zeros(len(graph.arrays.total))
    vector[nodes] = np.array(list(masses.values())) / total
    columns = push.empty_columns(place, len(vector), vector)
    columns.residual[0] = vector
    return columns


def _masses(graph: DynamicGraph, restart: Any) -> dict[Any, float]:
    if not isinstance(restart, Mapping):
        size = len(graph.nodes)
        if not isinstance(restart, (np.ndarray, list, tuple)) or np.shape(restart) != (size,):
            got = f"shape {np.shape(restart)}" if isinstance(restart, np.ndarray) else repr(restart)
            raise ValueError(f"{_EXPECTED} ({size} nodes), got {got}")
        restart = {graph.nodes.label(node): mass for node, mass in enumerate(restart) if mass}
    try:
        return {label: float(mass) for label, mass in restart.items()}
    except (TypeError, ValueError):
        raise ValueError(f"{_EXPECTED}, got {restart!r}") from None


def restart_vector(columns: push.Columns, column: int, nodes: int) -> NDArray[np.float64]:
    """Return the restart distribution b of a column, shape (nodes,), with the mass that it is kept with."""
    origin = columns.origins[column]
    if origin >= 0:
        vector = np.zeros(nodes)
        vector[origin] = 1.0
        return vector
    return columns.restart[:nodes] if len(columns.restart) else np.ones(nodes)
