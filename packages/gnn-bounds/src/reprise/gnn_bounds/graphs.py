"""Labelled graphs with node features, from whatever the user has, and the one-hot features of the literature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import networkx  # type: ignore[import-untyped]
import numpy as np
from scipy import sparse

from reprise.gnn_bounds.diffusion import adjacency_matrix
from reprise.gnn_bounds.validation import choice

Array = np.ndarray[Any, Any]
FeatureKind = Literal["degree", "tag", "constant"]


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph, its node features and its label.

    Parameters
    ----------
    adjacency : csr_array, shape (n, n)
    features : ndarray, shape (n, d), optional
        X.
    label : int
        −1 where there is none.
    tags : ndarray of int, shape (n,), optional
        Node labels of the data set.

    Raises
    ------
    ValueError, TypeError
        If `adjacency` is none (see `adjacency_matrix`), or `features` or `tags` do not have one row per node or are
        not finite.
    """

    adjacency: sparse.csr_array
    features: Array | None = None
    label: int = -1
    tags: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "adjacency", adjacency_matrix(self.adjacency))
        nodes = self.nodes
        if self.features is not None:
            object.__setattr__(self, "features", feature_matrix(self.features, nodes))
        if self.tags is not None and np.shape(self.tags) != (nodes,):
            raise ValueError(f"tags must have one entry per node ({nodes}), got shape {np.shape(self.tags)}")

    @property
    def nodes(self) -> int:
        """Number of nodes n."""
        return int(self.adjacency.shape[0])

    @property
    def degrees(self) -> Array:
        """Number of neighbours of every node (n,), self-loops not counted."""
        counts = np.diff(self.adjacency.indptr) - (self.adjacency.diagonal() != 0)
        return np.asarray(counts, dtype=np.int64)


def feature_matrix(features: Any, nodes: int) -> Array:
    """Node features as a float array (n, d).

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If they do not have one row per node, or are not finite.
    """
    try:
        array = np.asarray(features.detach().cpu() if hasattr(features, "detach") else features)
        array = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"features must be a matrix of real numbers, got {type(features).__name__}") from error
    if array.ndim != 2 or array.shape[0] != nodes or array.shape[1] == 0:
        raise ValueError(f"features must have one row per node ({nodes}) and a column, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("features must be finite")
    return array


def as_graph(graph: Any) -> Graph:
    """Graph of an object that has one.

    Parameters
    ----------
    graph : Graph, torch_geometric Data (`edge_index`, `x`, `y`), networkx graph, or adjacency matrix
        Features of networkx nodes are read from their attribute ``x``.

    Raises
    ------
    ValueError, TypeError
        See `Graph` and `adjacency_matrix`.
    """
    if isinstance(graph, Graph):
        return graph
    if hasattr(graph, "edge_index"):
        features = getattr(graph, "x", None)
        nodes = int(features.shape[0] if features is not None else graph.num_nodes)
        label = getattr(graph, "y", None)
        if label is not None and label.numel() != 1:
            raise ValueError(f"y must hold one label per graph, got shape {tuple(label.shape)}")
        adjacency = adjacency_matrix(graph.edge_index, nodes=nodes)
        return Graph(adjacency, features, -1 if label is None else int(label))
    if isinstance(graph, networkx.Graph):
        rows = [attributes.get("x") for _, attributes in graph.nodes(data=True)]
        features = None if any(row is None for row in rows) else np.stack([np.atleast_1d(row) for row in rows])
        return Graph(adjacency_matrix(graph), features, int(graph.graph.get("label", -1)))
    return Graph(adjacency_matrix(graph))


def as_graphs(graphs: Iterable[Any]) -> list[Graph]:
    """List of graphs, at least one.

    Raises
    ------
    TypeError, ValueError
        If there is none, or one is no graph; the message says which.
    """
    if isinstance(graphs, (str, Graph, networkx.Graph)) or not isinstance(graphs, Iterable):
        raise TypeError(f"graphs must be a list of graphs, got {type(graphs).__name__}")
    found = []
    for index, graph in enumerate(graphs):
        try:
            found.append(as_graph(graph))
        except (ValueError, TypeError) as error:
            raise type(error)(f"graphs[{index}]: {error}") from error
    if not found:
        raise ValueError("graphs must hold at least one graph, got none")
    return found


def with_features(graphs: Sequence[Graph], kind: FeatureKind = "degree") -> list[Graph]:
    """The graphs with one-hot or constant node features.

    Parameters
    ----------
    graphs : sequence of Graph
    kind : "degree", "tag" or "constant"
        One-hot degree with max degree + 1 columns, one-hot node label, or a single column of ones.

    Returns
    -------
    list of Graph
        All with the same number of columns.

    Raises
    ------
    ValueError
        For an unknown kind, no graph, or tags that are missing or negative.
    """
    choice("kind", kind, ("degree", "tag", "constant"))
    graphs = as_graphs(graphs)
    if kind == "constant":
        return [replace(graph, features=np.ones((graph.nodes, 1), dtype=np.float32)) for graph in graphs]
    if kind == "degree":
        classes = [graph.degrees for graph in graphs]
    else:
        missing = next((index for index, graph in enumerate(graphs) if graph.tags is None), None)
        if missing is not None:
            raise ValueError(f"graphs[{missing}] must have tags for one-hot tags, got none")
        classes = [np.asarray(graph.tags) for graph in graphs]
        if min(int(part.min()) for part in classes) < 0:
            raise ValueError("tags must not be negative")
    width = max(int(part.max()) for part in classes) + 1
    eye = np.eye(width, dtype=np.float32)
    return [replace(graph, features=eye[part]) for graph, part in zip(graphs, classes)]
