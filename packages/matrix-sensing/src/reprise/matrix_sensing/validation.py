"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
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
    tensor = torch.as_tensor(value if isinstance(value, Tensor) else _array(name, value), dtype=dtype, device=device)
    if tensor.is_complex():
        raise TypeError(f"{name} must be real, got {tensor.dtype}")
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries of {tensor.numel()}")
    return tensor


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """`value` as an array that torch can share: single or double precision, native, writable and contiguous."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    kind = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize == 4 else np.float64
    return np.require(array, kind, ["C", "W"])


def seed_number(value: Any) -> int:
    """`value` as a seed: an int of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"seed must be an integer, got {value!r}")
    if value < 0:
        raise ValueError(f"seed must be at least 0, got {value}")
    return int(value)


def torch_device(value: Any) -> torch.device:
    """`value` as a device that is here; "auto" takes a GPU where there is one."""
    if value == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be auto, cpu or cuda, got {value!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device must be one that is here, got {value!r}, but torch finds no GPU")
    return device


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
