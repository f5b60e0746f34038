"""What the measure is compared with: the observed generalization gap, and the loss under noise in the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .examples import batches, call, examples, logits_of, move, number_of_classes
from .training_mode import evaluating
from .validation import class_labels, module, numpy_or_torch_generator, real_number, whole_number


@dataclass(frozen=True)
class GeneralizationGap:
    """Mean losses and accuracies on training and test examples."""

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float

    @property
    def gap(self) -> float:
        """Test loss minus training loss."""
        return self.test_loss - self.train_loss


def generalization_gap(model: nn.Module, train: Any, test: Any) -> GeneralizationGap:
    """The observed gap in cross-entropy.

    Parameters
    ----------
    model : Module
        Evaluated in evaluation mode, whichever it is in.
    train, test : pair ``(inputs, labels)``
        Both with labels of the same kind: noisy or clean, not one of each, as the difference then means nothing.

    Returns
    -------
    GeneralizationGap

    Raises
    ------
    ValueError, TypeError
        For malformed data or labels that the model has no logit for.

    Examples
    --------
    >>> data = (torch.eye(2), torch.tensor([0, 1]))
    >>> generalization_gap(nn.Linear(2, 2), data, data).gap
    0.0
    """
    (train_loss, train_accuracy), (test_loss, test_accuracy) = (
        _evaluate(module("model", model), name, data) for name, data in (("train", train), ("test", test))
    )
    return GeneralizationGap(train_loss, test_loss, train_accuracy, test_accuracy)


@torch.no_grad()
def perturbed_loss(
    model: nn.Module,
    data: Any,
    sigma: float,
    *,
    samples: int = 20,
    two_sided: bool = True,
    generator: Any = None,
) -> tuple[float, float]:
    """``E_U ℓ(f_{W+U})`` for noise U ~ N(0, σ²I) in all trainable weights.

    Parameters
    ----------
    model : Module
        Its weights are put back bit for bit, also when something fails.
    data : pair ``(inputs, labels)`` or iterable of such pairs
    sigma : float
        Standard deviation per coordinate; compare it with the weights' own root mean square.
    samples : int
        Draws of U.
    two_sided : bool
        Average the losses at W + U and W − U, which cancels the term linear in U.
    generator : torch.Generator, numpy Generator or int, optional
        Seed 0 by default. One flat draw per sample: it does not depend on how parameters are grouped.

    Returns
    -------
    mean, std : float
        Over the draws.

    Raises
    ------
    ValueError, TypeError
        If `sigma` is negative, `samples` below 1, or the data malformed.

    Examples
    --------
    >>> perturbed_loss(nn.Linear(2, 2), (torch.eye(2), torch.tensor([0, 1])), 0.0)[1]
    0.0
    """
    sigma, samples = real_number("sigma", sigma), whole_number("samples", samples)
    parameters: list[Tensor] = [p for p in module("model", model).parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model has no parameter that requires a gradient")
    device = parameters[0].device
    held = [(move(inputs, device), labels.to(device)) for inputs, labels in batches("data", data, model=model)]
    with evaluating(model):
        classes = number_of_classes("data", model, held[0][0])
    for _, labels in held:
        class_labels("data: labels", labels, classes)
    source = numpy_or_torch_generator(generator)
    kept = [parameter.detach().clone() for parameter in parameters]
    sizes = [parameter.numel() for parameter in parameters]
    found = []
    try:
        with evaluating(model):
            for _ in range(samples):
                draw = torch.randn(sum(sizes), generator=source)
                parts = [piece.view_as(p).to(p) for piece, p in zip(torch.split(draw, sizes), parameters)]
                losses = []
                for side in (sigma, -sigma) if two_sided else (sigma,):
                    torch._foreach_copy_(parameters, kept)
                    torch._foreach_add_(parameters, parts, alpha=side)
                    losses.append(_mean_loss(model, held))
                found.append(sum(losses) / len(losses))
    finally:
        torch._foreach_copy_(parameters, kept)
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std()) if samples > 1 else 0.0


def _mean_loss(model: nn.Module, held: list[tuple[Any, Tensor]]) -> float:
    total = sum(float(nn.functional.cross_entropy(call(model, x), y, reduction="sum")) for x, y in held)
    return total / sum(len(y) for _, y in held)


def _evaluate(model: nn.Module, name: str, data: Any) -> tuple[float, float]:
    inputs, labels = examples(name, data, model=model)
    with evaluating(model):
        class_labels(f"{name}[1]", labels, number_of_classes(name, model, inputs))
        logits = logits_of(model, inputs, len(labels)).cpu()
    accuracy = float((logits.argmax(1) == labels.cpu()).double().mean())
    return float(nn.functional.cross_entropy(logits, labels.cpu())), accuracy
