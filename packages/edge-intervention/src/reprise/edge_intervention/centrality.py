"""Edge centrality: how much the r largest singular values of a network fall when one edge loses weight.

Li, Eliassi-Rad and Zhang (2023), generalising the product of eigenvector centralities (Tong et al. 2012) to rank r.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.compiled import low_rank_entries
from reprise.edge_intervention.spectrum import leading_triples
from reprise.edge_intervention.validation import integer
from reprise.edge_intervention.weights import as_weights


def edge_centrality(W: Any, rank: int = 1, power: int = 2, v0: Any = None) -> np.ndarray:
    """Generalised centrality of every edge.

    Parameters
    ----------
    W : matrix, shape (n, m)
        Weights; see `as_weights`.
    rank : int
        How many singular values count.
    power : {1, 2}
        2: the sum of squared singular values, as in the paper; 1: their sum, the Ky Fan norm.
    v0 : array_like, shape (min(n, m),), optional
        Start vector of the eigensolver, such as a singular vector of a network nearby.

    Returns
    -------
    ndarray, shape (nnz,)
        ``Σ_{k≤r} σ_k u_k(i) v_k(j)`` for power 2 and ``Σ_{k≤r} u_k(i) v_k(j)`` for power 1, aligned with the data of
        the canonical CSR matrix of W.

    Raises
    ------
    InvalidWeightsError, ValueError, TypeError, ConvergenceError

    Notes
    -----
    The gradient of ``Σ_{k≤r} σ_k²`` is twice the former, that of ``Σ_{k≤r} σ_k`` the latter (Lemma on the gradient).
    Time O(q nnz) for the singular vectors with q ≈ 2r + 20, and O(r nnz) for the edges; memory O(nnz + (n + m) q).

    Examples
    --------
    >>> edge_centrality([[0, 2.0], [1.0, 0]], rank=1).round(6) + 0
    array([2., 0.])
    """
    matrix = as_weights(W)
    rank = integer("rank", rank)
    power_of(power)
    triples = leading_triples(matrix, rank, start_vector(v0, matrix))
    weights = triples.values if power == 2 else np.ones(len(triples.values))
    return entries_on_edges(triples.left * weights, triples.right, matrix)


def entries_on_edges(left: np.ndarray, right: np.ndarray, W: sparse.csr_array) -> np.ndarray:
    """Return the entries of ``left rightᵀ`` on the edges of W, shape (nnz,)."""
    rows, columns = (np.ascontiguousarray(side, dtype=np.float64) for side in (left, right))
    return low_rank_entries(rows, columns, W.indptr, W.indices)


def power_of(power: Any) -> int:
    """Return `power` if it is 1 or 2."""
    if isinstance(power, bool) or power not in (1, 2):
        raise ValueError(f"power must be 1 or 2, got {power!r}")
    return int(power)


def start_vector(v0: Any, W: sparse.csr_array) -> np.ndarray | None:
    """Return a start vector of the length of the smaller side of W."""
    if v0 is None:
        return None
    vector = np.asarray(v0)
    if vector.dtype.kind not in "iuf":
        raise TypeError(f"v0 must hold real numbers, got {vector.dtype}")
    if vector.shape != (min(W.shape),) or not np.isfinite(vector).all():
        raise ValueError(f"v0 must be finite and have shape ({min(W.shape)},), got shape {vector.shape}")
    return vector.astype(np.float64)
