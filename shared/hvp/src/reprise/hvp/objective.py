"""What is differentiated: the mean loss of a model over a batch, or any function of named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]
Loss = Callable[[Any, Any], Tensor]
Weight = Callable[[Any], float]


class Objective:
    """A scalar function of named tensors and a batch.

    Attributes
    ----------
    trainable : dict of str to Tensor
        What may be differentiated.
    fixed : dict of str to Tensor
        Frozen parameters and buffers, which the function reads too.
    model : Module or None
    """

    trainable: Tensors
    fixed: Tensors
    model: nn.Module | None = None

    def loss(self, tensors: Tensors, batch: Any) -> Tensor:
        """Mean loss over the examples of a batch, shape ()."""
        raise TypeError(f"{type(self).__name__} defines no loss")

    def output(self, tensors: Tensors, batch: Any) -> Any:
        """What the loss of a batch is computed from."""
        raise TypeError("the Gauss-Newton matrix and per-example curvature need a model and a loss")

    def loss_of(self, output: Any, batch: Any) -> Tensor:
        """Mean loss of an output, shape ()."""
        raise TypeError("the Gauss-Newton matrix and per-example curvature need a model and a loss")

    def example_losses(self, output: Any, batch: Any) -> Tensor:
        """Loss of every example, shape (N,)."""
        raise TypeError("the Fisher matrix and per-example curvature need a model and a loss")

    def weight(self, batch: Any) -> float:
        """How much a batch counts in the mean over the data."""
        return 1.0


class FunctionObjective(Objective):
    """A function of one tensor or of a dict of tensors; there is one batch, which it ignores."""

    def __init__(self, function: Callable[..., Tensor], params: Tensor | Mapping[str, Tensor]) -> None:
        if not callable(function):
            raise TypeError(f"f must be callable, got {type(function).__name__}")
        self.single = isinstance(params, Tensor)
        self.function = function
        self.trainable = {"x": params} if isinstance(params, Tensor) else dict(params)
        self.fixed = {}

    def loss(self, tensors: Tensors, batch: Any) -> Tensor:
        """The function's value, shape ()."""
        return self.function(tensors["x"]) if self.single else self.function(tensors)


class ModelObjective(Objective):
    """The mean loss of a model.

    Parameters
    ----------
    model : Module
    loss : callable ``(output, target) -> scalar``, or None
        A mean over examples; None when ``model(batch)`` returns the loss or an object with `.loss`.
    weight : callable ``(batch) -> float``, optional
        What the loss of a batch is a mean of: the number of examples by default, the first dimension of its targets.
        Give the number of tokens where padded tokens are left out of the mean.
    seed : int, optional
        Seed of the default generator at the beginning of every pass, so that dropout draws the same noise.

    Notes
    -----
    A batch is ``(inputs, target)``, where the inputs are passed on as one argument, as positional arguments (tuple) or
    as keywords (dict); or a dict of keywords or any object, passed to the model whole, whose target is its `y`.
    """

    def __init__(
        self, model: nn.Module, loss: Loss | None, weight: Weight | None = None, *, seed: int | None = None
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        if loss is not None and not callable(loss):
            raise TypeError(f"loss must be callable or None, got {type(loss).__name__}")
        self.model = model
        self.criterion = loss
        self.declared_weight = weight
        self.seed = seed
        self.trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.fixed = {name: p for name, p in model.named_parameters() if not p.requires_grad}
        self.fixed |= dict(model.named_buffers())

    def loss(self, tensors: Tensors, batch: Any) -> Tensor:
        """Mean loss over the examples of a batch, shape ()."""
        return self.loss_of(self._call(tensors, batch), batch)

    def output(self, tensors: Tensors, batch: Any) -> Any:
        """The model's answer to a batch."""
        if self.criterion is None:
            raise ValueError("loss must be given as loss(output, target) for this curvature, got None")
        return self._call(tensors, batch)

    def loss_of(self, output: Any, batch: Any) -> Tensor:
        """Mean loss of an output, shape ()."""
        if self.criterion is not None:
            return self.criterion(output, target_of(batch))
        found: Tensor | None = output if isinstance(output, Tensor) else getattr(output, "loss", None)
        if found is None:
            raise ValueError(
                "loss must be given, or model(batch) must return the loss or an object with .loss; "
                f"got {type(output).__name__}"
            )
        return found

    def example_losses(self, output: Any, batch: Any) -> Tensor:
        """Loss of every example, shape (N,): the loss of batches of one."""
        target = target_of(batch)
        criterion = self.criterion
        if criterion is None or not isinstance(output, Tensor) or not isinstance(target, Tensor):
            raise ValueError(
                "per-example losses need loss(output, target) of two tensors with examples in the first dimension"
            )
        if len(output) != len(target):
            raise ValueError(f"output and target must have as many examples, got {len(output)} and {len(target)}")
        return torch.vmap(lambda one, its: criterion(one[None], its[None]))(output, target)

    def weight(self, batch: Any) -> float:
        """How much a batch counts: what `weight` declares, or its number of examples."""
        if self.declared_weight is not None:
            return float(self.declared_weight(batch))
        return float(example_count(batch))

    def _call(self, tensors: Tensors, batch: Any) -> Any:
        assert self.model is not None
        if self.seed is not None:
            torch.manual_seed(self.seed)
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        if isinstance(inputs, dict):
            return torch.func.functional_call(self.model, tensors, (), inputs)
        arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        return torch.func.functional_call(self.model, tensors, arguments)


def target_of(batch: Any) -> Any:
    """The target of a batch: its second part, its item "labels" or its attribute `y`."""
    if isinstance(batch, (tuple, list)):
        if len(batch) != 2:
            raise ValueError(f"data must yield (inputs, target), got a {type(batch).__name__} of {len(batch)}")
        return batch[1]
    if isinstance(batch, dict) and "labels" in batch:
        return batch["labels"]
    if hasattr(batch, "y"):
        return batch.y
    raise ValueError(
        f"data must yield (inputs, target), a dict with labels or objects with y, got {type(batch).__name__}"
    )


def example_count(batch: Any) -> int:
    """Number of examples of a batch: the first dimension of its target, or of its first tensor."""
    try:
        target = target_of(batch)
    except ValueError:
        target = None
    if not isinstance(target, Tensor) and isinstance(batch, dict):
        target = next((value for value in batch.values() if isinstance(value, Tensor)), None)
    if isinstance(target, Tensor) and target.ndim > 0 and len(target) > 0:
        return len(target)
    raise ValueError(f"weight must be given: cannot see how many examples a batch of {type(batch).__name__} holds")
