"""Floyd and Warshall's shortest paths between all nodes, through one more node at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces


def floyd_warshall(matrices: Array) -> Traces:
    """Shortest paths between all pairs, shape (B, N, N); output `Pi`, the last node before the end of each path."""
    count, n = matrices.shape[:2]
    pointers, masks = np.empty((count, n + 1, n, n), np.int32), np.empty((count, n, n, n), np.int8)
    distances = np.empty((count, n, n, n))
    _relax_all(matrices, ((matrices + np.eye(n)) != 0).astype(np.int8), pointers, distances, masks)
    through = np.broadcast_to(np.arange(n), (count, n))
    hints: dict[str, Array] = {"Pi_h": pointers, "D": distances, "msk": masks, "k": through}
    return Traces(hints, {"Pi": pointers[:, n]}, np.full(count, n))


@njit(cache=True)
def _relax_all(matrices, known, pointers, distances, masks):  # type: ignore[no-untyped-def]
    for graph in range(len(matrices)):
        _relax(matrices[graph], known[graph], pointers[graph], distances[graph], masks[graph])


@njit(cache=True)
def _relax(A, mask, pointers, distances, masks):  # type: ignore[no-untyped-def]
    n = len(A)
    D, Pi = A.copy(), np.empty((n, n), np.int32)
    for i in range(n):
        Pi[i] = i
    for k in range(n):
        distances[k], masks[k], pointers[k] = D, mask, Pi
        before, seen = distances[k], masks[k]
        for i in range(n):
            if seen[i, k] == 0:
                continue
            for j in range(n):
                if seen[k, j] == 0:
                    continue
                through = before[i, k] + before[k, j]
                if mask[i, j] == 0 or through < D[i, j]:
                    D[i, j] = through
                    Pi[i, j] = Pi[k, j]
                else:
                    D[i, j] = before[i, j]
                mask[i, j] = 1
    pointers[n] = Pi
