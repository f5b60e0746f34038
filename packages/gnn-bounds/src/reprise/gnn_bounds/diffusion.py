"""Diffusion matrices of graphs: what a message-passing layer multiplies node features with.

=============  ======================================  ================================================
kind           P                                       spectral norm
=============  ======================================  ================================================
``gcn``        D̃^(-1/2) (A + I) D̃^(-1/2)              1, exactly
``adjacency``  A                                       between max(average degree, √d) and d
``mean``       D^(-1) A                                1 on regular graphs, √m on the star with m leaves
``gin``        A + (1 + ε) I                           ‖A‖ + 1 + ε
``ppr``        α (I − (1 − α) D^(-1/2) A D^(-1/2))^(-1)  at most 1 (1 where a component has an edge)
``scaled``     A / ‖A‖                                 1
=============  ======================================  ================================================
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import networkx  # type: ignore[import-untyped]
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from reprise.gnn_bounds.validation import choice, number

Kind = Literal["gcn", "adjacency", "mean", "gin", "ppr", "scaled"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LOCAL: tuple[Kind, ...] = ("gcn", "adjacency", "mean", "gin")  # of a disjoint union, the union of the diffusions


def adjacency_matrix(graph: Any, *, nodes: int | None = None) -> sparse.csr_array:
    """Adjacency matrix of an undirected graph.

    Parameters
    ----------
    graph : sparse array or matrix (n, n), dense array (n, n), edge index (2, m), or networkx graph
        An edge index is a tensor or array of two rows of whole numbers (as in torch_geometric) with both directions of
        every edge; a 2 × 2 array counts as a matrix unless `nodes` is given. networkx weights are read where present.
    nodes : int, optional
        Number of nodes of an edge index; the largest index + 1 by default.

    Returns
    -------
    csr_array, shape (n, n), float64
        Symmetric, not negative.

    Raises
    ------
    TypeError
        If `graph` is none of these.
    ValueError
        If it has no node, is not square or symmetric, or holds negative or non-finite weights.
    """
    if isinstance(graph, networkx.Graph):
        if len(graph) == 0:
            raise ValueError("graph must have at least one node, got none")
        matrix = sparse.csr_array(networkx.to_scipy_sparse_array(graph, dtype=np.float64))
    elif sparse.issparse(graph):
        matrix = sparse.csr_array(graph).astype(np.float64)
    else:
        matrix = _from_array(graph, nodes)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"adjacency must be square, got shape {matrix.shape}")
    if matrix.shape[0] == 0:
        raise ValueError("graph must have at least one node, got none")
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("adjacency must hold finite weights that are not negative")
    if not is_symmetric(matrix):
        raise ValueError("adjacency must be symmetric: give both directions of every edge")
    matrix.eliminate_zeros()
    return matrix


def _from_array(graph: Any, nodes: int | None) -> sparse.csr_array:
    try:
        array = np.asarray(graph.detach().cpu() if hasattr(graph, "detach") else graph)
        numeric = np.issubdtype(array.dtype, np.number) or array.dtype == bool
    except (TypeError, ValueError) as error:
        raise TypeError(f"graph must be a matrix, an edge index or a networkx graph, got {type(graph)}") from error
    if not numeric or np.iscomplexobj(array):
        raise TypeError(f"graph must be a matrix, an edge index or a networkx graph, got {type(graph).__name__}")
    if array.ndim != 2:
        raise ValueError(f"adjacency must be square, or an edge index of shape (2, m), got shape {array.shape}")
    whole = np.issubdtype(array.dtype, np.integer)
    if array.shape[0] == 2 and whole and (array.shape[1] != 2 or nodes is not None):
        count = int(array.max(initial=-1)) + 1 if nodes is None else nodes
        if array.size and (array.min() < 0 or array.max() >= count):
            raise ValueError(f"edge index must lie between 0 and {count - 1}, got {array.min()} to {array.max()}")
        weights = np.ones(array.shape[1])
        return sparse.csr_array((weights, (array[0], array[1])), shape=(count, count))
    return sparse.csr_array(array.astype(np.float64))


def is_symmetric(matrix: sparse.csr_array) -> bool:
    """Whether a square sparse matrix equals its transpose, to rounding."""
    difference = abs(matrix - matrix.T)
    largest = float(abs(matrix).max()) if matrix.nnz else 0.0
    return difference.nnz == 0 or float(difference.max()) <= 1e-12 * largest


def diffusion_matrix(
    adj: Any, kind: Kind = "gcn", *, epsilon: float = 0.0, alpha: float = 0.15, nodes: int | None = None
) -> sparse.csr_array:
    """Diffusion matrix P of a graph.

    Parameters
    ----------
    adj : sparse or dense matrix (n, n), edge index (2, m), or networkx graph
        See `adjacency_matrix`. Isolated nodes are legal.
    kind : "gcn", "adjacency", "mean", "gin", "ppr" or "scaled"
        See the table at the head of this module.
    epsilon : float
        Weight of the self-loop of GIN beyond 1; at least −1.
    alpha : float
        Teleport probability of personalised PageRank, in (0, 1].
    nodes : int, optional
        Number of nodes of an edge index.

    Returns
    -------
    csr_array, shape (n, n), float64
        PPR is dense in every component of the graph: O(n²) memory.

    Raises
    ------
    ValueError, TypeError
        See `adjacency_matrix`; also for an unknown `kind`, or `epsilon` or `alpha` out of range.

    Examples
    --------
    >>> diffusion_matrix([[0, 1], [1, 0]], "gcn").toarray().round(12).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    choice("kind", kind, KINDS)
    return diffuse(adjacency_matrix(adj, nodes=nodes), kind, epsilon=epsilon, alpha=alpha)


