"""Kruskal's spanning tree, with the union and find of its forest step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces, at_end

EDGE, FIND_U, FIND_V = range(3)  # phases


class State(NamedTuple):
    """What the algorithm records; with leading axes for graphs and time, the records of it."""

    tree: Array  # (N, N)
    pi: Array  # (N,), the forest
    at: Array  # (5,): u, v, root_u, root_v, phase
    masks: Array  # (2, N): those on the way from u and from v


def kruskal(matrices: Array) -> Traces:
    """Minimum spanning forests of undirected graphs, shape (B, N, N); output `in_mst`."""
    count, n = matrices.shape[:2]
    edges = [_by_weight(A) for A in matrices]
    starts = np.cumsum([0, *map(len, edges)])
    capacity = 5 * max(map(len, edges)) + 1
    while True:
        record = State(
            np.empty((count, capacity, n, n), np.int8),
            np.empty((count, capacity, n), np.int32),
            np.empty((count, capacity, 5), np.int64),
            np.empty((count, capacity, 2, n), np.int8),
        )
        lengths = np.empty(count, np.int64)
        _run_all(np.concatenate(edges), starts, n, record, lengths)
        if lengths.max() <= capacity:
            break
        capacity = int(lengths.max())
    places = {name: record.at[..., k] for k, name in enumerate(("u", "v", "root_u", "root_v", "phase"))}
    masks = {"mask_u": record.masks[:, :, 0], "mask_v": record.masks[:, :, 1]}
    hints = {"in_mst_h": record.tree, "pi": record.pi, **places, **masks}
    return Traces(hints, {"in_mst": at_end(record.tree, lengths)}, lengths)


def _by_weight(A: Array) -> Array:
    """Edges, shape (M, 2), the lightest first."""
    u, v = np.nonzero(np.triu(A > 0, k=1))
    order = np.argsort(A[u, v])
    return np.stack([u[order], v[order]], axis=1)


@njit(cache=True)
def _run_all(edges, starts, n, records, lengths):  # type: ignore[no-untyped-def]
    for graph in range(len(lengths)):
        record = State(records.tree[graph], records.pi[graph], records.at[graph], records.masks[graph])
        lengths[graph] = _run(edges[starts[graph] : starts[graph + 1]], n, record)


@njit(cache=True)
def _run(edges, n, record):  # type: ignore[no-untyped-def]
    state = State(
        np.zeros((n, n), np.int8), np.arange(n).astype(np.int32), np.zeros(5, np.int64), np.zeros((2, n), np.int8)
    )
    tree, pi, at, masks = state.tree, state.pi, state.at, state.masks
    length = _push(state, record, 0)
    for index in range(len(edges)):
        at[0], at[1] = edges[index]
        at[2], at[3] = edges[index]
        masks[:] = 0
        masks[0, at[0]] = masks[1, at[1]] = 1
        at[4] = FIND_U
        length = _push(state, record, length)
        for end in range(2):
            at[4] = FIND_U + end
            while pi[at[2 + end]] != at[2 + end]:
                at[2 + end] = pi[at[2 + end]]
                for node in range(n):
                    if masks[end, node] == 1:
                        pi[node] = at[2 + end]
                masks[end, at[2 + end]] = 1
                length = _push(state, record, length)
        if at[2] != at[3]:
            tree[at[0], at[1]] = tree[at[1], at[0]] = 1
            pi[min(at[2], at[3])] = max(at[2], at[3])
        at[4] = EDGE
        length = _push(state, record, length)
    return length


@njit(cache=True)
def _push(state, record, length):  # type: ignore[no-untyped-def]
    if length < len(record.at):
        record.tree[length] = state.tree
        record.pi[length] = state.pi
        record.at[length] = state.at
        record.masks[length] = state.masks
    return length + 1
