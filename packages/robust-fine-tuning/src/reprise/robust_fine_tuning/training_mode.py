"""Whether a model computes a fixed function: no dropout, no statistics of the batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

_NOISY = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


@contextlib.contextmanager
def deterministic(model: nn.Module, *, eval_mode: bool) -> Iterator[None]:
    """Refuse a model whose output depends on chance or on the batch; or switch it to evaluation for a while.

    Raises
    ------
    ValueError
        If a dropout or batch normalisation layer is in train mode and `eval_mode` is False; it is named.
    """
    before = {part: part.training for part in model.modules()}
    if eval_mode:
        model.eval()
    for name, part in model.named_modules():
        if part.training and _draws(part):
            raise ValueError(
                f"model must be in evaluation mode: {name or 'model'} ({type(part).__name__}) is in train mode: "
                "its output depends on chance or on the batch; call model.eval() or pass eval_mode=True"
            )
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; every part's mode is put back."""
    with deterministic(model, eval_mode=True):
        yield


def _draws(part: nn.Module) -> bool:
    if isinstance(part, nn.modules.dropout._DropoutNd):
        return bool(part.p > 0)
    if isinstance(part, nn.MultiheadAttention):
        return bool(part.dropout > 0)
    return isinstance(part, _NOISY)