def diffuse(matrix: sparse.csr_array, kind: Kind, *, epsilon: float = 0.0, alpha: float = 0.15) -> sparse.csr_array:
    """`diffusion_matrix` of an adjacency matrix that `adjacency_matrix` has checked."""
    size = matrix.shape[0]
    if kind == "adjacency":
        return matrix
    identity = sparse.csr_array(sparse.eye_array(size, format="csr"))
    if kind == "gin":
        return sparse.csr_array(matrix + (1 + number("epsilon", epsilon, least=-1.0, most=1e12)) * identity)
    if kind == "gcn":
        return _normalised(sparse.csr_array(matrix + identity))
    if kind == "mean":
        degrees = np.asarray(matrix.sum(axis=1)).ravel()
        # an isolated node has nothing to take the mean of: its row stays zero
        inverse = np.divide(1.0, degrees, out=np.ones(size), where=degrees > 0)
        return _with(matrix, matrix.data * np.repeat(inverse, np.diff(matrix.indptr)))
    if kind == "scaled":
        from reprise.gnn_bounds.spectral import spectral_norm

        norm = spectral_norm(matrix)
        return matrix / norm if norm > 0 else matrix
    teleport = number("alpha", alpha, above=0.0)
    if teleport > 1:
        raise ValueError(f"alpha must be at most 1, got {teleport:g}")
    system = sparse.csc_array(identity - (1 - teleport) * _normalised(matrix))
    inverse = linalg.splu(system).solve(np.eye(size))
    symmetric = teleport * (inverse + inverse.T) / 2
    symmetric[symmetric < 1e-15] = 0.0
    return sparse.csr_array(symmetric)


def _normalised(matrix: sparse.csr_array) -> sparse.csr_array:
    """D^(-1/2) M D^(-1/2), rows of isolated nodes left at zero."""
    degrees = np.asarray(matrix.sum(axis=1)).ravel()
    root = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
    return _with(matrix, matrix.data * np.repeat(root, np.diff(matrix.indptr)) * root[matrix.indices])


def _with(matrix: sparse.csr_array, data: np.ndarray[Any, Any]) -> sparse.csr_array:
    """The matrix with other entries in the same places."""
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
