"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def integer(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`; bools are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, open_low: bool = False) -> float:
    """Return `value` as a finite float in [low, high], or in (low, high] with `open_low`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    given = float(value)
    if not math.isfinite(given) or not low <= given <= high or (open_low and given == low):
        left = "(" if open_low else "["
        raise ValueError(f"{name} must be finite and lie in {left}{low:g}, {high:g}], got {value}")
    return given


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def real_array(name: str, value: Any, *, ndim: int, length: int | None = None) -> np.ndarray:
    """Return `value` as a finite float64 array of `ndim` dimensions, the first of size `length` if given."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    if array.ndim != ndim or (length is not None and array.shape[0] != length):
        wanted = "(n,)" if ndim == 1 else "(n, p)"
        of = "" if length is None else f" with n = {length}"
        raise ValueError(f"{name} must have shape {wanted}{of}, got {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def count_array(name: str, value: Any, length: int | None = None) -> np.ndarray:
    """Return `value` as a float64 array of shape (n,); only whole numbers of at least 0 are allowed."""
    array = real_array(name, value, ndim=1, length=length)
    wrong = (array < 0) | (array % 1 != 0)
    if wrong.any():
        raise ValueError(f"{name} must be whole numbers of at least 0, got {array[wrong][0]:g}")
    return array


def binary_array(name: str, value: Any, length: int | None = None) -> np.ndarray:
    """Return `value` as a bool array of shape (n,); only 0 and 1 are allowed."""
    array = real_array(name, value, ndim=1, length=length)
    if not np.isin(array, (0.0, 1.0)).all():
        raise ValueError(f"{name} must hold 0 and 1 only, got {array[~np.isin(array, (0.0, 1.0))][0]:g}")
    return np.asarray(array == 1.0)


def labels(name: str, value: Any, length: int) -> np.ndarray:
    """Return `value`, one label of any kind per unit, as integers 0 … of shape (length,)."""
    array = np.asarray(value)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), one label per unit, got {array.shape}")
    return np.unique(array, return_inverse=True)[1]
