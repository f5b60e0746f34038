"""What the bounds need of a set of graphs: degrees, spectral norms of the diffusion, norms of the features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from reprise.gnn_bounds.diffusion import KINDS, Kind, diffuse
from reprise.gnn_bounds.graphs import Graph, as_graphs
from reprise.gnn_bounds.spectral import spectral_norms
from reprise.gnn_bounds.validation import choice

Array = np.ndarray[Any, Any]
FeatureNorm = Literal["spectral", "row", "mean"]


@dataclass(frozen=True)
class GraphStatistics:
    """Norms of every graph of a set.

    Parameters
    ----------
    kind : str
        The diffusion.
    nodes, degree, spectral : ndarray, shape (G,)
        Number of nodes, largest degree (self-loops not counted) and ‖P_G‖_2 of each graph.
    feature_spectral, feature_row, feature_mean : ndarray, shape (G,)
        ‖X‖_2, the largest norm of a row of X, and ‖X‖_F/√n; all 1 where graphs have no features.
    """

    kind: Kind
    nodes: Array
    degree: Array
    spectral: Array
    feature_spectral: Array
    feature_row: Array
    feature_mean: Array

    @property
    def max_degree(self) -> int:
        """Largest degree of the set."""
        return int(self.degree.max())

    @property
    def max_spectral(self) -> float:
        """Largest ‖P_G‖_2 of the set."""
        return float(self.spectral.max())

    def feature(self, norm: FeatureNorm) -> Array:
        """The chosen norm of every graph's features, shape (G,)."""
        choice("feature_norm", norm, ("spectral", "row", "mean"))
        return {"spectral": self.feature_spectral, "row": self.feature_row, "mean": self.feature_mean}[norm]

    def subset(self, chosen: Sequence[int]) -> GraphStatistics:
        """Those of the chosen graphs."""
        index = np.asarray(chosen, dtype=np.int64)
        return replace(self, **{field.name: getattr(self, field.name)[index] for field in fields(self)[1:]})

    def __len__(self) -> int:
        return len(self.nodes)


def graph_statistics(
    graphs: Iterable[Any], kind: Kind = "gcn", *, epsilon: float = 0.0, alpha: float = 0.15, tol: float = 1e-8
) -> GraphStatistics:
    """Degrees, spectral norms and feature norms of a set of graphs.

    Parameters
    ----------
    graphs : iterable of Graph, torch_geometric Data, networkx graphs or adjacency matrices
    kind : str
        See `diffusion_matrix`; so for `epsilon` and `alpha`.
    tol : float
        Relative accuracy of the spectral norms.

    Returns
    -------
    GraphStatistics

    Raises
    ------
    ValueError, TypeError
        If there is no graph, or one is malformed.

    Notes
    -----
    The norm of GCN's diffusion is 1 exactly (eigenvector D̃^(1/2) 1) and that of GIN ‖A‖ + 1 + ε; neither is computed.
    The spectral norm of one-hot features is the root of the largest class. O(edges) beside that of other features.

    Examples
    --------
    >>> import networkx
    >>> round(graph_statistics([networkx.star_graph(9)], "adjacency").max_spectral, 8)
    3.0
    """
    choice("kind", kind, KINDS)
    found = as_graphs(graphs)
    nodes = np.array([graph.nodes for graph in found])
    if kind == "gcn":
        norms = np.ones(len(found))
    else:
        base: Kind = "adjacency" if kind == "gin" else kind
        blocks = [diffuse(graph.adjacency, base, alpha=alpha) for graph in found]
        norms = spectral_norms(blocks, tol=tol)
        if kind == "gin":
            diffuse(found[0].adjacency, "gin", epsilon=epsilon)  # checks epsilon
            norms = norms + 1 + epsilon
    features = [_feature_norms(graph) for graph in found]
    spectral, row, mean = (np.array(column) for column in zip(*features))
    degree = np.array([int(graph.degrees.max()) for graph in found])
    return GraphStatistics(kind, nodes, degree, norms, spectral, row, mean)


def _feature_norms(graph: Graph) -> tuple[float, float, float]:
    """‖X‖_2, max row norm and ‖X‖_F/√n."""
    if graph.features is None:
        return 1.0, 1.0, 1.0
    X = graph.features.astype(np.float64)
    squares = (X * X).sum(axis=1)
    one_hot = np.isin(X, (0.0, 1.0)).all() and (squares == 1).all()
    spectral = np.sqrt(X.sum(axis=0).max()) if one_hot else np.linalg.norm(X, 2)
    return float(spectral), float(np.sqrt(squares.max())), float(np.sqrt(squares.mean()))
