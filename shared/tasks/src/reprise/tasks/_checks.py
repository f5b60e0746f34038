"""Refusals of bad arguments: each names the argument, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def integer(name: str, value: object, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int within the bounds."""
    bounds = f">= {minimum}" if maximum is None else f"between {minimum} and {maximum}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer {bounds}, got {value!r}")
    if value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {bounds}, got {value}")
    return int(value)


def number(name: str, value: object, *, positive: bool = False) -> float:
    """Return `value` as a finite float, at least zero, or above zero when `positive`."""
    wanted = "a finite number > 0" if positive else "a finite number >= 0"
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name} must be {wanted}, got {value}")
    return float(value)


def choice(name: str, value: str, options: Sequence[str]) -> str:
    """Return `value` if it is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def task_names(tasks: int | Sequence[Hashable], *, minimum: int = 2) -> tuple[Hashable, ...]:
    """Return the names of at least so many different tasks; a number n stands for 0, ..., n - 1."""
    if isinstance(tasks, str):
        raise TypeError(f"tasks must be a number or a list of names, got the string {tasks!r}")
    names = tuple(range(tasks)) if isinstance(tasks, int) else tuple(tasks)
    if len(names) < minimum:
        raise ValueError(f"tasks must be at least {('one', 'two')[minimum - 1]}, got {len(names)}: {names}")
    repeated = sorted({repr(name) for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"tasks must have different names, got more than once: {', '.join(repeated)}")
    return names


def square(name: str, matrix: npt.ArrayLike, *, symmetric: bool = False) -> npt.NDArray[np.float64]:
    """Return a finite float64 matrix of shape (n, n), n >= 2, symmetric to rounding where asked."""
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise ValueError(f"{name} must have shape (n, n) with n >= 2, got {values.shape}")
    if not np.isfinite(values).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"{name} must be finite, got {values[row, column]} at ({row}, {column}); "
            "a pair of tasks without a value needs a subset that holds both"
        )
    if symmetric:
        gap = np.abs(values - values.T)
        if gap.max() > 1e-9 * max(1.0, np.abs(values).max()):
            row, column = (int(index) for index in np.unravel_index(gap.argmax(), gap.shape))
            raise ValueError(
                f"{name} must be symmetric, got {values[row, column]} at ({row}, {column}) and "
                f"{values[column, row]} at ({column}, {row}); use (U + U.T) / 2"
            )
    return values


def finite(name: str, values: Tensor) -> Tensor:
    """Return a tensor without NaN and infinities."""
    # a finite sum, one pass, proves it; the check of each entry makes several passes
    if not bool(values.sum().isfinite()) and not bool(torch.isfinite(values).all()):
        where = tuple(int(index) for index in torch.nonzero(~torch.isfinite(values))[0])
        raise ValueError(f"{name} must be finite, got {values[where].item()} at {where}")
    return values
