"""Baseline: maintained random walks (Bahmani, Chowdhury and Goel, VLDB 2010)."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numba import njit

from reprise.dynamic_pagerank.adjacency import OK
from reprise.dynamic_pagerank.bidirectional import next_node
from reprise.dynamic_pagerank.compiled import kernel
from reprise.dynamic_pagerank.follow import apply_some
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.repair import empty_changes
from reprise.dynamic_pagerank.scores import Scores
from reprise.dynamic_pagerank.validation import positive_integer, probability, seeded
from reprise.dynamic_pagerank.walks import EVENT, NONE, cut, empty_walks, enough, more_slots, visit


class MonteCarloPageRank:
    """Estimate scores by the visits of random walks, which are rerouted where an edge comes or goes.

    Parameters
    ----------
    graph : DynamicGraph
        Unweighted.
    source : hashable
    walks : int
        R; the error of a score π is about √(π/R).
    alpha : float
        Probability of stopping.
    seed : int

    Notes
    -----
    The estimate is α times the visits of a node divided by R. An insertion of u→v reroutes every step from u with
    probability 1/d(u); a deletion those that went to v. Memory is 20 bytes per visit, of which there are R/α.

    Examples
    --------
    >>> graph = DynamicGraph.from_edges([(0, 1), (1, 2), (2, 0)])
    >>> estimate = MonteCarloPageRank(graph, source=0, walks=4000)
    >>> abs(estimate.scores()[0] - 0.4035) < 0.05
    True
    """

    def __init__(
        self, graph: DynamicGraph, *, source: Hashable, walks: int = 10_000, alpha: float = 0.15, seed: int = 0
    ) -> None:
        if graph.weighted:
            raise ValueError("graph must be unweighted, got weighted=True")
        self.graph = graph
        self.walks = positive_integer("walks", walks)
        self.alpha = probability("alpha", alpha)
        self._source = graph.add_node(source)
        self._generator = seeded(seed)
        self._walks = empty_walks(int(4 * (walks + 200) / self.alpha), len(graph.arrays.total))
        self._work = np.zeros(1, dtype=np.int64)
        begun = 0
        while begun < self.walks:
            begun = _begin(graph.arrays, self._walks, self._source, begun, self.walks, self.alpha, self._generator)
            if begun < self.walks:
                self._walks = more_slots(self._walks)

    def update(self, events: Any, *, multi: str = "error") -> None:
        """Follow events one by one; forms and errors as for `DynamicPageRank.update`."""
        prepared, code = self.graph.admit(events, multi)
        self._grow()
        begin, changes = 0, empty_changes(2)
        while begin < len(prepared.tails):
            begin, status = _follow(
                self.graph.arrays,
                self._walks,
                prepared,
                begin,
                code,
                changes,
                self.walks,
                self.alpha,
                self._generator,
                self._work,
            )
            if status == OK and begin < len(prepared.tails):
                self._walks = more_slots(self._walks)
            self.graph.make_room(status)

    def scores(self) -> Scores:
        """Return the estimate as a mapping from label to score."""
        self._grow()
        visits = self._walks.visits[: len(self.graph.nodes)]
        return Scores(self.graph.nodes, visits.astype(np.float64) * (self.alpha / self.walks))

    @property
    def work(self) -> int:
        """Steps of walks that were looked at or drawn anew."""
        return int(self._work[0])

    def _grow(self) -> None:
        nodes, old = len(self.graph.arrays.total), len(self._walks.first)
        if nodes > old:
            first = np.full(nodes, NONE, dtype=np.int32)
            visits = np.zeros(nodes, dtype=np.int64)
            first[:old], visits[:old] = self._walks.first, self._walks.visits
            self._walks = self._walks._replace(first=first, visits=visits)


@kernel
def _walk_on(graph, walks, slot, alpha, generator):
    """Continue a walk behind a visit that does not stop, until it stops; return the steps."""
    node, steps = np.int64(walks.node[slot]), 0
    while True:
        # At a dangling node the walk stays.
        if graph.degree[0, node]:
            node = next_node(graph, node, generator.random())
        following = visit(walks, node)
        walks.following[slot] = following
        slot = following
        steps += 1
        if generator.random() < alpha:
            return steps


@kernel
def _begin(graph, walks, source, begun, total, alpha, generator):
    while begun < total:
        # A walk of 200/α steps is shorter than what chance will ever bring: (1−α)^(200/α) < e^-200.
        if not enough(walks, 200 / alpha):
            return begun
        slot = visit(walks, source)
        if generator.random() >= alpha:
            _walk_on(graph, walks, slot, alpha, generator)
        begun += 1
    return begun


@njit(cache=True)
def _follow(graph, walks, events, begin, multi, changes, total, alpha, generator, work):
    for i in range(begin, len(events.tails)):
        u, v, sign = events.tails[i], events.heads[i], events.signs[i]
        # Every walk may be drawn anew while the old ones still hold their slots, R/α visits and then some; where that
        # is short, ask for more slots before anything is changed.
        if not enough(walks, 2 * (total + 200) / alpha):
            return i, OK
        edges = graph.meta[1]
        _, status, _ = apply_some(graph, events, i, i + 1, multi, changes)
        if status != OK:
            return i, status
        if graph.meta[1] == edges:
            continue
        walks.meta[EVENT] += 1
        work[0] += _reroute(graph, walks, u, v, sign, alpha, generator)
        if len(graph.start) == 1 and u != v:
            work[0] += _reroute(graph, walks, v, u, sign, alpha, generator)
    return len(events.tails), OK


@njit(cache=True)
def _reroute(graph, walks, u, v, sign, alpha, generator):
    """Reroute the steps from u after u→v came or went; return the steps looked at or drawn."""
    degree = graph.degree[0, u]
    size = walks.visits[u]
    if size == 0:
        return 0
    # Chance says how many of the visits are rerouted: mostly none, at no cost (Bahmani et al., Section 2).
    if sign > 0 and degree > 1 and generator.random() < (1.0 - 1.0 / degree) ** size:
        return 1
    found = np.empty(size, dtype=np.int32)
    slot = walks.first[u]
    for i in range(size):
        found[i] = slot
        slot = walks.after[slot]
    chosen = _chosen(walks, found, v, sign, degree, generator)
    for i in range(size):
        slot = found[i]
        # A stop needs no detour, and what this event has drawn knows the new graph already.
        chosen[i] &= walks.node[slot] != NONE and walks.following[slot] != NONE
        chosen[i] &= walks.born[slot] != walks.meta[EVENT]
        if chosen[i]:
            cut(walks, slot)
    # Of several detours of a walk the first one is left: the others were cut off with what was behind it. That is seen
    # before new visits take the free slots.
    for i in range(size):
        chosen[i] &= walks.node[found[i]] != NONE
    steps = size
    for i in range(size):
        if chosen[i]:
            if sign > 0:
                steps += _step_to(graph, walks, found[i], v, alpha, generator)
            else:
                steps += _walk_on(graph, walks, found[i], alpha, generator)
    return steps


@kernel
def _step_to(graph, walks, slot, node, alpha, generator):
    following = visit(walks, node)
    walks.following[slot] = following
    if generator.random() < alpha:
        return 1
    return 1 + _walk_on(graph, walks, following, alpha, generator)


@njit(cache=True)
def _chosen(walks, found, v, sign, degree, generator):
    """Which visits of a node are rerouted."""
    chosen = np.zeros(len(found), dtype=np.bool_)
    if sign < 0:
        for i in range(len(found)):
            following = walks.following[found[i]]
            chosen[i] = following != NONE and walks.node[following] == v
    elif degree == 1:
        chosen[:] = True
    else:
        # Given that at least one is rerouted: the first is drawn from the truncated geometric distribution.
        rest = 1.0 - (1.0 - 1.0 / degree) ** len(found)
        first = int(np.log1p(-generator.random() * rest) / np.log1p(-1.0 / degree))
        chosen[min(first, len(found) - 1)] = True
        for i in range(first + 1, len(found)):
            chosen[i] = generator.random() < 1.0 / degree
    return chosen
