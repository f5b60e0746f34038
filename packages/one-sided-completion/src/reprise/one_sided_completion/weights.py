"""How much each seen pair counts in the imputation: all alike, by how often it was seen, or by how sure it is."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from reprise.one_sided_completion.moment import SecondMoment
from reprise.one_sided_completion.validation import choice, number

Array = np.ndarray[Any, Any]
Weights = Literal["uniform", "counts", "inverse-variance"]
Diagonal = float | Literal["dense-code", "sparse-code"]

PRIOR_ROWS = 10  # how many rows the pooled variance counts for, beside those of a pair


def pair_weights(moment: SecondMoment, weights: Weights = "uniform", diagonal: Diagonal = 1.0) -> Array:
    """Weights w_ij of the seen pairs i ≤ j, with mean 1 off the diagonal, shape (pairs,).

    Raises
    ------
    ValueError
        If an option is unknown, or `diagonal` is no number from 0.
    """
    choice("weights", weights, ("uniform", "counts", "inverse-variance"))
    on_diagonal = moment.pair_rows == moment.indices
    if weights == "uniform":
        result = np.ones(len(moment.indices))
    elif weights == "counts":
        result = moment.count.copy()
    else:
        result = 1 / _shrunk_variance(moment, on_diagonal)
    result /= result[~on_diagonal].mean()
    result[on_diagonal] = _diagonal_weight(moment, diagonal)
    return result


def _diagonal_weight(moment: SecondMoment, diagonal: Diagonal) -> float:
    if not isinstance(diagonal, str):
        return number("diagonal", diagonal)
    choice("diagonal", diagonal, ("dense-code", "sparse-code"))
    on_diagonal = moment.pair_rows == moment.indices
    p = moment.p or moment.count[on_diagonal].sum() / (moment.rows * moment.dimension)
    return float(1 - (1 - p) ** moment.rows if diagonal == "dense-code" else 1 - (1 - p**2) ** moment.dimension)


def _shrunk_variance(moment: SecondMoment, on_diagonal: Array) -> Array:
    """Variance of every estimate: of few rows it is mostly the pooled one, of many its own."""
    spread = np.maximum(moment.square - moment.total**2 / moment.count, 0.0)
    freedom = moment.count - 1
    off = ~on_diagonal
    pooled = spread[off].sum() / max(freedom[off].sum(), 1.0)
    if pooled == 0.0:
        return np.asarray(1 / moment.count)
    return np.asarray((PRIOR_ROWS * pooled + spread) / (PRIOR_ROWS + freedom) / moment.count)
