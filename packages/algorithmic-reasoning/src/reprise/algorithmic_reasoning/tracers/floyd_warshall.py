"""Floyd and Warshall's shortest paths between all nodes, through one more node at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]


def floyd_warshall(A: Array) -> Trace:
    """Shortest paths between all pairs, shape (N, N); output `Pi`, the last node before the end of each path."""
    n = len(A)
    pointers, masks = np.empty((n + 1, n, n), np.int32), np.empty((n, n, n), np.int8)
    distances = np.empty((n, n, n))
    _relax(A, ((A + np.eye(n)) != 0).astype(np.int8), pointers, distances, masks)
    hints: dict[str, Array] = {"Pi_h": pointers[:n], "D": distances, "msk": masks, "k": np.arange(n)}
    return Trace(hints, {"Pi": pointers[n]})


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
