"""The six depth-first algorithms: one search, and what each adds where it finds and where it closes a node.

All follow Cormen et al. as CLRS-30 has them, with the stack kept as pointers `s_prev`. A state is recorded ("pushed")
whenever it changes; what differs between the algorithms are clocks, low points, and two rules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces, at_end

DFS, TOPOLOGICAL, ARTICULATION, BRIDGES, COMPONENTS, SHORTEST = range(6)
PI, COLOR, S_PREV, NEXT, MARK = range(5)  # rows of State.node; NEXT is topo or scc_id, MARK is_cut or mark
D, F, LOW, CHILDREN = range(4)  # rows of State.scalar
S, U, V, LAST, HEAD, PHASE = range(6)  # of State.at
# How many of these rows, integers and scalars, an algorithm has.
_ROWS = {DFS: (3, 2), TOPOLOGICAL: (4, 0), ARTICULATION: (5, 4), BRIDGES: (3, 3), COMPONENTS: (4, 2), SHORTEST: (5, 1)}
TICK = 0.01


class State(NamedTuple):
    """Everything that a search may record; with leading axes for graphs and time, the records of it."""

    node: Array  # (up to 5, N), integers
    scalar: Array  # (up to 4, N)
    edge: Array  # (N, N) for bridges, else (0, 0)
    at: Array  # (6,), nodes and the phase
    clock: Array  # (1,)


def depth_first_search(matrices: Array) -> Traces:
    """Depth-first search of directed graphs, shape (B, N, N); output `pi`, the tree."""
    record, lengths = _records(matrices, DFS)
    hints = {"pi_h": record.node[:, :, PI], **_stack(record), **_times(record), **_place(record, "s")}
    return Traces(hints, {"pi": at_end(hints["pi_h"], lengths)}, lengths)


def topological_sort(matrices: Array) -> Traces:
    """Topological order of acyclic graphs: outputs `topo`, the next node, and `topo_head`, the first."""
    record, lengths = _records(matrices, TOPOLOGICAL)
    order = {"topo_h": record.node[:, :, NEXT], "topo_head_h": record.at[..., HEAD]}
    outputs = {"topo": at_end(order["topo_h"], lengths), "topo_head": at_end(order["topo_head_h"], lengths)}
    return Traces({**order, **_stack(record), **_place(record, "s")}, outputs, lengths)


def articulation_points(matrices: Array) -> Traces:
    """Nodes whose removal splits an undirected graph; output `is_cut`."""
    record, lengths = _records(matrices, ARTICULATION)
    hints = {
        "is_cut_h": record.node[:, :, MARK],
        "pi_h": record.node[:, :, PI],
        "low": record.scalar[:, :, LOW],
        "child_cnt": record.scalar[:, :, CHILDREN],
        **_stack(record),
        **_times(record),
        **_place(record, "s"),
    }
    return Traces(hints, {"is_cut": at_end(hints["is_cut_h"], lengths)}, lengths)


def bridges(matrices: Array) -> Traces:
    """Edges whose removal splits an undirected graph; output `is_bridge`, −1 where there is no edge."""
    record, lengths = _records(matrices, BRIDGES)
    hints = {
        "is_bridge_h": record.edge,
        "pi_h": record.node[:, :, PI],
        "low": record.scalar[:, :, LOW],
        **_stack(record),
        **_times(record),
        **_place(record, "s"),
    }
    return Traces(hints, {"is_bridge": at_end(record.edge, lengths)}, lengths)


def strongly_connected_components(matrices: Array) -> Traces:
    """Strongly connected components, by a second search on the transposed graph; output `scc_id`, a node of each."""
    record, lengths = _records(matrices, COMPONENTS)
    transposed = ((matrices.transpose(0, 2, 1) + np.eye(matrices.shape[1])) != 0).astype(np.int8)
    hints = {
        "scc_id_h": record.node[:, :, NEXT],
        "A_t": np.broadcast_to(transposed[:, None], (*record.at.shape[:2], *matrices.shape[1:])),
        "phase": record.at[..., PHASE],
        **_stack(record),
        **_times(record),
        **_place(record, "s"),
    }
    return Traces(hints, {"scc_id": at_end(hints["scc_id_h"], lengths)}, lengths)


def dag_shortest_paths(matrices: Array, sources: Array) -> Traces:
    """Shortest paths from a node each of acyclic graphs, along their topological orders; output `pi`."""
    record, lengths = _records(matrices, SHORTEST, sources[:, None])
    hints = {
        "pi_h": record.node[:, :, PI],
        "topo_h": record.node[:, :, NEXT],
        "topo_head_h": record.at[..., HEAD],
        "d": record.scalar[:, :, D],
        "mark": record.node[:, :, MARK],
        "phase": record.at[..., PHASE],
        **_stack(record),
        **_place(record),
    }
    return Traces(hints, {"pi": at_end(hints["pi_h"], lengths)}, lengths)


def _stack(record: State) -> dict[str, Array]:
    return {"color": record.node[:, :, COLOR], "s_prev": record.node[:, :, S_PREV]}


def _times(record: State) -> dict[str, Array]:
    return {"d": record.scalar[:, :, D], "f": record.scalar[:, :, F], "time": record.clock[..., 0]}


def _place(record: State, *source: str) -> dict[str, Array]:
    places = {"u": record.at[..., U], "v": record.at[..., V], "s_last": record.at[..., LAST]}
    return dict.fromkeys(source, record.at[..., S]) | places


def _records(matrices: Array, kind: int, roots: Array | None = None) -> tuple[State, Array]:
    """Run an algorithm on all graphs in one call, with records that are made longer until every run fits.

    Parameters
    ----------
    matrices : ndarray of float64, shape (B, N, N)
    kind : int
    roots : ndarray of int64, shape (B, up to N), optional
        Where each search begins anew; at every node in turn when not given.

    Returns
    -------
    State
        With leading axes for graphs and time.
    lengths : ndarray of int64, shape (B,)
    """
    count, n = matrices.shape[:2]
    if roots is None:
        roots = np.tile(np.arange(n), (count, 1))
    capacity = (7 if kind == COMPONENTS else 5) * n + 8
    while True:
        state, record = _blank(matrices, kind), _empty(count, capacity, n, kind)
        lengths = np.empty(count, dtype=np.int64)
        _run_all(matrices, roots, kind, state, record, lengths)
        if lengths.max() <= capacity:
            return record, lengths
        capacity = int(lengths.max())


def _blank(matrices: Array, kind: int) -> State:
    """State of every graph before the first step, with a leading axis for graphs."""
    count, n = matrices.shape[:2]
    rows, scalars = _ROWS[kind]
    node = np.zeros((count, rows, n), dtype=np.int32)
    node[:, [row for row in (PI, S_PREV, NEXT) if row < rows]] = np.arange(n)
    edge = np.zeros((count, 0, 0), dtype=np.int8)
    if kind == BRIDGES:
        edge = ((matrices + np.eye(n)) != 0).astype(np.int8) - np.int8(1)
    return State(node, np.zeros((count, scalars, n)), edge, np.zeros((count, 6), dtype=np.int64), np.zeros((count, 1)))


def _empty(count: int, capacity: int, n: int, kind: int) -> State:
    """Room for the records of every graph, with leading axes for graphs and time."""
    edges = (n, n) if kind == BRIDGES else (0, 0)
    rows, scalars = _ROWS[kind]
    # Half of the time goes to fresh memory: no more of it than need be.
    integers = np.int16 if n < 1 << 15 else np.int32
    return State(
        np.empty((count, capacity, rows, n), dtype=integers),
        np.empty((count, capacity, scalars, n)),
        np.empty((count, capacity, *edges), dtype=np.int8),
        np.empty((count, capacity, 6), dtype=integers),
        np.empty((count, capacity, 1)),
    )


@njit(cache=True)
def _run_all(matrices, roots, kind, states, records, lengths):  # type: ignore[no-untyped-def]
    """Run an algorithm on every graph: one call for many, as what a call costs is more than a small graph's search."""
    for graph in range(len(matrices)):
        state = State(
            states.node[graph], states.scalar[graph], states.edge[graph], states.at[graph], states.clock[graph]
        )
        record = State(
            records.node[graph], records.scalar[graph], records.edge[graph], records.at[graph], records.clock[graph]
        )
        lengths[graph] = _run(matrices[graph], roots[graph], kind, state, record)


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
    # Element by element: assigning slices costs more than these few numbers.
    if length < len(record.at):
        for row in range(state.node.shape[0]):
            for v in range(state.node.shape[1]):
                record.node[length, row, v] = state.node[row, v]
        for row in range(state.scalar.shape[0]):
            for v in range(state.scalar.shape[1]):
                record.scalar[length, row, v] = state.scalar[row, v]
        for u in range(state.edge.shape[0]):
            for v in range(state.edge.shape[1]):
                record.edge[length, u, v] = state.edge[u, v]
        for place in range(len(state.at)):
            record.at[length, place] = state.at[place]
        record.clock[length, 0] = state.clock[0]
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
