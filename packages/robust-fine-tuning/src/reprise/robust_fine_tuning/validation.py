"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def whole_number(name: str, value: Any, *, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def real_number(
    name: str, value: Any, *, minimum: float = 0.0, maximum: float = math.inf, open_at_minimum: bool = False
) -> float:
    """`value` as a finite float between `minimum` and `maximum` (above `minimum` if that end is open)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    low = number <= minimum if open_at_minimum else number < minimum
    if not math.isfinite(number) or low or number > maximum:
        start = f"above {minimum:g}" if open_at_minimum else f"at least {minimum:g}"
        end = "" if math.isinf(maximum) else f" and at most {maximum:g}"
        raise ValueError(f"{name} must be finite, {start}{end}, got {value}")
    return number


def tensor_of(name: str, value: Any) -> Tensor:
    """`value` as a tensor: lists, numbers and arrays of any layout or byte order are copied."""
    if isinstance(value, Tensor):
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        native = np.array(array.astype(array.dtype.newbyteorder("="), copy=False), order="C", copy=True)
        return torch.from_numpy(native)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from None


def real_tensor(name: str, value: Any, *, dimensions: int | None = None) -> Tensor:
    """`value` as a finite float tensor; float64 unless it is of a wider use than half precision already."""
    tensor = tensor_of(name, value)
    if tensor.is_complex():
        raise TypeError(f"{name} must be real, got {tensor.dtype}")
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)
    if dimensions is not None and tensor.ndim != dimensions:
        raise ValueError(f"{name} must have {dimensions} dimensions, got shape {tuple(tensor.shape)}")
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} must be finite, got {int((~tensor.isfinite()).sum())} NaN or infinite entries")
    return tensor


def class_labels(name: str, value: Any, classes: int | None = None) -> Tensor:
    """`value` as labels (n,), int64, within 0..classes-1."""
    tensor = tensor_of(name, value)
    if tensor.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), got {tuple(tensor.shape)}")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be whole numbers, got {tensor.dtype}")
    if len(tensor) == 0:
        raise ValueError(f"{name} must not be empty")
    tensor = tensor.long()
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or (classes is not None and high >= classes):
        end = "" if classes is None else f" and at most {classes - 1}"
        raise ValueError(f"{name} must be at least 0{end}, got values from {low} to {high}")
    return tensor


def module(name: str, value: Any) -> nn.Module:
    """`value` as a module."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(value).__name__}")
    return value


def numpy_or_torch_generator(generator: Any) -> torch.Generator:
    """A torch generator from a generator, a numpy generator or an integer seed."""
    if isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, np.random.Generator):
        return torch.Generator().manual_seed(int(generator.integers(2**62)))
    return torch.Generator().manual_seed(whole_number("generator", 0 if generator is None else generator, minimum=0))
