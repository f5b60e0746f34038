"""Breadth-first search, a level at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.trace import Trace

Array = np.ndarray[Any, Any]


def breadth_first_search(A: Array, source: int) -> Trace:
    """Breadth-first search of a graph, shape (N, N), from a node; output `pi`, the tree."""
    reached, parents = np.empty((len(A) + 1, len(A)), np.int8), np.empty((len(A) + 1, len(A)), np.int32)
    length = _search(A, source, reached, parents)
    # The last level changes nothing but is not recorded: what it left is what the last record holds.
    return Trace({"reach_h": reached[:length], "pi_h": parents[:length]}, {"pi": parents[length]})


@njit(cache=True)
def _search(A, source, reached, parents):  # type: ignore[no-untyped-def]
    n = len(A)
    reach, pi = np.zeros(n, np.int8), np.arange(n).astype(np.int32)
    reach[source] = 1
    level = 0
    while True:
        before = reach.copy()
        reached[level], parents[level] = before, pi
        level += 1
        for i in range(n):
            if before[i] == 1:
                for j in range(n):
                    if A[i, j] > 0:
                        if pi[j] == j and j != source:
                            pi[j] = i
                        reach[j] = 1
        if (reach == before).all():
            break
    parents[level] = pi
    return level
