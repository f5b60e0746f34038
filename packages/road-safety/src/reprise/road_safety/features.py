"""Features of nodes and edges that the network itself has, and what the past says of an edge."""

from __future__ import annotations

from typing import Any

import igraph
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from reprise.road_safety.validation import integer

# Degrees from here on share the last indicator, as in the authors' files.
LARGEST_DEGREE = 6


def adjacency(edge_index: np.ndarray, num_nodes: int) -> sparse.csr_array:
    """Return the symmetric adjacency matrix with the number of edges between two nodes, shape (N, N)."""
    u, v = edge_index
    ends = (np.concatenate([u, v]), np.concatenate([v, u]))
    return sparse.csr_array((np.ones(2 * len(u)), ends), shape=(num_nodes, num_nodes))


def structural_features(edge_index: np.ndarray, num_nodes: int, *, sources: int = 5000, seed: int = 0) -> np.ndarray:
    """Return the 17 "centrality" columns of the authors' files, shape (N, 17).

    Parameters
    ----------
    edge_index : ndarray of int, shape (2, E)
    num_nodes : int
    sources : int
        Betweenness is exact up to so many nodes, and sampled from so many beyond.
    seed : int
        Of the sample.

    Returns
    -------
    ndarray, shape (N, 17)
        Out- and in-degree (at most 6), betweenness, and indicators of both degrees from 0 to 6.
    """
    u, v = edge_index
    out = np.minimum(np.bincount(u, minlength=num_nodes), LARGEST_DEGREE)
    into = np.minimum(np.bincount(v, minlength=num_nodes), LARGEST_DEGREE)
    one_hot = np.eye(LARGEST_DEGREE + 1)
    between = betweenness(edge_index, num_nodes, sources=sources, seed=seed)
    return np.column_stack([out, into, between, one_hot[out], one_hot[into]])


def betweenness(edge_index: np.ndarray, num_nodes: int, *, sources: int = 5000, seed: int = 0) -> np.ndarray:
    """Return the share of shortest paths (in edges, either way) through each node, shape (N,).

    Parameters
    ----------
    edge_index : ndarray of int, shape (2, E)
    num_nodes : int
    sources : int
        Paths from so many nodes count, drawn without replacement; from all where there are no more.
    seed : int

    Examples
    --------
    >>> betweenness(np.array([[0, 1], [1, 2]]), 3).tolist()
    [0.0, 1.0, 0.0]
    """
    count = min(integer("sources", sources), num_nodes)
    graph = igraph.Graph(num_nodes, edge_index.T.tolist()).simplify()
    starts = None
    if count < num_nodes:
        starts = np.sort(np.random.default_rng(seed).choice(num_nodes, count, replace=False)).tolist()
    total = np.asarray(graph.betweenness(directed=False, sources=starts))
    # A path counts once, for both of its directions.
    share = 2.0 * num_nodes / count
    return total * share / max((num_nodes - 1) * (num_nodes - 2), 1)


def walk_embedding(
    edge_index: np.ndarray, num_nodes: int, dim: int = 64, window: int = 10, *, dense_up_to: int = 5000
) -> np.ndarray:
    """Embed nodes as DeepWalk does in the limit of many walks, by factorising what it converges to.

    Parameters
    ----------
    edge_index : ndarray of int, shape (2, E)
    num_nodes : int
    dim : int
    window : int
        Length of the walks that count.
    dense_up_to : int
        Nodes up to which the matrix is dense, with all of its singular values.

    Returns
    -------
    ndarray, shape (N, dim)
        With unit standard deviation; columns beyond the number of nodes are left out.

    Notes
    -----
    ``log max(1, vol (1/T) Σ_k P^k D⁻¹)`` (Qiu et al., WSDM 2018). On streets a walk of ten steps reaches few
    junctions, so that beyond `dense_up_to` the same matrix is sparse, and Lanczos finds its largest singular values.
    """
    dim, window = integer("dim", dim), integer("window", window)
    dense_up_to = integer("dense_up_to", dense_up_to, minimum=0)
    A = adjacency(edge_index, num_nodes)
    degree = np.asarray(A.sum(axis=1)).ravel()
    inverse = 1.0 / np.maximum(degree, 1.0)
    P = sparse.diags_array(inverse) @ A
    if num_nodes > dense_up_to:
        return _normalised(*_sparse_factors(P, degree.sum() / window, inverse, min(dim, num_nodes - 1), window))
    power = np.eye(num_nodes)
    summed = np.zeros_like(power)
    for _ in range(window):
        power = P @ power
        summed += power
    M = np.log(np.maximum(degree.sum() / window * summed * inverse, 1.0))
    u, s, _ = np.linalg.svd(M, full_matrices=False)
    return _normalised(u[:, :dim], s[:dim])


def _sparse_factors(
    P: sparse.csr_array, volume: float, inverse: np.ndarray, dim: int, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors and values of the sparse matrix, largest first."""
    power = summed = P
    for _ in range(window - 1):
        power = P @ power
        summed = summed + power
    M = (volume * summed) @ sparse.diags_array(inverse)
    M.data = np.log(np.maximum(M.data, 1.0))
    M.eliminate_zeros()
    # A fixed start, so that the same streets have the same embedding.
    u, s, _ = svds(M, dim, v0=np.ones(M.shape[0]))
    order = np.argsort(-s)
    return u[:, order], s[order]


def _normalised(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    embedded = u * np.sqrt(s)
    # Signs of singular vectors are arbitrary: the largest entry is positive.
    embedded *= np.sign(embedded[np.abs(embedded).argmax(axis=0), np.arange(embedded.shape[1])])
    return np.asarray(embedded / embedded.std())


def neighbour_matrix(edge_index: np.ndarray, num_nodes: int) -> sparse.csr_array:
    """Return the mean over the edges that share an end with an edge, shape (E, E); rows of lonely ones are 0."""
    edges = edge_index.shape[1]
    incidence = sparse.csr_array(
        (np.ones(2 * edges), (edge_index.ravel(), np.tile(np.arange(edges), 2))), shape=(num_nodes, edges)
    )
    shared = (incidence.T @ incidence).tocsr()
    shared.setdiag(0)
    shared.eliminate_zeros()
    shared.data[:] = 1.0
    degree = np.asarray(shared.sum(axis=1)).ravel()
    return sparse.csr_array(sparse.diags_array(1.0 / np.maximum(degree, 1.0)) @ shared)


def history(counts: Any, edge_index: np.ndarray, num_nodes: int, row: int) -> np.ndarray:
    """Return what the months before a month say of every edge, shape (E, 3).

    Parameters
    ----------
    counts : csr_array, shape (months, E)
    edge_index : ndarray of int, shape (2, E)
    num_nodes : int
    row : int
        The month; only rows before it are read.

    Returns
    -------
    ndarray, shape (E, 3)
        ``log(1 + 12 · mean)`` of all months before, of the last twelve, and of the neighbouring segments.
    """
    past = counts[:row]
    edges = edge_index.shape[1]
    if not row:
        return np.zeros((edges, 3))
    mean = np.asarray(past.sum(axis=0)).ravel() / row
    recent = np.asarray(past[max(0, row - 12) :].sum(axis=0)).ravel() / min(row, 12)
    around = neighbour_matrix(edge_index, num_nodes) @ mean
    return np.asarray(np.log1p(12 * np.column_stack([mean, recent, around])))
