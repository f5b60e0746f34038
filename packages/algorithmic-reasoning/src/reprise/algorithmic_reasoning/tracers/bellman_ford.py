"""Bellman and Ford's shortest paths, all edges at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces, at_end


def bellman_ford(matrices: Array, sources: Array) -> Traces:
    """Shortest paths from a node each of graphs of non-negative weights, shape (B, N, N); output `pi`."""
    count, n = matrices.shape[:2]
    parents, distances = np.empty((count, n + 2, n), np.int32), np.empty((count, n + 2, n))
    masks, lengths = np.empty((count, n + 2, n), np.int8), np.empty(count, np.int64)
    _relax_all(matrices, sources, parents, distances, masks, lengths)
    return Traces({"pi_h": parents, "d": distances, "msk": masks}, {"pi": at_end(parents, lengths + 1)}, lengths)


@njit(cache=True)
def _relax_all(matrices, sources, parents, distances, masks, lengths):  # type: ignore[no-untyped-def]
    for graph in range(len(matrices)):
        lengths[graph] = _relax(matrices[graph], sources[graph], parents[graph], distances[graph], masks[graph])


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
