"""Labelled examples in memory or on disk, taken by index; and what a model says of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from .validation import class_labels, tensor_of


@runtime_checkable
class Inputs(Protocol):
    """Inputs that are made when asked for: padded texts, images on disk."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(self, index: Tensor) -> Any:
        """The inputs of some examples, as the model takes them."""
        ...


def take(inputs: Any, index: Tensor, device: torch.device | str = "cpu") -> Any:
    """The inputs at `index` on a device: of a tensor, a tuple of tensors, or `Inputs`."""
    if isinstance(inputs, Tensor):
        return inputs[index.to(inputs.device)].to(device)
    if isinstance(inputs, tuple):
        return tuple(take(part, index, device) for part in inputs)
    return move(inputs.batch(index), device)


def move(value: Any, device: torch.device | str) -> Any:
    """Tensors, and tuples of them, on a device."""
    return tuple(move(part, device) for part in value) if isinstance(value, tuple) else value.to(device)


def call(model: nn.Module, inputs: Any) -> Tensor:
    """The model's logits: a tuple of inputs is passed as several arguments."""
    logits: Tensor = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    return logits


def number_of_classes(name: str, model: nn.Module, inputs: Any) -> int:
    """The columns of the model's logits, found with one example.

    Raises
    ------
    ValueError
        If the model cannot take the inputs, or does not give logits (B, k).
    """
    try:
        logits = logits_of(model, inputs, 1)
    except RuntimeError as error:
        raise ValueError(
            f"{name}[0] must be inputs that model takes, but it says: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        raise ValueError(f"model must give logits (B, k), got {described(logits)} for one example")
    return logits.shape[1]


def examples(name: str, data: Any, classes: int | None = None, *, model: nn.Module | None = None) -> tuple[Any, Tensor]:
    """`data` as ``(inputs, labels)`` of equal length; arrays and lists of real numbers in the precision of `model`.

    Raises
    ------
    TypeError, ValueError
        If it is no such pair, the lengths differ, or a label is outside of 0..classes-1.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(f"{name} must be a pair (inputs, labels), got {type(data).__name__}")
    inputs, labels = data
    if isinstance(inputs, (np.ndarray, list)):
        inputs = _input(f"{name}[0]", inputs, model)
    if isinstance(inputs, tuple):
        inputs = tuple(_input(f"{name}[0]", part, model) for part in inputs)
    elif not isinstance(inputs, (Tensor, Inputs)):
        raise TypeError(
            f"{name}[0] must be a tensor, a tuple of tensors or have batch(index), got {type(inputs).__name__}"
        )
    labels = class_labels(f"{name}[1]", labels, classes)
    for part in inputs if isinstance(inputs, tuple) else (inputs,):
        if isinstance(part, Tensor) and part.is_floating_point() and not bool(part.isfinite().all()):
            raise ValueError(f"{name}[0] must be finite, got NaN or infinite entries")
        if len(part) != len(labels):
            raise ValueError(f"{name} must hold as many inputs as labels, got {len(part)} and {len(labels)}")
    return inputs, labels


def batches(name: str, data: Any, *, batch_size: int = 256, model: nn.Module | None = None) -> list[tuple[Any, Tensor]]:
    """`data` as a list of batches: from a pair ``(inputs, labels)``, or any iterable of such pairs."""
    if _is_pair(data):
        inputs, labels = examples(name, data, model=model)
        return [(take(inputs, index), labels[index]) for index in torch.split(torch.arange(len(labels)), batch_size)]
    if not isinstance(data, Iterable) or isinstance(data, (str, dict, Tensor)):
        raise TypeError(f"{name} must be a pair (inputs, labels) or an iterable of them, got {type(data).__name__}")
    found = [examples(name, batch, model=model) for batch in data]
    if not found:
        raise ValueError(f"{name} must hold at least one example, got none")
    return found


def _input(name: str, value: Any, model: nn.Module | None) -> Tensor:
    """A tensor as it is; arrays and lists of real numbers in the precision of the model (whole ones may be tokens)."""
    if isinstance(value, Tensor):
        return value
    tensor = tensor_of(name, value)
    if not tensor.is_floating_point():
        return tensor
    weights = () if model is None else model.parameters()
    return tensor.to(next((p.dtype for p in weights if p.is_floating_point()), torch.get_default_dtype()))


def described(value: object) -> str:
    """What came, for an error: the shape of a tensor, the type of anything else."""
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _is_pair(data: Any) -> bool:
    """Whether the second part holds labels, and is not itself a batch."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    second = data[1]
    return not isinstance(second, tuple) and not (isinstance(second, list) and second and np.ndim(second[0]) > 0)


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Any, count: int, *, batch_size: int = 256) -> Tensor:
    """The logits (count, k) of a model in its present mode."""
    device = next(model.parameters()).device
    return torch.cat(
        [call(model, take(inputs, index, device)) for index in torch.split(torch.arange(count), batch_size)]
    )
