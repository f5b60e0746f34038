"""Fine-tuning with any of: consistent loss, layer constraints, distance penalty, self-labelling, re-weighting, NSO.

Projected stochastic gradient descent: a step of the optimizer, then the projection of every constrained layer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .constraints import DistancePenalty, LayerConstraints
from .examples import call, described, examples, logits_of, number_of_classes, take
from .self_labeling import Relabel, Reweight
from .training_mode import evaluating
from .validation import class_labels, module, real_number, whole_number

Loss = Callable[[Tensor, Tensor], Tensor]
Callback = Callable[[nn.Module, dict[str, float]], None]


@dataclass
class History:
    """What happened in each epoch, and what is left.

    Attributes
    ----------
    epochs : list of dict
        Per epoch (from 1): ``epoch``, ``train_loss``, ``changed_labels``, ``validation_accuracy`` and
        ``validation_loss`` where there is validation data, and what callbacks have added.
    labels : Tensor, shape (n,)
        The training labels after self-correction.
    best_epoch : int
        Whose weights the model has at the end.
    stopped_early : bool
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    best_epoch: int = 0
    stopped_early: bool = False

    def column(self, name: str) -> list[float]:
        """One value per epoch."""
        return [row[name] for row in self.epochs]


def adam(parameters: Iterable[Any]) -> Optimizer:
    """The authors' optimizer: Adam with amsgrad, step size 1e-4, no weight decay."""
    return torch.optim.Adam(parameters, lr=1e-4, amsgrad=True)


def fine_tune(
    model: nn.Module,
    train: Any,
    *,
    loss: Loss | None = None,
    loss_from: int = 1,
    constraints: LayerConstraints | None = None,
    penalty: DistancePenalty | None = None,
    optimizer: Callable[[list[nn.Parameter]], Optimizer] = adam,
    decay_every: int | None = 10,
    epochs: int = 30,
    batch_size: int = 32,
    validation: Any = None,
    patience: int | None = 10,
    keep_best: bool = True,
    relabel: Relabel | None = None,
    reweight: Reweight | None = None,
    mixup: float = 0.0,
    callbacks: Iterable[Callback] = (),
    seed: int = 0,
) -> History:
    """Fine-tune a model in place.

    Parameters
    ----------
    model : Module
        On the device where it is to be trained; frozen parameters are left alone. Its output are logits (B, k).
    train : pair ``(inputs, labels)``
        A tensor, a tuple of tensors or an object with ``batch(index)``, and labels (n,). They are not changed.
    loss : callable ``(logits, labels) -> scalar``, optional
        Such as `ConsistentLoss`; the cross-entropy by default.
    loss_from : int
        First epoch with `loss`; cross-entropy before (the authors' ``reweight_epoch`` of the consistent loss).
    constraints : LayerConstraints, optional
        Projected after every step.
    penalty : DistancePenalty, optional
        Added to every loss.
    optimizer : callable ``(parameters) -> Optimizer``
        Makes the optimizer; `NSO` and `SAM` work as any other.
    decay_every : int, optional
        Divide the step size by 10 after so many epochs.
    epochs, batch_size : int
    validation : pair, optional
        Measured after every epoch.
    patience : int, optional
        Stop after so many epochs without a better validation accuracy.
    keep_best : bool
        End with the weights of the best epoch in validation accuracy.
    relabel : Relabel, optional
        Correct labels for good.
    reweight : Reweight, optional
        Weight the examples of a batch by their losses; `loss` must be of the mean form.
    mixup : float
        α of the Beta(α, α) that mixes pairs of inputs and of losses (Zhang et al. 2018); 0 is off. For inputs that are
        one tensor.
    callbacks : iterable of ``callback(model, row)``
        After every epoch, in evaluation mode; may add entries to the row.
    seed : int
        Of the order of the examples and of mixup.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        For malformed data or arguments, all before the first step; and where the loss is no longer finite.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Linear(2, 2)
    >>> history = fine_tune(model, (torch.randn(8, 2), torch.arange(8) % 2), epochs=2)
    >>> history.column("epoch")
    [1, 2]
    """
    module("model", model)
    inputs, given = examples("train", train, model=model)
    held_out = None if validation is None else examples("validation", validation, model=model)
    _check_parts(model, loss, optimizer, constraints, penalty, relabel, reweight)
    callbacks = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in callbacks:
        if not callable(callback):
            raise TypeError(f"callbacks must hold callables (model, row), got {callback!r}")
    epochs, batch_size = whole_number("epochs", epochs), whole_number("batch_size", batch_size)
    seed = whole_number("seed", seed, minimum=0)
    loss_from = whole_number("loss_from", loss_from)
    patience = None if patience is None else whole_number("patience", patience)
    mixup = real_number("mixup", mixup)
    if mixup > 0 and not isinstance(take(inputs, torch.zeros(1, dtype=torch.long)), Tensor):
        raise TypeError(f"mixup needs batches of inputs that are one tensor, got {type(inputs).__name__}")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("model has no parameter that requires a gradient")
    device = parameters[0].device
    with evaluating(model):
        classes = number_of_classes("train", model, inputs)
        class_labels("train[1]", given, classes)
        if held_out is not None:
            class_labels("validation[1]", held_out[1], number_of_classes("validation", model, held_out[0]))

    stepper = optimizer(parameters)
    if not isinstance(stepper, Optimizer):
        raise TypeError(f"optimizer must make a torch.optim.Optimizer of the parameters, got {type(stepper).__name__}")
    schedule = (
        None
        if decay_every is None
        else torch.optim.lr_scheduler.StepLR(_scheduled(stepper), whole_number("decay_every", decay_every), gamma=0.1)
    )
    labels = given.clone()
    order = torch.Generator().manual_seed(seed)
    mixer = torch.distributions.Beta(mixup, mixup) if mixup > 0 else None
    history, best, best_state = History(), -1.0, None
    plain: Loss = nn.functional.cross_entropy
    for epoch in range(1, epochs + 1):
        model.train()
        criterion = plain if loss is None or epoch < loss_from else loss
        total = torch.zeros((), device=device)
        for index in torch.split(torch.randperm(len(labels), generator=order), batch_size):
            x = take(inputs, index, device)
            batch = _Batch(index, labels[index].to(device), epoch, criterion, relabel, reweight, penalty)
            if mixer is not None:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(int(torch.randint(2**62, (1,), generator=order)))
                    batch.share = float(mixer.sample())
                batch.partner = torch.randperm(len(index), generator=order)
                x = batch.share * x + (1 - batch.share) * x[batch.partner]

            def closure(x: Any = x, batch: _Batch = batch) -> Any:
                stepper.zero_grad()
                value = batch.loss(call(model, x))
                if not isinstance(value, Tensor) or value.ndim > 0:
                    raise ValueError(f"loss must give a mean over the batch, shape (), got {described(value)}")
                torch.autograd.backward(value)
                return value

            found: Any = stepper.step(closure)
            if constraints is not None:
                constraints.project_()
            labels[index] = batch.labels.to(labels.device)
            total += found.detach() * len(index)
        if not bool(total.isfinite()):
            raise ValueError(
                f"train: the loss is not finite after epoch {epoch}; take smaller steps or constrain layers"
            )
        row: dict[str, float] = {
            "epoch": epoch,
            "train_loss": float(total) / len(labels),
            "changed_labels": int((labels != given).sum()),
        }
        with evaluating(model):
            if held_out is not None:
                row |= _evaluate(model, *held_out)
            for callback in callbacks:
                callback(model, row)
        history.epochs.append(row)
        if schedule is not None:
            schedule.step()
        if held_out is None or row["validation_accuracy"] > best:
            best, history.best_epoch = row.get("validation_accuracy", best), epoch
            if keep_best and held_out is not None:
                best_state = copy.deepcopy(model.state_dict())
        elif patience is not None and epoch - history.best_epoch >= patience:
            history.stopped_early = True
            break
    if best_state is not None:
        model.load_state_dict(best_state)
    else:
        history.best_epoch = len(history.epochs)
    history.labels = labels
    return history


