"""Changes to a graph that lower its spectral norm: hubs left out, or more weight on self-loops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from reprise.gnn_bounds.graphs import Graph, as_graph
from reprise.gnn_bounds.validation import number


def drop_hubs(graph: Any, share: float = 0.01) -> Graph:
    """The graph without the edges of its best connected nodes; the nodes stay, with their features.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
    share : float
        Share of nodes, in [0, 1]; rounded up, so that any share above 0 takes at least one node.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError, TypeError
        If `share` is outside [0, 1].
    """
    found = as_graph(graph)
    count = int(np.ceil(number("share", share, least=0.0, most=1.0) * found.nodes))
    kept = np.ones(found.nodes)
    kept[np.argsort(-found.degrees, kind="stable")[:count]] = 0.0
    mask = sparse.diags_array(kept)
    return replace(found, adjacency=sparse.csr_array(mask @ found.adjacency @ mask))


def add_self_loops(graph: Any, weight: float = 1.0) -> Graph:
    """The graph with a self-loop of this weight at every node: under "gcn" or "mean" neighbours then count less.

    Raises
    ------
    ValueError, TypeError
        If `weight` is negative or not finite.
    """
    found = as_graph(graph)
    loops = number("weight", weight, least=0.0, most=1e12) * sparse.eye_array(found.nodes, format="csr")
    return replace(found, adjacency=sparse.csr_array(found.adjacency + loops))
