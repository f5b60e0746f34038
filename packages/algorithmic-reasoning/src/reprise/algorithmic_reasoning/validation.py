"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def integer(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None, limit: str = "") -> int:
    """`value` as an int from `minimum` to `maximum` (spelled `limit` in the message)."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        expected = f"at least {minimum}" if maximum is None else f"between {minimum} and {limit or maximum}"
        raise ValueError(f"{name} must be {expected}, got {result}")
    return result


def number(name: str, value: Any, *, minimum: float = 0.0, maximum: float = math.inf, open_: bool = False) -> float:
    """`value` as a finite float from `minimum` to `maximum`, or above `minimum` when `open_`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    result = float(value)
    if not math.isfinite(result) or result < minimum or result > maximum or (open_ and result == minimum):
        expected = f"above {minimum:g}" if open_ else f"at least {minimum:g}"
        bound = f" and at most {maximum:g}" if maximum < math.inf else ""
        raise ValueError(f"{name} must be finite, {expected}{bound}, got {value}")
    return result


def choice(name: str, value: Any, options: tuple[str, ...]) -> str:
    """`value`, which must be among `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
    return str(value)
