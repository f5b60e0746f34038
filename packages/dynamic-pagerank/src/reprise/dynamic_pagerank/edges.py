"""Insertion, deletion and change of one edge, all in O(1).

Kernels never allocate: `room` says beforehand what has to grow, and the caller grows it (`adjacency.grown`).
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

import numpy as np

from reprise.dynamic_pagerank.adjacency import EDGES, NO_BLOCK, NO_SLOT, OK, SHIFT, TOP
from reprise.dynamic_pagerank.blocks import is_full, relocate
from reprise.dynamic_pagerank.compiled import kernel, long_kernel
from reprise.dynamic_pagerank.edge_table import EMPTY, LOAD, clear, find

_LOW = 0xFFFFFFFF


@kernel
def edge_key(graph, tail, head):
    """Return the key of an edge; undirected edges are kept from the smaller to the larger end."""
    if len(graph.start) == 1 and head < tail:
        return np.int64(head) << 32 | np.int64(tail)
    return np.int64(tail) << 32 | np.int64(head)


@kernel
def slot_of(graph, tail, head):
    """Return the slot of an edge, or -1 where there is none."""
    slot = find(graph.table, edge_key(graph, tail, head), graph.meta[SHIFT])
    return slot if graph.table[2 * slot] != EMPTY else np.int64(-1)


@kernel
def weight_at(graph, slot, tail, head):
    """Return the weight of the edge in a slot."""
    if len(graph.weights) == 0:
        return 1.0
    return graph.weights[graph.start[0, tail] + _positions(graph, slot, tail, head)[0]]


@kernel
def room(graph, tail, head):
    """Return OK if an edge can be inserted, else what has to grow."""
    if graph.meta[EDGES] + 1 > LOAD * (len(graph.table) // 2):
        return NO_SLOT
    needed, level = np.int64(0), 0
    if is_full(graph, 0, tail):
        level = graph.level[0, tail] + 1
        if graph.free[level] == EMPTY:
            needed += np.int64(1) << level
    side = len(graph.start) - 1
    if is_full(graph, side, head):
        other = graph.level[side, head] + 1
        if graph.free[other] == EMPTY or other == level:
            needed += np.int64(1) << other
    return OK if graph.meta[TOP] + needed <= len(graph.pool) else NO_BLOCK


@kernel
def insert(graph, tail, head, weight):
    """Insert an edge that is not there; `room` must have said OK."""
    key = edge_key(graph, tail, head)
    slot = find(graph.table, key, graph.meta[SHIFT])
    first = _append(graph, 0, tail, head, weight)
    side = len(graph.start) - 1
    # An undirected self-loop is one neighbour, and counts once in the degree.
    second = _append(graph, side, head, tail, weight) if side == 1 or tail != head else first
    if len(graph.start) == 1 and head < tail:
        first, second = second, first
    graph.table[2 * slot] = key
    graph.table[2 * slot + 1] = first << 32 | second
    graph.meta[EDGES] += 1
    _add_total(graph, tail, weight, first_edge=graph.degree[0, tail] == 1)
    if side == 0 and tail != head:
        _add_total(graph, head, weight, first_edge=graph.degree[0, head] == 1)


@kernel
def remove(graph, slot, tail, head):
    """Remove the edge in a slot."""
    weight = weight_at(graph, slot, tail, head)
    first, second = _positions(graph, slot, tail, head)
    clear(graph.table, slot, graph.meta[SHIFT])
    graph.meta[EDGES] -= 1
    _drop(graph, 0, tail, first)
    side = len(graph.start) - 1
    if side == 1 or tail != head:
        _drop(graph, side, head, second)
    _subtract_total(graph, tail, weight)
    if side == 0 and tail != head:
        _subtract_total(graph, head, weight)


@long_kernel
def change_weight(graph, slot, tail, head, weight):
    """Give the edge in a slot another weight."""
    first, second = _positions(graph, slot, tail, head)
    change = weight - graph.weights[graph.start[0, tail] + first]
    side = len(graph.start) - 1
    graph.weights[graph.start[0, tail] + first] = weight
    if side == 1 or tail != head:
        graph.weights[graph.start[side, head] + second] = weight
    if change > 0:
        graph.total[tail] += change
    else:
        _subtract_total(graph, tail, -change)
    if side == 0 and tail != head:
        if change > 0:
            graph.total[head] += change
        else:
            _subtract_total(graph, head, -change)


@kernel
def _append(graph, side, node, neighbour, weight):
    if is_full(graph, side, node):
        relocate(graph, side, node, graph.level[side, node] + 1)
    position = graph.degree[side, node]
    place = graph.start[side, node] + position
    graph.pool[place] = neighbour
    if len(graph.weights):
        graph.weights[place] = weight
    graph.degree[side, node] = position + 1
    return np.int64(position)


@kernel
def _positions(graph, slot, tail, head):
    """Return where the edge lies in the list of `tail` and in that of `head`."""
    packed = graph.table[2 * slot + 1]
    first, second = packed >> 32, packed & _LOW
    if len(graph.start) == 1 and head < tail:
        return second, first
    return first, second


@kernel
def _drop(graph, side, node, position):
    """Remove one neighbour by moving the last one into its place."""
    begin = graph.start[side, node]
    last = graph.degree[side, node] - 1
    if position != last:
        moved = np.int64(graph.pool[begin + last])
        graph.pool[begin + position] = moved
        if len(graph.weights):
            graph.weights[begin + position] = graph.weights[begin + last]
        if side == 0:
            slot = find(graph.table, edge_key(graph, node, moved), graph.meta[SHIFT])
        else:
            slot = find(graph.table, edge_key(graph, moved, node), graph.meta[SHIFT])
        packed = graph.table[2 * slot + 1]
        if side == 1 or (len(graph.start) == 1 and moved < node):
            graph.table[2 * slot + 1] = (packed >> 32) << 32 | position
        else:
            graph.table[2 * slot + 1] = np.int64(position) << 32 | (packed & _LOW)
    graph.degree[side, node] = last
    level = graph.level[side, node]
    # A quarter full, not half: a node at the boundary would move with every event.
    if level > 1 and last <= 1 << (level - 2) and graph.free[level - 1] != EMPTY:
        relocate(graph, side, node, level - 1)


@kernel
def _add_total(graph, node, weight, first_edge):
    graph.total[node] = weight if first_edge else graph.total[node] + weight


@kernel
def _subtract_total(graph, node, weight):
    count = graph.degree[0, node]
    before = graph.total[node]
    if count == 0:
        graph.total[node] = 1.0
    elif len(graph.weights) == 0:
        graph.total[node] = count
    elif weight < 0.5 * before:
        graph.total[node] = before - weight
    else:  # the difference would be made of rounding errors
        graph.total[node] = graph.weights[graph.start[0, node] : graph.start[0, node] + count].sum()
