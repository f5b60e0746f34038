"""Checks of arguments: each names the argument, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

Value = TypeVar("Value")


def whole(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int.

    Raises
    ------
    TypeError
        If it is no whole number (a bool is none).
    ValueError
        If it is smaller than `least` or larger than `most`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    found = int(value)
    if found < least or (most is not None and found > most):
        wanted = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {wanted}, got {found}")
    return found


def number(
    name: str, value: Any, *, least: float = -math.inf, most: float = math.inf, above: float | None = None
) -> float:
    """Return `value` as a float within [least, most], larger than `above`; an infinite `most` allows infinity.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN, or outside.
    """
    if not isinstance(value, (bool, Real)) and getattr(value, "ndim", None) == 0:
        value = value.item()  # a tensor or array of one number
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    found = float(value)
    if not (least <= found <= most) or (above is not None and not found > above):
        wanted = f"larger than {above:g}" if above is not None else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be {wanted}, got {found:g}")
    return found


def positive(name: str, value: Any) -> float:
    """Return `value` as a finite float above 0.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    found = number(name, value, above=0.0)
    if math.isinf(found):
        raise ValueError(f"{name} must be finite, got {found}")
    return found


def choice(name: str, value: Value, options: Sequence[Value]) -> Value:
    """Return `value` if it is one of `options`.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value
