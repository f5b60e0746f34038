"""One check per kind of input; each raises an error that names the argument, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def whole_number(name: str, value: Any, *, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def real_number(
    name: str, value: Any, *, minimum: float = 0.0, maximum: float = math.inf, above: bool = False
) -> float:
    """`value` as a finite float between `minimum` and `maximum` (above `minimum` where `above`)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < minimum or number > maximum or (above and number == minimum):
        start = f"above {minimum:g}" if above else f"at least {minimum:g}"
        end = "" if math.isinf(maximum) else f" and at most {maximum:g}"
        raise ValueError(f"{name} must be finite, {start}{end}, got {value}")
    return number


def one_of(name: str, value: Any, options: Sequence[str]) -> str:
    """`value` if it is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return str(value)


def real_array(name: str, value: Any, *, dimensions: int) -> npt.NDArray[np.float64]:
    """`value` as a finite float64 array: lists, tensors and arrays of any layout or byte order are copied."""
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        array = np.array(array, dtype=np.float64, order="C", copy=True)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from None
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name} must have {dimensions} dimensions, none of them empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} NaN or infinite entries")
    return array


def float_tensor(name: str, value: Any, like: Tensor) -> Tensor:
    """`value` as a tensor of the type and on the device of `like`; NaN is left to those who can say where it is."""
    if isinstance(value, Tensor):
        return value.to(like)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        return torch.from_numpy(np.array(array, dtype=np.float64, order="C", copy=True)).to(like)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from None


def numpy_generator(generator: Any) -> np.random.Generator:
    """A numpy generator from a generator or an integer seed (None: seed 0)."""
    if isinstance(generator, np.random.Generator):
        return generator
    return np.random.default_rng(whole_number("generator", 0 if generator is None else generator, minimum=0))


def torch_generator(generator: np.random.Generator, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator whose seed is the next draw of a numpy generator."""
    return torch.Generator(device=device).manual_seed(int(generator.integers(2**62)))
