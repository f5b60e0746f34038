"""Adjacency lists of a graph that changes: insertion and deletion in O(1), neighbours contiguous in memory.

All lists lie in one pool of blocks whose sizes are powers of two. A node whose block is full moves to one of twice the
size, and the old block goes to a free list. A hash table tells for every edge where it lies in the lists of its two
ends, so that deletion swaps it with the last neighbour. Here are the arrays, and how they grow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.edge_table import EMPTY, rehash

OK, NO_SLOT, NO_BLOCK = 0, 1, 2
TOP, EDGES, SHIFT = 0, 1, 2
_LEVELS = 34


class Adjacency(NamedTuple):
    """The arrays of a graph; side 0 holds out-neighbours, side 1 (directed graphs only) in-neighbours."""

    table: NDArray[np.int64]  # (2 * slots,): key tail << 32 | head, then the positions of both half-edges
    pool: NDArray[np.int32]  # blocks of neighbours
    weights: NDArray[np.float64]  # beside the pool; empty in unweighted graphs
    start: NDArray[np.int64]  # (sides, nodes): first entry of a node's block
    degree: NDArray[np.int32]  # (sides, nodes): its neighbours
    level: NDArray[np.int8]  # (sides, nodes): its block has 2**level entries; 0 where there is none
    total: NDArray[np.float64]  # (nodes,): out-weight W(v), or 1 for the virtual self-loop of a dangling node
    free: NDArray[np.int64]  # (levels,): first free block of every size
    meta: NDArray[np.int64]  # end of the used pool, number of edges, shift of the hash


def empty(nodes: int, *, directed: bool, weighted: bool, slots: int = 16, entries: int = 16) -> Adjacency:
    """Return a graph of `nodes` nodes without edges, with room for `slots` and `entries`."""
    sides, slots = 1 + directed, _power_of_two(slots)
    return Adjacency(
        table=np.full(2 * slots, EMPTY, dtype=np.int64),
        pool=np.empty(entries, dtype=np.int32),
        weights=np.empty(entries if weighted else 0, dtype=np.float64),
        start=np.zeros((sides, nodes), dtype=np.int64),
        degree=np.zeros((sides, nodes), dtype=np.int32),
        level=np.zeros((sides, nodes), dtype=np.int8),
        total=np.ones(nodes, dtype=np.float64),
        free=np.full(_LEVELS, EMPTY, dtype=np.int64),
        meta=np.array([0, 0, 65 - slots.bit_length()], dtype=np.int64),
    )


def grown(graph: Adjacency, status: int) -> Adjacency:
    """Return the graph with twice the room of the kind that `status` asks for."""
    if status == NO_BLOCK:
        entries = 2 * len(graph.pool)
        weights = _longer(graph.weights, entries) if len(graph.weights) else graph.weights
        return graph._replace(pool=_longer(graph.pool, entries), weights=weights)
    return with_slots(graph, len(graph.table))


def with_slots(graph: Adjacency, slots: int) -> Adjacency:
    """Return the graph with a hash table of at least `slots` slots."""
    slots = max(_power_of_two(slots), len(graph.table) // 2)
    table = np.full(2 * slots, EMPTY, dtype=np.int64)
    graph.meta[SHIFT] = 65 - slots.bit_length()
    rehash(graph.table, table, graph.meta[SHIFT])
    return graph._replace(table=table)


def with_entries(graph: Adjacency, entries: int) -> Adjacency:
    """Return the graph with a pool of at least `entries` neighbours."""
    if entries <= len(graph.pool):
        return graph
    weights = _longer(graph.weights, entries) if len(graph.weights) else graph.weights
    return graph._replace(pool=_longer(graph.pool, entries), weights=weights)


def with_nodes(graph: Adjacency, nodes: int) -> Adjacency:
    """Return the graph with room for `nodes` nodes; the new ones have no edges."""
    old = len(graph.total)
    if nodes <= old:
        return graph
    sides = len(graph.start)

    def longer(array: NDArray[Any]) -> NDArray[Any]:
        new = np.zeros((sides, nodes), dtype=array.dtype)
        new[:, :old] = array
        return new

    total = np.ones(nodes)
    total[:old] = graph.total
    return graph._replace(
        start=longer(graph.start), degree=longer(graph.degree), level=longer(graph.level), total=total
    )


def _power_of_two(number: int) -> int:
    return 1 << max(4, (number - 1).bit_length())


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    new = np.empty(length, dtype=array.dtype)
    new[: len(array)] = array
    return new
