"""Prim's tree and Dijkstra's paths: the same search, that differ in the key of the queue."""

from __future__ import annotations

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces, at_end

_ABSENT = 1e9  # key of what is not in the queue


def prim(matrices: Array, sources: Array) -> Traces:
    """Minimum spanning trees of undirected graphs, shape (B, N, N), grown from a node each; output `pi`."""
    return _traces(matrices, sources, "key", False)


def dijkstra(matrices: Array, sources: Array) -> Traces:
    """Shortest paths from a node each of graphs of non-negative weights, shape (B, N, N); output `pi`."""
    return _traces(matrices, sources, "d", True)


def _traces(matrices: Array, sources: Array, key: str, along: bool) -> Traces:
    count, n = matrices.shape[:2]
    nodes = (count, n + 1, n)
    pi, keys, marks, queued = (
        np.empty(nodes, np.int32),
        np.empty(nodes),
        np.empty(nodes, np.int8),
        np.empty(nodes, np.int8),
    )
    at, lengths = np.empty((count, n + 1), np.int64), np.empty(count, np.int64)
    _search_all(matrices, sources, along, pi, keys, marks, queued, at, lengths)
    hints: dict[str, Array] = {"pi_h": pi, key: keys, "mark": marks, "in_queue": queued, "u": at}
    return Traces(hints, {"pi": at_end(pi, lengths)}, lengths)


@njit(cache=True)
def _search_all(matrices, sources, along, pi, keys, marks, queued, at, lengths):  # type: ignore[no-untyped-def]
    for graph in range(len(matrices)):
        lengths[graph] = _search(
            matrices[graph], sources[graph], along, pi[graph], keys[graph], marks[graph], queued[graph], at[graph]
        )


@njit(cache=True)
def _search(A, source, along, all_pi, all_keys, all_marks, all_queued, all_at):  # type: ignore[no-untyped-def]
    n = len(A)
    pi, key = np.arange(n).astype(np.int32), np.zeros(n)
    mark, queued = np.zeros(n, np.int8), np.zeros(n, np.int8)
    queued[source] = 1
    u = source
    for time in range(n + 1):
        if time > 0:
            u = np.argmin(key + (1 - queued) * _ABSENT)
            if queued[u] == 0:
                return time
            mark[u], queued[u] = 1, 0
            for v in range(n):
                if A[u, v] == 0 or mark[v] == 1:
                    continue
                cost = A[u, v] + (key[u] if along else 0.0)
                if queued[v] == 0 or cost < key[v]:
                    pi[v], key[v], queued[v] = u, cost, 1
        all_pi[time], all_keys[time], all_marks[time], all_queued[time], all_at[time] = pi, key, mark, queued, u
    return n + 1
