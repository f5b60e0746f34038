"""Personalized PageRank that is kept up to date (Zhang, Lofgren and Goel, KDD 2016)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank import push
from reprise.dynamic_pagerank.bounds import error_interval
from reprise.dynamic_pagerank.certified import TopK, certified_top
from reprise.dynamic_pagerank.follow import follow_all
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.invariant import deviation
from reprise.dynamic_pagerank.push import Stats
from reprise.dynamic_pagerank.restart import columns_at, restarting_column
from reprise.dynamic_pagerank.scores import Scores
from reprise.dynamic_pagerank.validation import listed, positive_integer, positive_number, probability


class DynamicPageRank:
    """Approximate personalized PageRank of a graph that changes, with an error bound that holds at every moment.

    π_s(t) is the probability that a random walk from s, which stops with probability α before each step, stops at t.
    The estimate p and the residual r satisfy, exactly, π_s(t) = p(t) + Σ_v r(v) π_v(t) from a source, and
    π_s(t) = p(s) + Σ_v π_s(v) r(v) to a target. An edge changes them in O(1); then residual is pushed where it is big.

    Parameters
    ----------
    graph : DynamicGraph
        Changed by `insert`, `delete` and `update`. Changes made elsewhere are taken over by `rebase`.
    source, target : hashable
        One node: the vector from it (`forward`), or to it (`reverse`). Exactly one of these five has to be given.
    sources, targets : iterable of hashable
        Several at once; they share the graph and are computed in parallel threads.
    restart : mapping of hashable to float, array (nodes,), or "uniform"
        The walk starts anywhere, with probabilities in proportion to these, by label or in the order of the nodes;
        "uniform" is PageRank itself, also as the number of nodes grows.
    alpha : float
        Probability of stopping, in (0, 1); networkx's damping is 1 − α.
    epsilon : float
        From a source of an undirected graph \\|π − p\\|(v) ≤ ε d(v); to a target, of any graph, \\|π − p\\| ≤ ε. Of a
        directed graph from a source ``error_bound`` gives the bound, the sum of all residuals. d is the weighted
        degree.
    dangling : {"self"}
        At a node without out-edges the walk stays: there is a self-loop as long as there is no other edge.

    Raises
    ------
    ValueError
        If alpha, epsilon or restart are out of range, none or several of source, target… are given, or `dangling` is
        another convention.

    Notes
    -----
    Memory: 21 bytes per node and column beside the graph. By the paper k updates cost O(k + 1/ε) from a random source
    of an undirected graph, and O(k + d̄/ε) to a random target, of an undirected graph or of a directed one whose
    edges come in random order, with d̄ the average degree.

    Examples
    --------
    >>> g = DynamicGraph.from_edges([("a", "b"), ("b", "c"), ("c", "a")])
    >>> ppr = DynamicPageRank(g, source="a", epsilon=1e-9)
    >>> ppr.insert("c", "d")
    >>> [label for label, score in ppr.scores().top(2)]
    ['a', 'c']
    >>> ppr.delete("c", "d")
    >>> round(ppr["b"], 6), ppr.error_bound("b") <= 2e-9
    (0.298246, True)
    """

    def __init__(
        self,
        graph: DynamicGraph,
        *,
        source: Hashable = None,
        target: Hashable = None,
        sources: Iterable[Hashable] | None = None,
        targets: Iterable[Hashable] | None = None,
        restart: Mapping[Any, float] | NDArray[np.float64] | str | None = None,
        alpha: float = 0.15,
        epsilon: float = 1e-6,
        dangling: str = "self",
    ) -> None:
        if not isinstance(graph, DynamicGraph):
            raise TypeError(f"graph must be a DynamicGraph, got {type(graph).__name__}: see DynamicGraph.from_networkx")
        given = {"source": source, "target": target, "sources": sources, "targets": targets, "restart": restart}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            got = " and ".join(named) or "none"
            raise ValueError(f"exactly one of source, target, sources, targets and restart must be given, got {got}")
        if dangling != "self":
            raise ValueError(
                f"dangling must be 'self' (the walk stays at a node without out-edges), got {dangling!r}; conventions "
                "under which it is absorbed or returns to the source are not offered"
            )
        self.graph = graph
        self.alpha = probability("alpha", alpha)
        self.epsilon = positive_number("epsilon", epsilon)
        self.forward = target is None and targets is None
        self.many = sources is not None or targets is not None
        self._updates = 0
        self._uniform = restart is not None and isinstance(restart, str)
        if restart is not None:
            self.origins: list[Any] = []
            self._columns = restarting_column(graph, restart)
        else:
            self.origins = listed(named[0], given[named[0]]) if self.many else [given[named[0]]]
            self._columns = columns_at(graph, self.origins, named[0])
        self._known = len(graph.nodes)
        self._version = graph.version
        self._push_everywhere()

    def insert(self, u: Hashable, v: Hashable, weight: float | None = None) -> None:
        """Insert an edge and repair; ValueError if it is there."""
        self.update([(u, v, 1, weight)])

    def delete(self, u: Hashable, v: Hashable) -> None:
        """Delete an edge and repair; ValueError if it is not there."""
        self.update([(u, v, -1)])

    def update(self, events: Any, *, batch: int | None = 1, multi: str = "error") -> None:
        """Follow events in order; if one of them is impossible nothing is changed.

        Parameters
        ----------
        events : array (k, 2), (k, 3) or (k, 4), or iterable of Edge
            Columns u, v, sign, weight.
        batch : int or None
            Push after so many events: fewer pushes, the same guarantee at the end of each batch. None: once at the end.
        multi : {"error", "ignore", "weight"}
            What the insertion of an edge that is there means: an error, nothing, or more weight. With ``"weight"`` a
            deletion that has a weight subtracts it.

        Raises
        ------
        ValueError
            If an event is malformed or impossible; it is named.
        RuntimeError
            If the graph was changed elsewhere: call `rebase` first.
        """
        size = None if batch is None else positive_integer("batch", batch)
        self._check_in_step()
        prepared, code = self.graph.admit(events, multi)
        self._version = self.graph.version
        self._reach_new_nodes()
        follow_all(self.graph, self._columns, prepared, size, code, self._rule)
        self._updates += len(prepared.tails)

    def scores(self, of: Hashable = None) -> Scores:
        """Return the estimate as a mapping from label to score.

        Parameters
        ----------
        of : hashable, optional
            Which source or target, where there are several.

        Raises
        ------
        ValueError
            If there are several and none of them is chosen, or `of` is not one of them.
        """
        self._check_in_step()
        return Scores(self.graph.nodes, self._values(self._columns.estimate, self._column(of)))

    def residual(self, of: Hashable = None) -> Scores:
        """Return the residual as a mapping from label to value; arguments as for `scores`."""
        self._check_in_step()
        return Scores(self.graph.nodes, self._values(self._columns.residual, self._column(of)))

    def __getitem__(self, label: Hashable) -> Any:
        """Score of one node; an array, one per source or target, where there are several. KeyError if unknown."""
        self._check_in_step()
        node = self.graph.nodes.position(label)
        scores = self._columns.estimate[:, node] / self._mass
        return scores.copy() if self.many else float(scores[0])

    def error_bound(self, label: Hashable, of: Hashable = None) -> float:
        """Return by how much the score of a node can be wrong at most, from the residuals as they are.

        From a source of an undirected graph it is at most ε d(v), to a target at most ε; from a source of a directed
        graph it is the sum of all residuals. O(nodes).
        """
        (low, high), node = self.error_interval(of), self.graph.nodes.position(label)
        return float(max(-low[node], high[node]))

    def error_interval(self, of: Hashable = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return bounds of π − p for every node, each of shape (nodes,): low ≤ π − p ≤ high; see `bounds`."""
        self._check_in_step()
        residual = self._values(self._columns.residual, self._column(of))
        degrees = None if self.graph.directed else self.graph.arrays.total[: len(residual)]
        return error_interval(residual, degrees, forward=self.forward)

    def top_k(self, k: int, *, of: Hashable = None, refine: bool = False, smallest_epsilon: float = 1e-12) -> TopK:
        """Return the k best nodes, and which of their places are certain; see `certified_top`.

        Parameters
        ----------
        k : int
        of : hashable, optional
            Which source or target, where there are several.
        refine : bool
            Make ε smaller, by factors of 4, until the set and the order are certain. It stays so small.
        smallest_epsilon : float
            Where to give up refining: equal scores can never be told apart.
        """
        positive_integer("k", k)
        positive_number("smallest_epsilon", smallest_epsilon)
        while True:
            found = certified_top(self.scores(of), *self.error_interval(of), k)
            if not refine or found.certain or self.epsilon / 4 < smallest_epsilon:
                return found
            self.refine(self.epsilon / 4)

    def compare(self, u: Hashable, v: Hashable, *, of: Hashable = None) -> int:
        """Return 1 if the score of `u` is certainly above that of `v`, -1 if below, 0 if the bounds leave it open."""
        scores, (low, high) = self.scores(of), self.error_interval(of)
        i, j = self.graph.nodes.position(u), self.graph.nodes.position(v)
        if scores[u] + low[i] > scores[v] + high[j]:
            return 1
        return -1 if scores[v] + low[j] > scores[u] + high[i] else 0

    def refine(self, epsilon: float) -> None:
        """Set another ε, and push what is too large for it."""
        self._check_in_step()
        self.epsilon = positive_number("epsilon", epsilon)
        self._push_everywhere()

    def rebase(self) -> None:
        """Compute the residual anew from the estimate, and push: after long streams or changes elsewhere; O(edges)."""
        self._reach_new_nodes()
        self._version = self.graph.version
        nodes = len(self.graph.nodes)
        for column in range(len(self._columns.origins)):
            self._columns.residual[column, :nodes] += self._deviation(column) / self.alpha
        self._push_everywhere()

    def invariant_violation(self) -> float:
        """Return the largest deviation from the invariant over all nodes and columns: rounding errors; O(edges)."""
        self._check_in_step()
        return max(float(np.abs(self._deviation(column)).max()) for column in range(len(self._columns.origins)))

    @property
    def stats(self) -> Stats:
        """Updates, pushes and edges touched so far, over all sources or targets."""
        return Stats(self._updates, *map(int, self._columns.counts.sum(axis=0)))

    def save(self, path: str | Path) -> None:
        """Write graph and state to an .npz file, from which `load` resumes the stream."""
        from reprise.dynamic_pagerank.storage import save

        save(self, path)

    @property
    def _mass(self) -> float:
        """Total of the restart distribution as it is kept: new nodes must not change what the others have."""
        return float(len(self.graph.nodes)) if self._uniform else 1.0

    @property
    def _rule(self) -> tuple[float, float, bool]:
        return self.alpha, self.epsilon * self._mass, self.forward

    def _column(self, of: Hashable) -> int:
        if not self.many:
            if of is not None and of not in self.origins:
                raise ValueError(f"of must be one of {self.origins}, got {of!r}")
            return 0
        if of is None or of not in self.origins:
            raise ValueError(f"of must be one of the {len(self.origins)} sources or targets, got {of!r}")
        return self.origins.index(of)

    def _values(self, array: NDArray[np.float64], column: int) -> NDArray[np.float64]:
        return array[column, : len(self.graph.nodes)] / self._mass

    def _deviation(self, column: int) -> NDArray[np.float64]:
        nodes = len(self.graph.nodes)
        return deviation(self.graph.arrays, self._columns, column, nodes, self.alpha, forward=self.forward)

    def _check_in_step(self) -> None:
        if self._version != self.graph.version:
            raise RuntimeError("the graph was changed elsewhere since the last update: call rebase() first")
        self._reach_new_nodes()

    def _reach_new_nodes(self) -> None:
        self._columns = push.with_nodes(self._columns, len(self.graph.arrays.total))
        if self._uniform:
            for node in range(self._known, len(self.graph.nodes)):
                self._columns.residual[0, node] = 1.0
                push.push_from(self.graph.arrays, self._columns, 0, node, *self._rule)
        self._known = len(self.graph.nodes)

    def _push_everywhere(self) -> None:
        nodes = len(self.graph.nodes)
        if len(self._columns.origins) > 1:
            push.push_all_in_parallel(self.graph.arrays, self._columns, nodes, *self._rule)
        else:
            push.push_all(self.graph.arrays, self._columns, 0, nodes, *self._rule)
