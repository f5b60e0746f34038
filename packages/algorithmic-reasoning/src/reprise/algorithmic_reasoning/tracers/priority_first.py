"""Prim's tree and Dijkstra's paths: the same search, that differ in the key of the queue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]

_ABSENT = 1e9  # key of what is not in the queue


def prim(A: Array, source: int) -> Trace:
    """Minimum spanning tree of an undirected graph, grown from a node; output `pi`."""
    return _trace(A, source, "key", False)


def dijkstra(A: Array, source: int) -> Trace:
    """Shortest paths from a node of a graph of non-negative weights, shape (N, N); output `pi`."""
    return _trace(A, source, "d", True)


def _trace(A: Array, source: int, key: str, along: bool) -> Trace:
    n = len(A)
    pi, keys = np.empty((n + 1, n), np.int32), np.empty((n + 1, n))
    marks, queued, at = np.empty((n + 1, n), np.int8), np.empty((n + 1, n), np.int8), np.empty(n + 1, np.int64)
    length = _search(A, source, along, pi, keys, marks, queued, at)
    hints: dict[str, Array] = {"pi_h": pi, key: keys, "mark": marks, "in_queue": queued, "u": at}
    return Trace({name: values[:length] for name, values in hints.items()}, {"pi": pi[length - 1]})


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
