"""Weights of a network as one canonical sparse matrix, and what may be removed from them.

Every method works on the vector of weights of the edges, in the order of a canonical CSR matrix: rows one after the
other, columns ascending, no duplicates, no explicit zeros.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.errors import BudgetError, InvalidWeightsError
from reprise.edge_intervention.validation import number

# Shares of the whole that rounding of sums may add: a budget of everything must not fail on its last bit.
_ROUNDING = 1e-9


def as_weights(W: Any, *, name: str = "W", dtype: Any = np.float64) -> sparse.csr_array:
    """Return a canonical copy of a weighted network.

    Parameters
    ----------
    W : sparse matrix or array, ndarray, or networkx graph
        Shape (n, n) for a graph, entry (i, j) being the weight of the edge from i to j; (n, m) for visits of n block
        groups to m places. Duplicates of a sparse matrix are summed, explicit zeros dropped. Never changed.
    name : str
        What errors call it.
    dtype : {numpy.float64, numpy.float32}
        Kind of number of the copy.

    Returns
    -------
    csr_array, shape (n, m)

    Raises
    ------
    TypeError
        If W is no matrix of real numbers.
    InvalidWeightsError
        If a weight is negative, NaN or infinite.
    ValueError
        If there is no edge.

    Examples
    --------
    >>> as_weights([[0, 3], [2, 0]]).data
    array([3., 2.])
    """
    if hasattr(W, "adj") and hasattr(W, "number_of_edges"):
        W = import_module("networkx").to_scipy_sparse_array(W, format="csr")
    if not sparse.issparse(W):
        try:
            W = np.asarray(W)
        except ValueError as error:
            raise TypeError(f"{name} must be a matrix of numbers, got {type(W).__name__}") from error
    if W.ndim != 2:
        raise ValueError(f"{name} must be a matrix with two axes, got shape {W.shape}")
    if W.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {W.dtype}")
    if not sparse.issparse(W):
        W = np.asarray(W, dtype=dtype)
    matrix = sparse.csr_array(W, dtype=dtype, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    bad = ~np.isfinite(matrix.data) | (matrix.data < 0)
    if bad.any():
        first = int(np.argmax(bad))
        row = int(np.searchsorted(matrix.indptr, first, side="right")) - 1
        raise InvalidWeightsError(
            f"{name} must hold finite weights of at least 0, got {matrix.data[first]} at "
            f"({row}, {int(matrix.indices[first])})"
        )
    if matrix.nnz == 0:
        raise ValueError(f"{name} must have at least one edge, got an empty matrix of shape {matrix.shape}")
    return matrix


def edge_rows(W: sparse.csr_array) -> np.ndarray:
    """Return the row of every edge of a canonical matrix, shape (nnz,)."""
    return np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))


def with_data(W: sparse.csr_array, data: np.ndarray) -> sparse.csr_array:
    """Return a matrix with the edges of W and other weights; it shares the pattern of W."""
    return sparse.csr_array((data, W.indices, W.indptr), shape=W.shape, copy=False)


def finished(W: sparse.csr_array, data: np.ndarray) -> sparse.csr_array:
    """Return a matrix of its own with the edges of W, other weights, and no explicit zeros."""
    matrix = sparse.csr_array((data.copy(), W.indices.copy(), W.indptr.copy()), shape=W.shape)
    matrix.eliminate_zeros()
    return matrix


def per_edge(name: str, value: Any, W: sparse.csr_array, *, positive: bool = False) -> np.ndarray:
    """Return one number per edge of W, from a number, an array (nnz,) or a matrix of the shape of W."""
    if sparse.issparse(value) or (np.ndim(value) == 2 and np.shape(value) == W.shape):
        if tuple(value.shape) != W.shape:
            raise ValueError(f"{name} must have the shape {W.shape} of the weights, got {value.shape}")
        value = np.asarray(sparse.csr_array(value)[edge_rows(W), W.indices]).ravel()
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    if array.ndim == 0:
        array = np.full(W.nnz, array)
    if array.shape != (W.nnz,):
        raise ValueError(
            f"{name} must be a number, one number per edge ({W.nnz},) or a matrix {W.shape}, got shape {array.shape}"
        )
    array = array.astype(np.float64)
    bad = ~np.isfinite(array) | (array <= 0 if positive else array < 0)
    if bad.any():
        first = int(np.argmax(bad))
        wanted = "positive" if positive else "at least 0"
        raise ValueError(f"{name} must be finite and {wanted}, got {array[first]} at edge {first}")
    return array


def floors(floor: Any, W: sparse.csr_array) -> np.ndarray:
    """Return the smallest allowed weight of every edge, shape (nnz,).

    Raises
    ------
    ValueError
        If a floor lies above the weight.
    """
    if floor is None:
        return np.zeros(W.nnz)
    array = per_edge("floor", floor, W)
    above = array > W.data
    if above.any():
        first = int(np.argmax(above))
        raise ValueError(f"floor must not exceed the weight {W.data[first]} of edge {first}, got {array[first]}")
    return array


def absolute_budget(W: sparse.csr_array, budget: Any, fraction: Any, *, removable: float | None = None) -> float:
    """Return the budget as a weight.

    Parameters
    ----------
    W : csr_array
    budget : float or None
        Weight that may be removed.
    fraction : float or None
        The same as a share of all weight; exactly one of the two is given.
    removable : float, optional
        What floors and costs leave; by default all weight.

    Raises
    ------
    BudgetError
        If the budget is negative or more than can be removed.
    TypeError
        If none or both are given, or it is no number.
    """
    if (budget is None) == (fraction is None):
        raise TypeError("exactly one of budget and budget_fraction must be given")
    total = float(W.data.sum())
    removable = total if removable is None else removable
    name = "budget" if budget is not None else "budget_fraction"
    given = number(name, budget if budget is not None else fraction, low=-np.inf)
    if given < 0:
        raise BudgetError(f"{name} must be at least 0, got {given:g}; {removable:g} could be removed")
    weight = given if budget is not None else given * total
    if weight > removable * (1 + _ROUNDING):
        raise BudgetError(f"the budget must not exceed the {removable:g} that can be removed, got {weight:g}")
    return min(weight, removable)
