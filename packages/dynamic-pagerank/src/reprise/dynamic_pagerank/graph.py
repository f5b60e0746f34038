"""The dynamic graph: nodes by label, edges inserted and deleted in O(1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank import adjacency
from reprise.dynamic_pagerank.edge_table import slots_for
from reprise.dynamic_pagerank.edges import slot_of, weight_at
from reprise.dynamic_pagerank.events import EventList, Events, as_events
from reprise.dynamic_pagerank.follow import (
    ABSENT,
    ADD,
    DUPLICATE,
    IGNORE,
    POSSIBLE,
    REFUSE,
    apply_only,
    first_impossible,
)
from reprise.dynamic_pagerank.nodes import NodeIndex
from reprise.dynamic_pagerank.repair import empty_changes
from reprise.dynamic_pagerank.scans import edge_arrays
from reprise.dynamic_pagerank.validation import boolean, one_of, positive_integer

MULTI = {"error": REFUSE, "ignore": IGNORE, "weight": ADD}


class DynamicGraph:
    """A graph that changes edge by edge.

    Parameters
    ----------
    directed, weighted : bool
    nodes : int or iterable of hashable, optional
        A number n says that the labels are the integers 0…n−1 (fastest); otherwise the labels known from the start.
        Unseen labels are added when they come.

    Notes
    -----
    Every edge is kept in the lists of both its ends, 4 bytes each (12 with weights), in blocks whose sizes are powers
    of two, and once in a hash table of 16 bytes a slot. Insertion, deletion and `has_edge` take O(1). A self-loop
    counts once in the degree, also in undirected graphs.

    Examples
    --------
    >>> g = DynamicGraph()
    >>> g.add_edge("a", "b")
    >>> g.add_edge("b", "c")
    >>> g.remove_edge("a", "b")
    >>> g.degree("b"), g.number_of_edges()
    (1, 1)
    """

    def __init__(
        self, *, directed: bool = False, weighted: bool = False, nodes: int | Iterable[Hashable] | None = None
    ) -> None:
        self.directed = boolean("directed", directed)
        self.weighted = boolean("weighted", weighted)
        self.nodes = NodeIndex(nodes)
        self.arrays = adjacency.empty(max(len(self.nodes), 1), directed=self.directed, weighted=self.weighted)
        # Counts changes, so that who follows the graph notices what it has missed.
        self.version = 0

    @classmethod
    def from_edges(
        cls,
        edges: Any,
        *,
        directed: bool = False,
        weighted: bool = False,
        nodes: int | Iterable[Hashable] | None = None,
        multi: str = "error",
        by_degree: bool = False,
    ) -> Self:
        """Return the graph of an edge array.

        Parameters
        ----------
        edges : array (k, 2), (k, 3) or (k, 4), or iterable
            As for `update`.
        directed, weighted, nodes
            As in the constructor.
        multi : {"error", "ignore", "weight"}
            What a repeated edge means.
        by_degree : bool
            Number the nodes by falling degree: those that are touched most lie together in memory.

        Raises
        ------
        ValueError
            If an edge is malformed or impossible.
        """
        found = as_events(edges)
        if by_degree:
            if nodes is not None:
                raise ValueError("by_degree numbers the nodes itself: leave nodes out")
            ends = _both(found.tails, found.heads)
            # An array would make texts of labels of several kinds.
            if isinstance(ends, np.ndarray) and ends.dtype.kind != "O":
                labels, counts = np.unique(ends, return_counts=True)
                nodes = labels[np.argsort(-counts, kind="stable")].tolist()
            else:
                nodes = [label for label, _ in Counter(map(_plain, ends)).most_common()]
        graph = cls(directed=directed, weighted=weighted, nodes=nodes)
        graph.reserve(len(found))
        graph.update(found, multi=multi)
        return graph

    @classmethod
    def from_networkx(cls, G: Any, *, weight: str | None = None) -> Self:
        """Return a graph with the nodes and edges of a networkx graph.

        Parameters
        ----------
        G : networkx.Graph or networkx.DiGraph
        weight : str, optional
            Edge attribute that holds weights (1 where an edge lacks it); unweighted unless given.

        Raises
        ------
        ValueError
            If `G` is a multigraph.
        """
        if not hasattr(G, "is_multigraph"):
            raise TypeError(f"G must be a networkx graph, got {type(G).__name__}")
        if G.is_multigraph():
            raise ValueError("G must have at most one edge between two nodes, got a multigraph")
        graph = cls(directed=G.is_directed(), weighted=weight is not None, nodes=list(G.nodes()))
        if weight is None:
            graph.update([(u, v) for u, v in G.edges()])
        else:
            graph.update([(u, v, 1, w) for u, v, w in G.edges(data=weight, default=1.0)])
        return graph

    def add_edge(self, u: Hashable, v: Hashable, weight: float | None = None) -> None:
        """Insert an edge; ValueError if it is there."""
        self.update([(u, v, 1, weight)])

    def remove_edge(self, u: Hashable, v: Hashable) -> None:
        """Delete an edge; ValueError if it is not there."""
        self.update([(u, v, -1)])

    def update(self, events: Any, *, multi: str = "error") -> None:
        """Insert and delete edges in order; if one of the events is impossible nothing is changed.

        Parameters
        ----------
        events : array (k, 2), (k, 3) or (k, 4), or iterable of Edge
            Columns u, v, sign, weight.
        multi : {"error", "ignore", "weight"}
            What the insertion of an edge that is there means: an error, nothing, or more weight. With ``"weight"`` a
            deletion that has a weight subtracts it.

        Raises
        ------
        ValueError
            If an event is malformed or impossible; it is named.
        """
        prepared, code = self.admit(events, multi)
        changes = empty_changes(2 * 1024)
        begin = 0
        while begin < len(prepared.tails):
            begin, status = apply_only(self.arrays, prepared, begin, code, changes)
            self.make_room(status)

    def admit(self, events: Any, multi: str) -> tuple[Events, int]:
        """Check events as a whole and number their nodes; what follows cannot fail any more.

        Raises
        ------
        ValueError
            If an event is malformed or impossible; then nothing was changed.
        """
        code = MULTI[one_of("multi", multi, tuple(MULTI))]
        if code == ADD and not self.weighted:
            raise ValueError("multi='weight' needs a weighted graph, got one with weighted=False")
        listed = as_events(events)
        if not self.weighted and (bad := ~np.isnan(listed.weights) & (listed.weights != 1)).any():
            i = int(np.argmax(bad))
            raise ValueError(f"event {i} has weight {listed.weights[i]:g}, but the graph has weighted=False")
        size = len(listed)
        ends, new = self.nodes.locate(_both(listed.tails, listed.heads))
        weights = np.where((listed.signs > 0) & np.isnan(listed.weights), 1.0, listed.weights)
        prepared = Events(ends[:size], ends[size:], listed.signs, weights)
        first, reason = first_impossible(self.arrays, prepared, code)
        if reason != POSSIBLE:
            self._refuse(listed, first, reason)
        self.nodes.adopt(new)
        if len(self.nodes) > len(self.arrays.total):
            self.arrays = adjacency.with_nodes(self.arrays, max(len(self.nodes), 2 * len(self.arrays.total)))
        self.version += size > 0
        return prepared, code

    def make_room(self, status: int) -> None:
        """Double what the kernels found too small."""
        if status != adjacency.OK:
            self.arrays = adjacency.grown(self.arrays, status)

    def add_node(self, label: Hashable) -> int:
        """Return the position of a node; it is added if it is not there."""
        positions, new = self.nodes.locate([label])
        self.nodes.adopt(new)
        if len(self.nodes) > len(self.arrays.total):
            self.arrays = adjacency.with_nodes(self.arrays, max(len(self.nodes), 2 * len(self.arrays.total)))
        return int(positions[0])

    def reserve(self, edges: int) -> None:
        """Make room for so many edges at once."""
        edges = positive_integer("edges", edges, minimum=0)
        self.arrays = adjacency.with_slots(self.arrays, slots_for(edges))
        self.arrays = adjacency.with_entries(self.arrays, 2 * edges)

    def degree(self, v: Hashable) -> int:
        """Return the number of out-neighbours (of neighbours, if undirected); KeyError for an unknown node."""
        return int(self.arrays.degree[0, self.nodes.position(v)])

    def neighbors(self, v: Hashable) -> list[Any]:
        """Return the out-neighbours of a node, in no particular order; KeyError for an unknown node."""
        node = self.nodes.position(v)
        begin = self.arrays.start[0, node]
        return [self.nodes.label(u) for u in self.arrays.pool[begin : begin + self.arrays.degree[0, node]]]

    def has_edge(self, u: Hashable, v: Hashable) -> bool:
        """Return whether there is an edge from `u` to `v`."""
        return self.edge_weight(u, v) > 0

    def edge_weight(self, u: Hashable, v: Hashable) -> float:
        """Return the weight of an edge, 0 where there is none; 1 in unweighted graphs."""
        try:
            tail, head = self.nodes.position(u), self.nodes.position(v)
        except KeyError:
            return 0.0
        slot = slot_of(self.arrays, tail, head)
        return float(weight_at(self.arrays, slot, tail, head)) if slot >= 0 else 0.0

    def edges(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the ends of all edges by position, (m, 2), and their weights, (m,)."""
        ends, weights = edge_arrays(self.arrays, len(self.nodes))
        return ends, weights

    def number_of_nodes(self) -> int:
        """Return how many nodes there are."""
        return len(self.nodes)

    def number_of_edges(self) -> int:
        """Return how many edges there are."""
        return int(self.arrays.meta[adjacency.EDGES])

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes of the lists and of the hash table."""
        table = self.arrays.table.nbytes
        return {"lists": sum(array.nbytes for array in self.arrays) - table, "hash": table}

    def __repr__(self) -> str:
        kind = f"{'directed' if self.directed else 'undirected'}{', weighted' if self.weighted else ''}"
        return f"DynamicGraph({kind}, {self.number_of_nodes()} nodes, {self.number_of_edges()} edges)"

    def _refuse(self, events: EventList, i: int, reason: int) -> NoReturn:
        edge = f"{_plain(events.tails[i])!r} to {_plain(events.heads[i])!r}"
        if reason == ABSENT:
            raise ValueError(f"event {i} deletes the edge from {edge}, which is not there; nothing was changed")
        if reason == DUPLICATE:
            raise ValueError(
                f"event {i} inserts the edge from {edge}, which is there; multi='ignore' skips it, "
                "multi='weight' adds its weight; nothing was changed"
            )
        raise ValueError(
            f"event {i} subtracts {events.weights[i]:g} from the edge from {edge}, which has less; nothing was changed"
        )


def _both(tails: Any, heads: Any) -> Any:
    if isinstance(tails, np.ndarray) and isinstance(heads, np.ndarray):
        return np.concatenate([tails, heads])
    return [*tails, *heads]


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
