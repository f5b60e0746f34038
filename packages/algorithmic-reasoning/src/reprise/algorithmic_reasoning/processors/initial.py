"""Linear maps that begin as those of the reference do."""

from __future__ import annotations

from math import sqrt

from torch import nn


def linear(inputs: int, outputs: int, *, bias: bool = True, std: float | None = None, offset: float = 0.0) -> nn.Linear:
    """A linear map whose weights begin normal with standard deviation 1/√inputs, cut at two of them.

    Parameters
    ----------
    inputs, outputs : int
    bias : bool
    std : float, optional
        Another standard deviation.
    offset : float
        Where the bias begins.
    """
    layer = nn.Linear(inputs, outputs, bias=bias)
    size = 1 / sqrt(inputs) if std is None else std
    nn.init.trunc_normal_(layer.weight, std=size, a=-2 * size, b=2 * size)
    if bias:
        nn.init.constant_(layer.bias, offset)
    return layer
