"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


def positive_integer(name: str, value: Any, at_most: int | None = None, limit: str = "") -> int:
    """`value` as an int between 1 and `at_most` (spelled `limit` in the message)."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    if number < 1 or (at_most is not None and number > at_most):
        expected = "at least 1" if at_most is None else f"between 1 and {limit} ({at_most})"
        raise ValueError(f"{name} must be {expected}, got {number}")
    return number


def positive_number(name: str, value: Any, *, minimum: float = 0.0, inclusive: bool = False) -> float:
    """`value` as a finite float above `minimum` (or equal to it when `inclusive`)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < minimum or (number == minimum and not inclusive):
        expected = f"at least {minimum:g}" if inclusive else f"greater than {minimum:g}"
        raise ValueError(f"{name} must be {expected} and finite, got {value}")
    return number


def finite_tensor(name: str, value: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
    """`value` as a floating tensor without NaN or infinities."""
    try:
        tensor = torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from error
    if tensor.is_complex():
        raise TypeError(f"{name} must be real, got {tensor.dtype}")
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries of {tensor.numel()}")
    return tensor


def symmetric_matrix(name: str, value: Any, dimension: int, **kind: Any) -> Tensor:
    """`value` as a finite symmetric tensor of shape (dimension, dimension)."""
    tensor = finite_tensor(name, value, **kind)
    if tuple(tensor.shape) != (dimension, dimension):
        raise ValueError(f"{name} must have shape ({dimension}, {dimension}), got {tuple(tensor.shape)}")
    gap = float((tensor - tensor.mT).abs().max())
    if gap > 1e3 * torch.finfo(tensor.dtype).eps * max(1.0, float(tensor.abs().max())):
        raise ValueError(
            f"{name} must be symmetric, got entries that differ from their mirror image by up to {gap:.3g}"
        )
    return tensor
