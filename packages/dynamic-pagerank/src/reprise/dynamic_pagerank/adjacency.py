"""Adjacency lists of a graph that changes: insertion and deletion in O(1), neighbours contiguous in memory.

All lists lie in one pool of blocks whose sizes are powers of two. A node whose block is full moves to one of twice the
size, and the old block goes to a free list. A hash table tells for every edge where it lies in the lists of its two
ends, so that deletion swaps it with the last neighbour. Kernels never allocate: where there is no room they say so
before anything is changed, and the caller grows the arrays (`grown`).
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

OK, NO_SLOT, NO_BLOCK = 0, 1, 2
_TOP, EDGES, _SHIFT = 0, 1, 2
_LEVELS = 34
_EMPTY = -1
_LOAD = 0.7
_LOW = 0xFFFFFFFF

# Kernels never allocate, so that they need no reference counts; numba's, atomic ones for every array of every call,
# would take four fifths of the time of an update.
kernel: Any = njit(cache=True, _nrt=False)  # type: ignore[call-overload]  # an option that numba's own code uses


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
        table=np.full(2 * slots, _EMPTY, dtype=np.int64),
        pool=np.empty(entries, dtype=np.int32),
        weights=np.empty(entries if weighted else 0, dtype=np.float64),
        start=np.zeros((sides, nodes), dtype=np.int64),
        degree=np.zeros((sides, nodes), dtype=np.int32),
        level=np.zeros((sides, nodes), dtype=np.int8),
        total=np.ones(nodes, dtype=np.float64),
        free=np.full(_LEVELS, _EMPTY, dtype=np.int64),
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
    table = np.full(2 * slots, _EMPTY, dtype=np.int64)
    graph.meta[_SHIFT] = 65 - slots.bit_length()
    _rehash(graph.table, table, graph.meta[_SHIFT])
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


def slots_for(edges: int) -> int:
    """Return how many slots a table needs for so many edges."""
    return int(edges / _LOAD) + 1


def _power_of_two(number: int) -> int:
    return 1 << max(4, (number - 1).bit_length())


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    new = np.empty(length, dtype=array.dtype)
    new[: len(array)] = array
    return new


@kernel
def hashed(key, shift):
    """Return the slot where a search for `key` begins (Fibonacci hashing)."""
    # The fold keeps tails, which fill the upper half only, from being told apart by few bits.
    mixed = np.uint64(key) ^ (np.uint64(key) >> np.uint64(29))
    return np.int64((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))


@kernel
def edge_key(graph, tail, head):
    """Return the key of an edge; undirected edges are kept from the smaller to the larger end."""
    if len(graph.start) == 1 and head < tail:
        return np.int64(head) << 32 | np.int64(tail)
    return np.int64(tail) << 32 | np.int64(head)


@kernel
def find(table, key, shift):
    """Return the slot of a key, or the empty slot at which it belongs."""
    last = len(table) // 2 - 1
    slot = hashed(key, shift)
    while table[2 * slot] != key and table[2 * slot] != _EMPTY:
        slot = (slot + 1) & last
    return slot


@kernel
def _rehash(old, new, shift):
    for slot in range(len(old) // 2):
        if old[2 * slot] != _EMPTY:
            place = find(new, old[2 * slot], shift)
            new[2 * place], new[2 * place + 1] = old[2 * slot], old[2 * slot + 1]


@kernel
def _clear(table, slot, shift):
    """Empty a slot and close the gap, so that no search ends too early (Knuth 6.4, Algorithm R)."""
    last = len(table) // 2 - 1
    hole = slot
    while True:
        slot = (slot + 1) & last
        if table[2 * slot] == _EMPTY:
            break
        home = hashed(table[2 * slot], shift)
        if ((slot - home) & last) >= ((slot - hole) & last):
            table[2 * hole], table[2 * hole + 1] = table[2 * slot], table[2 * slot + 1]
            hole = slot
    table[2 * hole] = _EMPTY


@kernel
def _take(graph, level):
    offset = graph.free[level]
    if offset != _EMPTY:
        following = graph.pool[offset]
        graph.free[level] = following if following == _EMPTY else np.int64(following) << 1
        return offset
    offset = graph.meta[_TOP]
    graph.meta[_TOP] = offset + (np.int64(1) << level)
    return offset


@kernel
def _release(graph, offset, level):
    # Blocks begin at even places: half of the offset fits into the 32 bits of a neighbour.
    following = graph.free[level]
    graph.pool[offset] = following if following == _EMPTY else following >> 1
    graph.free[level] = offset


@kernel
def _relocate(graph, side, node, level):
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
def _is_full(graph, side, node):
    level = graph.level[side, node]
    return level == 0 or graph.degree[side, node] == 1 << level


@kernel
def room(graph, tail, head):
    """Return OK if an edge can be inserted, else what has to grow."""
    if graph.meta[EDGES] + 1 > _LOAD * (len(graph.table) // 2):
        return NO_SLOT
    needed, level = np.int64(0), 0
    if _is_full(graph, 0, tail):
        level = graph.level[0, tail] + 1
        if graph.free[level] == _EMPTY:
            needed += np.int64(1) << level
    side = len(graph.start) - 1
    if _is_full(graph, side, head):
        other = graph.level[side, head] + 1
        if graph.free[other] == _EMPTY or other == level:
            needed += np.int64(1) << other
    return OK if graph.meta[_TOP] + needed <= len(graph.pool) else NO_BLOCK


@kernel
def _append(graph, side, node, neighbour, weight):
    if _is_full(graph, side, node):
        _relocate(graph, side, node, graph.level[side, node] + 1)
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
            slot = find(graph.table, edge_key(graph, node, moved), graph.meta[_SHIFT])
        else:
            slot = find(graph.table, edge_key(graph, moved, node), graph.meta[_SHIFT])
        packed = graph.table[2 * slot + 1]
        if side == 1 or (len(graph.start) == 1 and moved < node):
            graph.table[2 * slot + 1] = (packed >> 32) << 32 | position
        else:
            graph.table[2 * slot + 1] = np.int64(position) << 32 | (packed & _LOW)
    graph.degree[side, node] = last
    level = graph.level[side, node]
    # A quarter full, not half: a node at the boundary would move with every event.
    if level > 1 and last <= 1 << (level - 2) and graph.free[level - 1] != _EMPTY:
        _relocate(graph, side, node, level - 1)


@kernel
def slot_of(graph, tail, head):
    """Return the slot of an edge, or -1 where there is none."""
    slot = find(graph.table, edge_key(graph, tail, head), graph.meta[_SHIFT])
    return slot if graph.table[2 * slot] != _EMPTY else np.int64(-1)


@kernel
def weight_at(graph, slot, tail, head):
    """Return the weight of the edge in a slot."""
    if len(graph.weights) == 0:
        return 1.0
    return graph.weights[graph.start[0, tail] + _positions(graph, slot, tail, head)[0]]


@kernel
def insert(graph, tail, head, weight):
    """Insert an edge that is not there; `room` must have said OK."""
    key = edge_key(graph, tail, head)
    slot = find(graph.table, key, graph.meta[_SHIFT])
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
    _clear(graph.table, slot, graph.meta[_SHIFT])
    graph.meta[EDGES] -= 1
    _drop(graph, 0, tail, first)
    side = len(graph.start) - 1
    if side == 1 or tail != head:
        _drop(graph, side, head, second)
    _subtract_total(graph, tail, weight)
    if side == 0 and tail != head:
        _subtract_total(graph, head, weight)


@kernel
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


@njit(cache=True)
def edge_arrays(graph, nodes):
    """Return tails, heads and weights of all edges, each edge once, by tail."""
    edges = graph.meta[EDGES]
    ends = np.empty((edges, 2), dtype=np.int64)
    weights = np.ones(edges)
    directed = len(graph.start) == 2
    filled = 0
    for node in range(nodes):
        begin = graph.start[0, node]
        for place in range(begin, begin + graph.degree[0, node]):
            if directed or node <= graph.pool[place]:
                ends[filled, 0], ends[filled, 1] = node, graph.pool[place]
                if len(graph.weights):
                    weights[filled] = graph.weights[place]
                filled += 1
    return ends, weights


@njit(cache=True)
def transition(graph, nodes, vector, forward):
    """Return Pᵀ x (forward) or P x, where P = D⁻¹A and dangling nodes have a self-loop; O(edges)."""
    result = np.zeros(nodes)
    weighted = len(graph.weights) > 0
    for node in range(nodes):
        begin, size = graph.start[0, node], graph.degree[0, node]
        if size == 0:
            result[node] += vector[node]
            continue
        share = vector[node] / graph.total[node]
        gathered = 0.0
        for place in range(begin, begin + size):
            weight = graph.weights[place] if weighted else 1.0
            if forward:
                result[graph.pool[place]] += weight * share
            else:
                gathered += weight * vector[graph.pool[place]]
        if not forward:
            result[node] += gathered / graph.total[node]
    return result
