"""Scans over all edges of a graph."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

import numpy as np
from numba import njit

from reprise.dynamic_pagerank.adjacency import EDGES


@njit(cache=True)
def edge_arrays(graph, nodes):
    """Return tails, heads and weights of all edges, each edge once, by tail."""
    edges = graph.meta[EDGES]
    ends = np.empty((edges, 2), dtype=np.int64)
    weights = np.ones(edges)
    directed = len(graph.start) == 2
    filled = 0
    for node in range(nodes):
        begin = graph.start[0, node]
        for place in range(begin, begin + graph.degree[0, node]):
            if directed or node <= graph.pool[place]:
                ends[filled, 0], ends[filled, 1] = node, graph.pool[place]
                if len(graph.weights):
                    weights[filled] = graph.weights[place]
                filled += 1
    return ends, weights


@njit(cache=True)
def transition(graph, nodes, vector, forward):
    """Return Pᵀ x (forward) or P x, where P = D⁻¹A and dangling nodes have a self-loop; O(edges)."""
    result = np.zeros(nodes)
    weighted = len(graph.weights) > 0
    for node in range(nodes):
        begin, size = graph.start[0, node], graph.degree[0, node]
        if size == 0:
            result[node] += vector[node]
            continue
        share = vector[node] / graph.total[node]
        gathered = 0.0
        for place in range(begin, begin + size):
            weight = graph.weights[place] if weighted else 1.0
            if forward:
                result[graph.pool[place]] += weight * share
            else:
                gathered += weight * vector[graph.pool[place]]
        if not forward:
            result[node] += gathered / graph.total[node]
    return result
