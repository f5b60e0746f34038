"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

Array = np.ndarray[Any, Any]


def integer(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None, limit: str = "") -> int:
    """`value` as an int from `minimum` to `maximum` (spelled `limit` in the message)."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        expected = f"at least {minimum}" if maximum is None else f"between {minimum} and {limit} ({maximum})"
        raise ValueError(f"{name} must be {expected}, got {result}")
    return result


def number(name: str, value: Any, *, minimum: float = 0.0, maximum: float = math.inf, open_: bool = False) -> float:
    """`value` as a finite float from `minimum` to `maximum`, or above `minimum` when `open_`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    result = float(value)
    if not math.isfinite(result) or result < minimum or result > maximum or (open_ and result == minimum):
        expected = f"greater than {minimum:g}" if open_ else f"at least {minimum:g}"
        raise ValueError(
            f"{name} must be {expected}{f' and at most {maximum:g}' if maximum < math.inf else ''}"
            f" and finite, got {value}"
        )
    return result


def choice(name: str, value: Any, options: tuple[str, ...]) -> str:
    """`value`, which must be among `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
    return str(value)


def matrix(name: str, value: Any) -> Array:
    """`value` as a finite real two-dimensional array of floats."""
    try:
        result = np.asarray(value)
        if result.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be an array of real numbers, got dtype {result.dtype}")
    except ValueError as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from error
    if result.ndim != 2 or 0 in result.shape:
        raise ValueError(f"{name} must have shape (rows, columns), none of them 0, got {result.shape}")
    result = result if result.dtype.kind == "f" else result.astype(np.float64)
    _finite(name, result)
    return result


def as_ratings(ratings: Any, *, columns: int | None = None) -> sparse.csr_array:
    """What was observed, as a canonical compressed sparse row array.

    Every stored entry counts as seen, also an explicit zero.

    Parameters
    ----------
    ratings : scipy sparse array or matrix, shape (n, d)
    columns : int, optional
        The d that is expected.

    Returns
    -------
    csr_array of float64, shape (n, d)
        Columns sorted within each row.

    Raises
    ------
    TypeError
        If `ratings` is not sparse or not real.
    ValueError
        If it is empty, has another d, holds NaN or infinities, or shows an entry twice.
    """
    if not sparse.issparse(ratings):
        raise TypeError(
            "ratings must be a scipy sparse array whose stored entries are what was seen, got "
            f"{type(ratings).__name__}; observe(values, mask) makes one from a dense array"
        )
    if ratings.ndim != 2 or 0 in ratings.shape:
        raise ValueError(f"ratings must have shape (rows, columns), none of them 0, got {ratings.shape}")
    if ratings.dtype.kind not in "fiub":
        raise TypeError(f"ratings must be real, got dtype {ratings.dtype}")
    if columns is not None and ratings.shape[1] != columns:
        raise ValueError(f"ratings must have {columns} columns, got {ratings.shape[1]}")
    if ratings.format == "coo":
        _refuse_duplicates(ratings)  # conversion would silently add them up
    result = sparse.csr_array(ratings)
    if result.dtype != np.float64:
        result = result.astype(np.float64)
    if not result.has_sorted_indices:
        result = result.sorted_indices()
    _refuse_duplicates(result)
    _finite("ratings", result.data)
    return result


def _finite(name: str, values: Array) -> None:
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries of {values.size}")


def _refuse_duplicates(ratings: Any) -> None:
    if ratings.format == "csr":
        same = np.flatnonzero(np.diff(ratings.indices) == 0)
        # Neighbours of two different rows may well show the same column.
        row = np.searchsorted(ratings.indptr, same, side="right") - 1
        inside = same + 1 < ratings.indptr[row + 1]
        twice = list(zip(row[inside][:3].tolist(), ratings.indices[same[inside][:3]].tolist()))
        many = int(inside.sum())
    else:
        key = np.sort(ratings.row.astype(np.int64) * ratings.shape[1] + ratings.col)
        repeated = key[1:][np.diff(key) == 0]
        twice = [divmod(int(each), ratings.shape[1]) for each in repeated[:3]]
        many = len(repeated)
    if many:
        shown = ", ".join(map(str, twice)) + (" and others" if many > len(twice) else "")
        raise ValueError(f"ratings must show an entry (row, column) once, got {many} repeated: {shown}")
