"""Static use: the same code on a graph that does not change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank


def as_graph(G: Any, *, directed: bool = False, weight: str | None = None) -> DynamicGraph:
    """Return `G` as a DynamicGraph.

    Parameters
    ----------
    G : DynamicGraph, networkx graph, scipy sparse array (n, n), or edges
        A sparse array A has an edge i→j of weight A[i, j] for every entry, and has to be symmetric if undirected.
    directed : bool
        Of sparse arrays and edges; the others know.
    weight : str, optional
        Edge attribute of a networkx graph.

    Raises
    ------
    ValueError
        If a sparse array is not square, or not symmetric though undirected.
    TypeError
        If `G` is nothing of this.
    """
    if isinstance(G, DynamicGraph):
        return G
    if hasattr(G, "is_multigraph"):
        return DynamicGraph.from_networkx(G, weight=weight)
    if hasattr(G, "tocoo"):
        return _from_sparse(G, directed)
    return DynamicGraph.from_edges(G, directed=directed)


def personalized_pagerank(
    G: Any,
    source: Hashable,
    alpha: float = 0.15,
    epsilon: float = 1e-6,
    *,
    directed: bool = False,
    weight: str | None = None,
) -> dict[Any, float]:
    """Return approximate personalized PageRank from a source, as a dict like that of networkx.

    Parameters
    ----------
    G : DynamicGraph, networkx graph, scipy sparse array or edges
    source : hashable
    alpha : float
        Probability of stopping; networkx's ``alpha`` is 1 − α.
    epsilon : float
        On undirected graphs the error of a node is at most ε times its degree.
    directed : bool
        For sparse arrays and edges.
    weight : str, optional
        Edge attribute of a networkx graph.

    Returns
    -------
    dict
        From label to score.

    Raises
    ------
    KeyError
        If `source` is not in the graph.

    Notes
    -----
    Andersen, Chung and Lang (2006): O(1/(α ε)) edges touched, however large the graph. A node without out-edges keeps
    the walk, while networkx lets it restart; on graphs without such nodes both agree.

    Examples
    --------
    >>> scores = personalized_pagerank([(0, 1), (1, 2), (2, 0)], source=0, epsilon=1e-12)
    >>> round(scores[0], 6), round(sum(scores.values()), 6)
    (0.403509, 1.0)
    """
    graph = as_graph(G, directed=directed, weight=weight)
    graph.nodes.position(source)
    return dict(DynamicPageRank(graph, source=source, alpha=alpha, epsilon=epsilon).scores())


def _from_sparse(matrix: Any, directed: bool) -> DynamicGraph:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a sparse array must be square, got shape {matrix.shape}")
    if not directed and (abs(matrix - matrix.T) > 0).nnz:
        raise ValueError("a sparse array must be symmetric, got one that is not; directed=True reads it as it is")
    entries = matrix.tocoo()
    # Entries that are stored as zero are no edges.
    kept = (entries.data != 0) & (directed | (entries.row <= entries.col))
    weights = np.asarray(entries.data[kept], dtype=float)
    weighted = bool((weights != 1).any())
    columns = (entries.row[kept], entries.col[kept], np.ones(len(weights)), weights)
    edges = np.column_stack(columns if weighted else columns[:2])
    return DynamicGraph.from_edges(edges, directed=directed, weighted=weighted, nodes=matrix.shape[0])