@dataclass
class _Batch:
    """One minibatch: its labels, which the first pass of a step may correct, and its loss."""

    index: Tensor
    labels: Tensor
    epoch: int
    criterion: Loss
    relabel: Relabel | None
    reweight: Reweight | None
    penalty: DistancePenalty | None
    partner: Tensor | None = None
    share: float = 1.0
    corrected: bool = False

    def loss(self, logits: Tensor) -> Tensor:
        if self.relabel is not None and self.epoch >= self.relabel.start and not self.corrected:
            self.labels, self.corrected = self.relabel.correct(logits, self.labels), True
        value = self._of(logits, self.labels)
        if self.partner is not None:
            value = self.share * value + (1 - self.share) * self._of(logits, self.labels[self.partner])
        return value if self.penalty is None else value + self.penalty()

    def _of(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.reweight is None or self.epoch < self.reweight.start:
            return self.criterion(logits, labels)
        singles = torch.vmap(lambda row, label: self.criterion(row[None], label[None]))(logits, labels)
        return self.reweight.mean(singles, self.epoch)


def _check_parts(
    model: nn.Module,
    loss: Any,
    optimizer: Any,
    constraints: Any,
    penalty: Any,
    relabel: Any,
    reweight: Any,
) -> None:
    """Raise unless every part of a run is of its kind, and what holds weights holds those of the model."""
    for name, value in (("loss", loss), ("optimizer", optimizer)):
        if not callable(value) and not (name == "loss" and value is None):
            raise TypeError(f"{name} must be callable, got {value!r}")
    kinds: list[tuple[str, Any, type]] = [
        ("constraints", constraints, LayerConstraints),
        ("penalty", penalty, DistancePenalty),
        ("relabel", relabel, Relabel),
        ("reweight", reweight, Reweight),
    ]
    for name, value, kind in kinds:
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__name__} or None, got {value!r}")
    own = {id(parameter) for parameter in model.parameters()}
    for name, held in (("constraints", constraints), ("penalty", penalty)):
        if held is not None and any(id(weight) not in own for weight in held.weights):
            raise ValueError(f"{name} must be made of this model's weights, got those of another: make it of model")


def _scheduled(optimizer: Optimizer) -> Optimizer:
    """The optimizer whose step size is scheduled: the base of one that wraps another."""
    base: Optimizer = getattr(optimizer, "base", optimizer)
    return base


def _evaluate(model: nn.Module, inputs: Any, labels: Tensor) -> dict[str, float]:
    logits = logits_of(model, inputs, len(labels)).cpu()
    return {
        "validation_accuracy": float((logits.argmax(1) == labels.cpu()).double().mean()),
        "validation_loss": float(nn.functional.cross_entropy(logits, labels.cpu())),
    }
