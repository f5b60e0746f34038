"""Random graphs of CLRS-30, draw by draw: the same numbers as the reference from the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

COMMUNITIES, BETWEEN = 4, 0.01  # blocks of a community graph, and the chance of an edge between two of them


def erdos_renyi(
    generator: np.random.RandomState,
    nodes: int,
    p: float,
    *,
    directed: bool = False,
    acyclic: bool = False,
    weighted: bool = False,
) -> Array:
    """Random adjacency or weight matrix.

    Parameters
    ----------
    generator : RandomState
    nodes : int
        N.
    p : float
        Chance of a drawn entry. Undirected graphs keep an edge that is drawn both ways: chance p², self-loops p.
    directed, acyclic : bool
        Acyclic graphs are directed, in a random order of the nodes.
    weighted : bool
        Weights uniform on [0, 1); of undirected graphs √(w w′ + 10⁻³) of two such.

    Returns
    -------
    ndarray of float64, shape (N, N)

    Examples
    --------
    >>> A = erdos_renyi(np.random.RandomState(0), 5, 0.5)
    >>> bool((A == A.T).all()), sorted({float(a) for a in A.ravel()})
    (True, [0.0, 1.0])
    """
    edges = generator.binomial(1, p, size=(nodes, nodes))
    if not directed:
        edges = edges * edges.T
    elif acyclic:
        edges = np.triu(edges, k=1)
        order = generator.permutation(nodes)
        edges = edges[order][:, order]
    if not weighted:
        return edges.astype(np.float64)
    weights = generator.uniform(0.0, 1.0, size=(nodes, nodes))
    if not directed:
        weights = np.sqrt(weights * weights.T + 1e-3)
    return edges.astype(np.float64) * weights


def community(generator: np.random.RandomState, nodes: int, p: float) -> Array:
    """Directed graph of four dense blocks, with few edges from earlier to later ones.

    Parameters
    ----------
    generator : RandomState
    nodes : int
        N, at least 4; the last block takes what is left.
    p : float
        Chance of an edge within a block.

    Returns
    -------
    ndarray of float64, shape (N, N)
    """
    size = nodes // COMMUNITIES
    starts = [size * block for block in range(COMMUNITIES)]
    ends = [*starts[1:], nodes]
    edges = np.zeros((nodes, nodes))
    for start, end in zip(starts, ends):
        edges[start:end, start:end] = erdos_renyi(generator, end - start, p, directed=True)
    between = erdos_renyi(generator, nodes, BETWEEN, directed=True)
    for block, (start, end) in enumerate(zip(starts, ends)):
        between[start:end, : starts[block]] = 0.0
    edges = np.where(between > 0.0, (1 - (edges > 0.0)) * between, edges)
    order = generator.permutation(nodes)
    return edges[order][:, order]
