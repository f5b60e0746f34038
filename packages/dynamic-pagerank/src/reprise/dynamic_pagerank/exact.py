"""Personalized PageRank to machine precision by power iteration, O(edges) a step: what recomputing costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.scans import transition
from reprise.dynamic_pagerank.validation import positive_number, probability


def power_iteration(
    graph: DynamicGraph,
    *,
    source: Any = None,
    target: Any = None,
    alpha: float = 0.15,
    tolerance: float = 1e-12,
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return π from a source or to a target.

    Parameters
    ----------
    graph : DynamicGraph
    source, target : hashable
        One of them; neither is PageRank with uniform restart.
    alpha : float
    tolerance : float
        Largest error of an entry.
    start : ndarray, shape (nodes,), optional
        Where to begin, such as the result before the last change.

    Returns
    -------
    ndarray, shape (nodes,)

    Notes
    -----
    π ← (1−α) Pᵀ π + α e_s (or P π to a target) contracts by 1−α in the norm l1 (l∞), so that an entry is wrong by at
    most (1−α)/α times the last change.

    Examples
    --------
    >>> graph = DynamicGraph.from_edges([(0, 1), (1, 2), (2, 0)])
    >>> power_iteration(graph, source=0).round(6).tolist()
    [0.403509, 0.298246, 0.298246]
    """
    if source is not None and target is not None:
        raise ValueError("source and target must not both be given")
    alpha, tolerance = probability("alpha", alpha), positive_number("tolerance", tolerance)
    nodes, forward = graph.number_of_nodes(), target is None
    restart = np.zeros(nodes)
    if source is None and target is None:
        restart[:] = 1.0 / nodes
    else:
        restart[graph.nodes.position(source if forward else target)] = 1.0
    vector: NDArray[np.float64] = restart.copy() if start is None else np.asarray(start, dtype=np.float64)
    if vector.shape != (nodes,) or not np.isfinite(vector).all():
        raise ValueError(f"start must be finite and have shape ({nodes},), got shape {vector.shape}")
    while True:
        following = (1.0 - alpha) * transition(graph.arrays, nodes, vector, forward) + alpha * restart
        difference = np.abs(following - vector)
        change = difference.sum() if forward else difference.max()
        vector = following
        if change * (1.0 - alpha) <= tolerance * alpha:
            return vector
