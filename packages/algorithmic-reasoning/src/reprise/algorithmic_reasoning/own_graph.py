"""The twelve algorithms on one's own graph."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from reprise.algorithmic_reasoning.probes import SOURCED, require_algorithm
from reprise.algorithmic_reasoning.sampling import FAMILIES
from reprise.algorithmic_reasoning.tracers import trace_all
from reprise.algorithmic_reasoning.trajectories import Trajectories, stack
from reprise.algorithmic_reasoning.validation import integer

Array = np.ndarray[Any, Any]


def trace(name: str, adjacency: Any, source: int | None = None) -> Trajectories:
    """Every step of an algorithm on a graph.

    Parameters
    ----------
    name : str
        One of `ALGORITHMS`.
    adjacency : array, scipy sparse array or networkx graph, shape (N, N)
        Weights of edges from row to column, 0 where there is none; algorithms without weights take what is not 0 for an
        edge. A graph of networkx is taken in the order of its nodes, with its attribute
        ``weight``; of parallel edges the lightest counts.
    source : int, optional
        The node to start from, where the algorithm has one (`SOURCED`).

    Returns
    -------
    Trajectories
        Of one graph.

    Raises
    ------
    TypeError
        If `adjacency` is no matrix of real numbers.
    ValueError
        If there is no such algorithm; the matrix is not square, not finite or has negative weights; an algorithm on
        undirected graphs gets an asymmetric one, or one on acyclic graphs a cycle; `source` is missing, superfluous or
        out of range.

    Examples
    --------
    >>> path = trace("bfs", [[0, 1, 0], [1, 0, 1], [0, 1, 0]], source=0)
    >>> path.outputs["pi"].tolist()
    [[0, 0, 1]]
    """
    family = FAMILIES[require_algorithm(name)]
    A = _matrix(adjacency)
    if not family.weighted:
        A = (A != 0).astype(np.float64)
    elif (A < 0).any():
        i, j = np.argwhere(A < 0)[0]
        raise ValueError(f"adjacency must have weights above 0 for {name}, got {A[i, j]:g} from node {i} to {j}")
    if not family.directed and (A != A.T).any():
        i, j = np.argwhere(A != A.T)[0]
        raise ValueError(
            f"adjacency must be symmetric for {name}, which is on undirected graphs, got {A[i, j]:g} from node {i} to "
            f"{j} and {A[j, i]:g} back"
        )
    if family.acyclic:
        _require_acyclic(name, A)
    if name not in SOURCED:
        if source is not None:
            raise ValueError(f"source must not be given for {name}, which starts from no node, got {source!r}")
        return stack(name, [A], [None], trace_all(name, [A], [None]))
    if source is None:
        raise ValueError(f"source must be given for {name}: a node from 0 to {len(A) - 1}")
    source = integer("source", source, minimum=0, maximum=len(A) - 1)
    return stack(name, [A], [source], trace_all(name, [A], [source]))


def _matrix(adjacency: Any) -> Array:
    if any(kind.__module__.partition(".")[0] == "networkx" for kind in type(adjacency).__mro__):
        adjacency = import_module("networkx").to_numpy_array(adjacency, multigraph_weight=min)
    if isinstance(adjacency, np.ma.MaskedArray):
        raise TypeError("adjacency must not be a masked array: fill it with 0 where there is no edge")
    if sparse.issparse(adjacency):
        adjacency = adjacency.toarray()
    try:
        A = np.asarray(adjacency)
    except ValueError as error:
        raise TypeError(f"adjacency must be a matrix of numbers: {error}") from error
    if A.dtype.kind not in "fiub":
        raise TypeError(f"adjacency must be a matrix of real numbers, got dtype {A.dtype}")
    if A.ndim != 2 or A.shape[0] != A.shape[1] or len(A) == 0:
        raise ValueError(f"adjacency must be square, of at least one node, got shape {A.shape}")
    A = np.ascontiguousarray(A, dtype=np.float64)
    if not np.isfinite(A).all():
        i, j = np.argwhere(~np.isfinite(A))[0]
        raise ValueError(f"adjacency must be finite, got {A[i, j]} from node {i} to {j}")
    return A


def _require_acyclic(name: str, A: Array) -> None:
    count, parts = connected_components(sparse.csr_array(A != 0), directed=True, connection="strong")
    loops = np.flatnonzero(A.diagonal())
    if len(loops) == 0 and count == len(A):
        return
    cycle = loops[:1] if len(loops) else np.flatnonzero(parts == np.bincount(parts).argmax())
    raise ValueError(f"adjacency must have no cycle for {name}, got one among the nodes {cycle[:10].tolist()}")
