"""The six depth-first algorithms: one search, and what each adds where it finds and where it closes a node.

All follow Cormen et al. as CLRS-30 has them, with the stack kept as pointers `s_prev`. A state is recorded ("pushed")
whenever it changes; what differs between the algorithms are clocks, low points, and two rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]

DFS, TOPOLOGICAL, ARTICULATION, BRIDGES, COMPONENTS, SHORTEST = range(6)
PI, COLOR, S_PREV, NEXT, MARK = range(5)  # rows of State.node; NEXT is topo or scc_id, MARK is_cut or mark
D, F, LOW, CHILDREN = range(4)  # rows of State.scalar
S, U, V, LAST, HEAD, PHASE = range(6)  # of State.at
TICK = 0.01


class State(NamedTuple):
    """Everything that a search may record; with a leading axis for time, the record of it."""

    node: Array  # (5, N), integers
    scalar: Array  # (4, N)
    edge: Array  # (N, N) for bridges, else (0, 0)
    at: Array  # (6,), nodes and the phase
    clock: Array  # (1,)


def depth_first_search(A: Array) -> Trace:
    """Depth-first search of a directed graph, shape (N, N); output `pi`, the tree."""
    record = _record(A, DFS, lambda n: range(n))
    return Trace(
        {"pi_h": record.node[:, PI], **_stack(record), **_times(record), **_place(record, "s")},
        {"pi": record.node[-1, PI]},
    )


def topological_sort(A: Array) -> Trace:
    """Topological order of an acyclic graph: outputs `topo`, the next node, and `topo_head`, the first."""
    record = _record(A, TOPOLOGICAL, lambda n: range(n))
    return Trace(
        {"topo_h": record.node[:, NEXT], "topo_head_h": record.at[:, HEAD], **_stack(record), **_place(record, "s")},
        {"topo": record.node[-1, NEXT], "topo_head": record.at[-1, HEAD]},
    )


def articulation_points(A: Array) -> Trace:
    """Nodes whose removal splits an undirected graph; output `is_cut`."""
    record = _record(A, ARTICULATION, lambda n: range(n))
    hints = {
        "is_cut_h": record.node[:, MARK],
        "pi_h": record.node[:, PI],
        "low": record.scalar[:, LOW],
        "child_cnt": record.scalar[:, CHILDREN],
    }
    return Trace(
        hints | _stack(record) | _times(record) | _place(record, "s"),
        {"is_cut": record.node[-1, MARK]},
    )


def bridges(A: Array) -> Trace:
    """Edges whose removal splits an undirected graph; output `is_bridge`, −1 where there is no edge."""
    record = _record(A, BRIDGES, lambda n: range(n))
    hints = {"is_bridge_h": record.edge, "pi_h": record.node[:, PI], "low": record.scalar[:, LOW]}
    return Trace(
        hints | _stack(record) | _times(record) | _place(record, "s"),
        {"is_bridge": record.edge[-1]},
    )


def strongly_connected_components(A: Array) -> Trace:
    """Strongly connected components, by a second search on the transposed graph; output `scc_id`, a node of each."""
    record = _record(A, COMPONENTS, lambda n: range(n))
    transposed = ((A.T + np.eye(len(A))) != 0).astype(np.int8)
    hints = {
        "scc_id_h": record.node[:, NEXT],
        "A_t": np.broadcast_to(transposed, (len(record.at), *A.shape)),
        "phase": record.at[:, PHASE],
    }
    return Trace(
        hints | _stack(record) | _times(record) | _place(record, "s"),
        {"scc_id": record.node[-1, NEXT]},
    )


def dag_shortest_paths(A: Array, source: int) -> Trace:
    """Shortest paths from a node of an acyclic graph, along its topological order; output `pi`."""
    record = _record(A, SHORTEST, lambda _: [source])
    hints = {
        "pi_h": record.node[:, PI],
        "topo_h": record.node[:, NEXT],
        "topo_head_h": record.at[:, HEAD],
        "d": record.scalar[:, D],
        "mark": record.node[:, MARK],
        "phase": record.at[:, PHASE],
    }
    return Trace(hints | _stack(record) | _place(record), {"pi": record.node[-1, PI]})


def _stack(record: State) -> dict[str, Array]:
    return {"color": record.node[:, COLOR], "s_prev": record.node[:, S_PREV]}


def _times(record: State) -> dict[str, Array]:
    return {"d": record.scalar[:, D], "f": record.scalar[:, F], "time": record.clock[:, 0]}


def _place(record: State, *source: str) -> dict[str, Array]:
    places = {"u": record.at[:, U], "v": record.at[:, V], "s_last": record.at[:, LAST]}
    return dict.fromkeys(source, record.at[:, S]) | places


def _record(A: Array, kind: int, roots: Callable[[int], Any]) -> State:
    """Run an algorithm, with a record that is made longer until the whole run fits."""
    n = len(A)
    order = np.array(roots(n), dtype=np.int64)
    capacity = (7 if kind == COMPONENTS else 5) * n + 8
    while True:
        state, record = _blank(n, kind, A), _empty(capacity, n, kind)
        length = _run(A, order, kind, state, record)
        if length <= capacity:
            return State(*(part[:length] for part in record))
        capacity = length


def _blank(n: int, kind: int, A: Array) -> State:
    node = np.zeros((5, n), dtype=np.int64)
    node[PI] = node[S_PREV] = node[NEXT] = np.arange(n)
    edge = np.zeros((0, 0), dtype=np.int8)
    if kind == BRIDGES:
        edge = ((A + np.eye(n)) != 0).astype(np.int8) - np.int8(1)
    return State(node, np.zeros((4, n)), edge, np.zeros(6, dtype=np.int64), np.zeros(1))


def _empty(capacity: int, n: int, kind: int) -> State:
    edges = (n, n) if kind == BRIDGES else (0, 0)
    return State(
        np.empty((capacity, 5, n), dtype=np.int32),
        np.empty((capacity, 4, n)),
        np.empty((capacity, *edges), dtype=np.int8),
        np.empty((capacity, 6), dtype=np.int64),
        np.empty((capacity, 1)),
    )


@njit(cache=True)
def _run(A, roots, kind, state, record):  # type: ignore[no-untyped-def]
    """Run an algorithm; return the length of its record, of which no more is kept than there is room for."""
    length = _search(A, roots, kind, state, record, 0)
    if kind == COMPONENTS:
        state.at[PHASE] = 1
        state.node[COLOR, :] = 0
        state.node[S_PREV, :] = np.arange(len(A))
        second = np.argsort(-state.scalar[F], kind="mergesort")
        length = _search(np.ascontiguousarray(A.T), second, kind, state, record, length)
    elif kind == SHORTEST:
        length = _relax(A, state, record, length)
    return length


@njit(cache=True)
def _push(state, record, length):  # type: ignore[no-untyped-def]
    if length < len(record.at):
        record.node[length] = state.node
        record.scalar[length] = state.scalar
        record.edge[length] = state.edge
        record.at[length] = state.at
        record.clock[length] = state.clock
    return length + 1


@njit(cache=True)
def _search(A, roots, kind, state, record, length):  # type: ignore[no-untyped-def]
    node, scalar, at, clock = state.node, state.scalar, state.at, state.clock
    timed = kind in (DFS, ARTICULATION, BRIDGES, COMPONENTS)
    back = kind in (ARTICULATION, BRIDGES)
    for s in roots:
        if node[COLOR, s] != 0:
            continue
        u, last = s, s
        at[S], at[U], at[V], at[LAST] = s, s, s, s
        length = _push(state, record, length)
        while True:
            if kind == COMPONENTS and at[PHASE] == 1:
                node[NEXT, u] = s
            if node[COLOR, u] == 0 or (timed and scalar[D, u] == 0.0):
                if timed:
                    clock[0] += TICK
                    scalar[D, u] = clock[0]
                if back:
                    scalar[LOW, u] = clock[0]
                node[COLOR, u] = 1
                length = _push(state, record, length)
            for v in range(len(A)):
                at[V] = v
                if A[u, v] == 0:
                    continue
                if node[COLOR, v] == 0:
                    node[COLOR, v] = 1
                    node[S_PREV, v] = last
                    last = v
                    at[LAST] = last
                    if kind in (DFS, ARTICULATION, BRIDGES):
                        node[PI, v] = u
                    if kind == ARTICULATION:
                        scalar[CHILDREN, u] += TICK
                    length = _push(state, record, length)
                    break
                if back and v != node[PI, u]:
                    scalar[LOW, u] = min(scalar[LOW, u], scalar[D, v])
                    length = _push(state, record, length)
            if last == u:
                node[COLOR, u] = 2
                if timed:
                    clock[0] += TICK
                    scalar[F, u] = clock[0]
                _close(u, kind, state)
                length = _push(state, record, length)
                if node[S_PREV, u] == u:
                    break
                before = node[S_PREV, last]
                node[S_PREV, last] = last
                last = before
                at[LAST] = last
            u = last
            at[U] = u
    return length


@njit(cache=True)
def _close(u, kind, state):  # type: ignore[no-untyped-def]
    """What an algorithm concludes when all neighbours of a node are done."""
    node, scalar, at = state.node, state.scalar, state.at
    if kind in (TOPOLOGICAL, SHORTEST):
        if node[COLOR, at[HEAD]] == 2:
            node[NEXT, u] = at[HEAD]
        at[HEAD] = u
    elif kind in (ARTICULATION, BRIDGES):
        for v in range(node.shape[1]):
            if node[PI, v] != u:
                continue
            scalar[LOW, u] = min(scalar[LOW, u], scalar[LOW, v])
            if kind == BRIDGES and scalar[LOW, v] > scalar[D, u]:
                state.edge[u, v] = state.edge[v, u] = 1
            if kind == ARTICULATION and node[PI, u] != u and scalar[LOW, v] >= scalar[D, u]:
                node[MARK, u] = 1
        if kind == ARTICULATION and node[PI, u] == u and scalar[CHILDREN, u] > TICK:
            node[MARK, u] = 1


@njit(cache=True)
def _relax(A, state, record, length):  # type: ignore[no-untyped-def]
    """Go through the nodes in topological order and shorten the paths to their successors."""
    node, distance, at = state.node, state.scalar[D], state.at
    at[PHASE] = 1
    head = at[HEAD]
    distance[head] = 0.0
    node[MARK, head] = 1
    while node[NEXT, head] != head:
        node[MARK, head] = 1
        length = _push(state, record, length)
        for j in range(len(A)):
            if A[head, j] != 0.0 and (node[MARK, j] == 0 or distance[head] + A[head, j] < distance[j]):
                distance[j] = distance[head] + A[head, j]
                node[PI, j] = head
                node[MARK, j] = 1
        head = node[NEXT, head]
        at[HEAD] = head
    return _push(state, record, length)
