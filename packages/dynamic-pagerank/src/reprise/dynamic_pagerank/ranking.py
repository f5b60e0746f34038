"""Static certified top-k."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from reprise.dynamic_pagerank.certified import TopK
from reprise.dynamic_pagerank.pagerank import DynamicPageRank
from reprise.dynamic_pagerank.static import as_graph


def top_k(
    G: Any,
    source: Hashable,
    k: int,
    *,
    alpha: float = 0.15,
    epsilon: float = 1e-4,
    smallest_epsilon: float = 1e-12,
    directed: bool = False,
) -> TopK:
    """Return the `k` nodes of highest personalized PageRank from a source, computed only as exactly as that needs.

    Parameters
    ----------
    G : DynamicGraph, networkx graph, scipy sparse array or edges
    source : hashable
    k : int
    alpha : float
        Probability of stopping.
    epsilon : float
        Where to begin; made smaller by factors of 4 until the order is certain.
    smallest_epsilon : float
        Where to give up: equal scores can never be told apart. `TopK.place_certain` says how far it came.
    directed : bool
        For sparse arrays and edges.

    Raises
    ------
    KeyError
        If `source` is not in the graph.

    Examples
    --------
    >>> found = top_k([("a", "b"), ("b", "c"), ("c", "d")], "a", 3)
    >>> found.labels, found.certain
    (['b', 'a', 'c'], True)
    """
    graph = as_graph(G, directed=directed)
    graph.nodes.position(source)
    ranked = DynamicPageRank(graph, source=source, alpha=alpha, epsilon=epsilon)
    return ranked.top_k(k, refine=True, smallest_epsilon=smallest_epsilon)
