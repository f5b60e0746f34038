"""Random graphs as edge arrays in the order in which the edges come; 10⁷ edges in seconds."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators, no-warn-return-any
# Kernels have the types that numba infers.

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reprise.dynamic_pagerank.edge_table import find
from reprise.dynamic_pagerank.validation import positive_integer, seeded


def barabasi_albert(nodes: int, edges_per_node: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return a preferential-attachment graph (Barabási and Albert 1999), edge by edge.

    Parameters
    ----------
    nodes : int
        n, more than `edges_per_node`.
    edges_per_node : int
        Every new node brings so many edges, to distinct nodes chosen in proportion to their degrees; the first
        ``edges_per_node + 1`` nodes form a star.
    seed : int

    Returns
    -------
    ndarray, shape ((nodes - edges_per_node) * edges_per_node, 2)
        Edges from the new node to the old one, all distinct.

    Examples
    --------
    >>> barabasi_albert(100, 3).shape
    (291, 2)
    """
    positive_integer("edges_per_node", edges_per_node)
    positive_integer("nodes", nodes, minimum=edges_per_node + 1)
    return _barabasi_albert(nodes, edges_per_node, seeded(seed))


def erdos_renyi(nodes: int, edges: int, *, directed: bool = False, seed: int = 0) -> NDArray[np.int64]:
    """Return `edges` distinct edges, uniform among all without self-loops, in random order: the model G(n, m).

    Parameters
    ----------
    nodes, edges : int
    directed : bool
        Whether u→v and v→u are two edges.
    seed : int

    Returns
    -------
    ndarray, shape (edges, 2)

    Raises
    ------
    ValueError
        If more than half of all possible edges are asked for: drawing would take long.
    """
    positive_integer("nodes", nodes, minimum=2)
    positive_integer("edges", edges)
    possible = nodes * (nodes - 1) // (1 if directed else 2)
    if edges > possible // 2 + 1:
        raise ValueError(f"edges must be at most half of the {possible} possible ones, got {edges}")
    return _erdos_renyi(nodes, edges, directed, seeded(seed))


def rmat(
    scale: int,
    edges: int,
    *,
    probabilities: tuple[float, float, float, float] = (0.57, 0.19, 0.19, 0.05),
    directed: bool = True,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return distinct edges of a recursive-matrix graph (Chakrabarti, Zhan and Faloutsos 2004), in random order.

    Parameters
    ----------
    scale : int
        There are ``2**scale`` nodes.
    edges : int
    probabilities : tuple of 4 floats
        Of the quadrants of the adjacency matrix; the default is that of the Graph 500 benchmark.
    directed : bool
        Whether u→v and v→u are two edges.
    seed : int

    Returns
    -------
    ndarray, shape (edges, 2)
        Without self-loops.

    Raises
    ------
    ValueError
        If the probabilities are negative or do not sum to 1, or more than an eighth of all pairs are asked for.
    """
    positive_integer("scale", scale)
    positive_integer("edges", edges)
    if len(probabilities) != 4 or min(probabilities) < 0 or abs(sum(probabilities) - 1) > 1e-9:
        raise ValueError(f"probabilities must be four numbers ≥ 0 that sum to 1, got {probabilities}")
    if edges > 4**scale // 8 + 1:
        raise ValueError(f"edges must be at most an eighth of the {4**scale} pairs, got {edges}")
    return _rmat(
        scale,
        edges,
        np.cumsum(probabilities),
        directed,
        seeded(seed),
    )


@njit(cache=True)
def _barabasi_albert(nodes, each, generator):
    edges = np.empty(((nodes - each) * each, 2), dtype=np.int64)
    # Every end of an edge once: a uniform draw from it is one in proportion to degrees.
    ends = np.empty(2 * len(edges), dtype=np.int64)
    filled = 0
    for node in range(each, nodes):
        first = filled
        while filled < first + each:
            if node == each:
                chosen = filled
            else:
                chosen = ends[generator.integers(0, 2 * first)]
            fresh = True
            for i in range(first, filled):
                fresh = fresh and edges[i, 1] != chosen
            if fresh:
                edges[filled, 0], edges[filled, 1] = node, chosen
                filled += 1
        for i in range(first, filled):
            ends[2 * i], ends[2 * i + 1] = edges[i, 0], edges[i, 1]
    return edges


@njit(cache=True)
def _table_for(edges):
    size, bits = 16, 4
    while size < 2 * edges:
        size, bits = 2 * size, bits + 1
    return np.full(2 * size, -1, dtype=np.int64), 64 - bits


@njit(cache=True)
def _is_new(table, shift, tail, head, directed):
    """Return whether an edge has not come before, and remember it."""
    if tail == head:
        return False
    if not directed and head < tail:
        tail, head = head, tail
    key = tail << 32 | head
    slot = find(table, key, shift)
    if table[2 * slot] == key:
        return False
    table[2 * slot] = key
    return True


@njit(cache=True)
def _erdos_renyi(nodes, edges, directed, generator):
    table, shift = _table_for(edges)
    result = np.empty((edges, 2), dtype=np.int64)
    filled = 0
    while filled < edges:
        tail, head = np.int64(generator.random() * nodes), np.int64(generator.random() * nodes)
        if _is_new(table, shift, tail, head, directed):
            result[filled, 0], result[filled, 1] = tail, head
            filled += 1
    return result


@njit(cache=True)
def _rmat(scale, edges, cumulative, directed, generator):
    table, shift = _table_for(edges)
    result = np.empty((edges, 2), dtype=np.int64)
    filled = 0
    while filled < edges:
        tail, head = np.int64(0), np.int64(0)
        for _ in range(scale):
            draw = generator.random()
            tail, head = 2 * tail, 2 * head
            if draw >= cumulative[1]:
                tail += 1
                head += draw >= cumulative[2]
            else:
                head += draw >= cumulative[0]
        if _is_new(table, shift, tail, head, directed):
            result[filled, 0], result[filled, 1] = tail, head
            filled += 1
    return result
