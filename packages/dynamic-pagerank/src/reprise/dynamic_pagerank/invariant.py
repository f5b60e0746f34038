"""The invariant that repairs keep, checked against the graph itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.adjacency import Adjacency
from reprise.dynamic_pagerank.push import Columns
from reprise.dynamic_pagerank.restart import restart_vector
from reprise.dynamic_pagerank.scans import transition


def deviation(
    graph: Adjacency, columns: Columns, column: int, nodes: int, alpha: float, *, forward: bool
) -> NDArray[np.float64]:
    """Return (1−α) P p + α b − p − α r, with Pᵀ in place of P from a source: 0 but for rounding.

    Parameters
    ----------
    graph : Adjacency
    columns : Columns
    column : int
        Which of them.
    nodes : int
        How many nodes there are.
    alpha : float
        Probability of stopping.
    forward : bool
        Whether the scores are those from a source, not those to a target.

    Returns
    -------
    ndarray, shape (nodes,)
        Relative to the mass of b.

    Notes
    -----
    The invariants of Zhang, Lofgren and Goel (2016), Section 3; O(edges).
    """
    p, r = columns.estimate[column, :nodes], columns.residual[column, :nodes]
    moved: NDArray[np.float64] = transition(graph, nodes, p, forward)
    return (1 - alpha) * moved + alpha * (restart_vector(columns, column, nodes) - r) - p
