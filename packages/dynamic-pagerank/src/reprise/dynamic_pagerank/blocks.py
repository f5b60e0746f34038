"""Blocks of neighbours: sizes are powers of two, and those that are free are listed by size."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

import numpy as np

from reprise.dynamic_pagerank.adjacency import TOP
from reprise.dynamic_pagerank.compiled import kernel, long_kernel
from reprise.dynamic_pagerank.edge_table import EMPTY


@kernel
def _take(graph, level):
    offset = graph.free[level]
    if offset != EMPTY:
        following = graph.pool[offset]
        graph.free[level] = following if following == EMPTY else np.int64(following) << 1
        return offset
    offset = graph.meta[TOP]
    graph.meta[TOP] = offset + (np.int64(1) << level)
    return offset


@kernel
def _release(graph, offset, level):
    # Blocks begin at even places: half of the offset fits into the 32 bits of a neighbour.
    following = graph.free[level]
    graph.pool[offset] = following if following == EMPTY else following >> 1
    graph.free[level] = offset


@long_kernel
def relocate(graph, side, node, level):
    """Move the neighbours of a node to a block of 2**level entries."""
    old, old_level, size = graph.start[side, node], graph.level[side, node], graph.degree[side, node]
    new = _take(graph, level)
    for i in range(size):
        graph.pool[new + i] = graph.pool[old + i]
    if len(graph.weights):
        for i in range(size):
            graph.weights[new + i] = graph.weights[old + i]
    if old_level:
        _release(graph, old, old_level)
    graph.start[side, node], graph.level[side, node] = new, level


@kernel
def is_full(graph, side, node):
    """Return whether one more neighbour needs a larger block."""
    level = graph.level[side, node]
    return level == 0 or graph.degree[side, node] == 1 << level
