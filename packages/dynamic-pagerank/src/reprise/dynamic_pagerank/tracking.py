"""Baseline: tracking PageRank by Gauss-Southwell (Ohsaka, Maehara and Kawarabayashi, KDD 2015)."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from reprise.dynamic_pagerank.adjacency import OK
from reprise.dynamic_pagerank.compiled import kernel, long_kernel
from reprise.dynamic_pagerank.follow import apply_some
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.repair import empty_changes
from reprise.dynamic_pagerank.scores import Scores
from reprise.dynamic_pagerank.validation import positive_number, probability


class TrackingPageRank:
    """Keep the residual of the linear system below ε at every node, whatever its degree.

    The estimate x stays as it is when an edge of u changes, so that the residual changes at every out-neighbour of u:
    O(d(u)) for a repair that `DynamicPageRank` does in O(1). Then nodes with \\|residual\\| > ε are relaxed.

    Parameters
    ----------
    graph : DynamicGraph
        Unweighted.
    source : hashable
    alpha : float
        Probability of stopping.
    epsilon : float
        Bound of every residual; not multiplied by the degree.

    Notes
    -----
    Nodes wait in a queue, first in, first out, rather than in a heap by \\|residual\\|: less work per relaxation, and
    the same guarantee.

    Examples
    --------
    >>> tracker = TrackingPageRank(DynamicGraph.from_edges([(0, 1), (1, 2)]), source=0, epsilon=1e-9)
    >>> tracker.update([(2, 0)])
    >>> round(tracker.scores()[0], 6)
    0.403509
    """

    def __init__(self, graph: DynamicGraph, *, source: Hashable, alpha: float = 0.15, epsilon: float = 1e-6) -> None:
        if graph.weighted:
            raise ValueError("graph must be unweighted, got weighted=True")
        self.graph = graph
        self.alpha, self.epsilon = probability("alpha", alpha), positive_number("epsilon", epsilon)
        self._source = graph.add_node(source)
        self._work = np.zeros(2, dtype=np.int64)
        self._estimate, self._residual = np.zeros(0), np.zeros(0)
        self._queue, self._waiting = np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.uint8)
        self._grow()
        self._residual[self._source] = 1.0
        self._queue[0] = self._source
        self._waiting[self._source] = 1
        self._relax(1)

    def update(self, events: Any, *, multi: str = "error") -> None:
        """Follow events one by one; forms and errors as for `DynamicPageRank.update`."""
        prepared, code = self.graph.admit(events, multi)
        self._grow()
        begin, changes = 0, empty_changes(2)
        while begin < len(prepared.tails):
            state = (self._estimate, self._residual, self._queue, self._waiting, self._work)
            begin, status = _follow(self.graph.arrays, prepared, begin, code, changes, *state, self.alpha, self.epsilon)
            self.graph.make_room(status)

    def scores(self) -> Scores:
        """Return the estimate as a mapping from label to score."""
        self._grow()
        return Scores(self.graph.nodes, self._estimate[: len(self.graph.nodes)].copy())

    @property
    def work(self) -> int:
        """Edges touched so far, by repairs and by relaxations."""
        return int(self._work.sum())

    def _grow(self) -> None:
        nodes, old = len(self.graph.arrays.total), len(self._estimate)
        if nodes > old:
            new = np.zeros(nodes - old)
            self._estimate, self._residual = np.append(self._estimate, new), np.append(self._residual, new)
            self._queue = np.empty(1 << nodes.bit_length(), dtype=np.int32)
            self._waiting = np.zeros(nodes, dtype=np.uint8)

    def _relax(self, tail: int) -> None:
        state = (self._estimate, self._residual, self._queue, self._waiting, self._work)
        _relax(self.graph.arrays, *state, tail, self.alpha, self.epsilon)


@kernel
def _spread(graph, r, tail, amount):
    """Add the residual that an estimate of `amount` at `tail` causes at its out-neighbours."""
    begin, size = graph.start[0, tail], graph.degree[0, tail]
    if size == 0:
        r[tail] += amount
        return 1
    for place in range(begin, begin + size):
        r[graph.pool[place]] += amount / size
    return size


@kernel
def _wait(graph, r, queue, waiting, node, tail, epsilon):
    if abs(r[node]) > epsilon and not waiting[node]:
        waiting[node] = 1
        queue[tail] = node
        return tail + 1
    return tail


@kernel
def _wait_all(graph, r, queue, waiting, node, tail, epsilon):
    tail = _wait(graph, r, queue, waiting, node, tail, epsilon)
    begin = graph.start[0, node]
    for place in range(begin, begin + graph.degree[0, node]):
        tail = _wait(graph, r, queue, waiting, graph.pool[place], tail, epsilon)
    return tail


@long_kernel
def _follow(graph, events, begin, multi, changes, p, r, queue, waiting, work, alpha, epsilon):
    odds = (1.0 - alpha) / alpha
    for i in range(begin, len(events.tails)):
        u, v = events.tails[i], events.heads[i]
        both = len(graph.start) == 1 and u != v
        work[0] += _spread(graph, r, u, -odds * p[u])
        if both:
            work[0] += _spread(graph, r, v, -odds * p[v])
        _, status, _ = apply_some(graph, events, i, i + 1, multi, changes)
        work[0] += _spread(graph, r, u, odds * p[u])
        if both:
            work[0] += _spread(graph, r, v, odds * p[v])
        if status != OK:
            return i, status
        tail = _wait_all(graph, r, queue, waiting, u, 0, epsilon)
        tail = _wait(graph, r, queue, waiting, v, tail, epsilon)
        if both:
            tail = _wait_all(graph, r, queue, waiting, v, tail, epsilon)
        _relax(graph, p, r, queue, waiting, work, tail, alpha, epsilon)
    return len(events.tails), OK


@long_kernel
def _relax(graph, p, r, queue, waiting, work, tail, alpha, epsilon):
    start, count, pool = graph.start[0], graph.degree[0], graph.pool
    head, mask = 0, len(queue) - 1
    while head != tail:
        node = queue[head]
        head = (head + 1) & mask
        waiting[node] = 0
        rest = r[node]
        if abs(rest) <= epsilon:
            continue
        r[node] = 0.0
        begin, degree = start[node], count[node]
        work[1] += max(degree, 1)
        if degree == 0:
            p[node] += rest
            continue
        p[node] += alpha * rest
        share = (1.0 - alpha) * rest / degree
        for place in range(begin, begin + degree):
            neighbour = np.uint32(pool[place])
            gained = r[neighbour] + share
            r[neighbour] = gained
            late = (abs(gained) > epsilon) & (waiting[neighbour] == 0)
            queue[tail] = neighbour
            waiting[neighbour] |= late
            tail = (tail + late) & mask
