"""Breadth-first search, a level at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from reprise.algorithmic_reasoning.tracers.traces import Array, Traces, at_end


def breadth_first_search(matrices: Array, sources: Array) -> Traces:
    """Breadth-first search of graphs, shape (B, N, N), from a node each, shape (B,); output `pi`, the tree."""
    count, n = matrices.shape[:2]
    reached, parents = np.empty((count, n + 1, n), np.int8), np.empty((count, n + 1, n), np.int32)
    lengths = np.empty(count, np.int64)
    _search_all(matrices, sources, reached, parents, lengths)
    # The last level changes nothing but is not recorded: what it left is what the last record holds.
    return Traces({"reach_h": reached, "pi_h": parents}, {"pi": at_end(parents, lengths + 1)}, lengths)


@njit(cache=True)
def _search_all(matrices, sources, reached, parents, lengths):  # type: ignore[no-untyped-def]
    for graph in range(len(matrices)):
        lengths[graph] = _search(matrices[graph], sources[graph], reached[graph], parents[graph])


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
