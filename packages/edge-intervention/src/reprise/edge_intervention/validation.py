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


def number(name: str, value: Any, *, low: float = 0.0, high: float = math.inf, open_low: bool = False) -> float:
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


def numbers(name: str, value: Any, length: int, *, of: str, low: float = 0.0, open_low: bool = False) -> np.ndarray:
    """Return `value` as a float64 array of shape (length,), finite, at least `low`; (1, length) is flattened."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__}") from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    if array.shape == (1, length):
        array = array[0]
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), one number per {of}, got {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    bad = ~np.isfinite(array) | (array <= low if open_low else array < low)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be finite and {'above' if open_low else 'at least'} {low:g}, got {array[at]} at {at}"
        )
    return array
