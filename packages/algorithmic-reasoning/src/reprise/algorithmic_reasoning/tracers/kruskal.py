"""Kruskal's spanning tree, with the union and find of its forest step by step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]

EDGE, FIND_U, FIND_V = range(3)  # phases


class State(NamedTuple):
    """What the algorithm records; with a leading axis for time, the record of it."""

    tree: Array  # (N, N)
    pi: Array  # (N,), the forest
    at: Array  # (5,): u, v, root_u, root_v, phase
    masks: Array  # (2, N): those on the way from u and from v


def kruskal(A: Array) -> Trace:
    """Minimum spanning forest of an undirected graph, shape (N, N); output `in_mst`."""
    n = len(A)
    u, v = np.nonzero(np.triu(A > 0, k=1))
    order = np.argsort(A[u, v])
    edges = np.stack([u[order], v[order]], axis=1)
    capacity = 5 * len(edges) + 1
    while True:
        record = State(
            np.empty((capacity, n, n), np.int8),
            np.empty((capacity, n), np.int32),
            np.empty((capacity, 5), np.int64),
            np.empty((capacity, 2, n), np.int8),
        )
        length = _run(edges, n, record)
        if length <= capacity:
            break
        capacity = length
    tree, pi, at, masks = (part[:length] for part in record)
    places = {name: at[:, k] for k, name in enumerate(("u", "v", "root_u", "root_v", "phase"))}
    hints = {"in_mst_h": tree, "pi": pi, **places, "mask_u": masks[:, 0], "mask_v": masks[:, 1]}
    return Trace(hints, {"in_mst": tree[-1]})


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
