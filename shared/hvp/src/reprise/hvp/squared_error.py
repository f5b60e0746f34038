"""The mean squared error in elementary operations.

The forward-mode derivative of the gradient of torch's fused kernel fails where the target has no tangent, with an error
about zero tensors when run and a crash when traced.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class PlainSquaredError(TorchFunctionMode):
    """Calls of `torch.nn.functional.mse_loss` inside are written out in elementary operations."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.mse_loss:
            return _squared_error(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _squared_error(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    if size_average is not None or reduce is not None:
        raise ValueError("loss must be an mse_loss with reduction=, got size_average or reduce, which it replaces")
    squares = (input - target) ** 2
    if weight is not None:
        squares = squares * weight
        return squares.sum() / weight.expand_as(squares).sum() if reduction == "mean" else _reduce(squares, reduction)
    return _reduce(squares, reduction)


def _reduce(values: Tensor, reduction: str) -> Tensor:
    return values.mean() if reduction == "mean" else values.sum() if reduction == "sum" else values
