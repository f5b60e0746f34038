"""Bellman and Ford's shortest paths, all edges at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]


def bellman_ford(A: Array, source: int) -> Trace:
    """Shortest paths from a node of a graph of non-negative weights, shape (N, N); output `pi`."""
    n = len(A)
    parents, distances, masks = np.empty((n + 2, n), np.int32), np.empty((n + 2, n)), np.empty((n + 2, n), np.int8)
    length = _relax(A, source, parents, distances, masks)
    hints: dict[str, Array] = {"pi_h": parents[:length], "d": distances[:length], "msk": masks[:length]}
    return Trace(hints, {"pi": parents[length]})


@njit(cache=True)
def _relax(A, source, parents, distances, masks):  # type: ignore[no-untyped-def]
    n = len(A)
    d, pi, mask = np.zeros(n), np.arange(n).astype(np.int32), np.zeros(n, np.int8)
    mask[source] = 1
    time = 0
    while True:
        before, seen = d.copy(), mask.copy()
        parents[time], distances[time], masks[time] = pi, before, seen
        time += 1
        for u in range(n):
            if seen[u] != 1:
                continue
            for v in range(n):
                if A[u, v] != 0:
                    if mask[v] == 0 or before[u] + A[u, v] < d[v]:
                        d[v] = before[u] + A[u, v]
                        pi[v] = u
                    mask[v] = 1
        if (d == before).all():
            break
    parents[time] = pi
    return time
