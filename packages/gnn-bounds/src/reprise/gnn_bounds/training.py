"""Training of graph networks for the comparisons: Adam or NSO around it on cross-entropy, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import GraphBatch, Prepared
from reprise.gnn_bounds.validation import number, positive, whole
from reprise.hvp.optim import NSO


@dataclass(frozen=True)
class Fit:
    """Mean losses and accuracies on the training and the test graphs."""

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float

    @property
    def gap(self) -> float:
        """Test loss minus training loss."""
        return self.test_loss - self.train_loss


def split(count: int, generator: torch.Generator, *, share: float = 0.1) -> tuple[list[int], list[int]]:
    """Random training and test indices; `share` of all are for the test."""
    order = torch.randperm(count, generator=generator).tolist()
    held = max(1, round(share * count))
    return sorted(order[held:]), sorted(order[:held])


def train(
    model: nn.Module,
    data: Prepared,
    chosen: Sequence[int],
    *,
    epochs: int,
    generator: torch.Generator,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    weight_decay: float = 0.0,
    sigma: float = 0.0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> None:
    """Train a network in place.

    Parameters
    ----------
    model : Module
        Takes a `GraphBatch`.
    data : Prepared
    chosen : sequence of int
        Training graphs.
    epochs : int
    generator : torch.Generator
        Source of the order of the graphs, and of the noise.
    learning_rate, batch_size, weight_decay
        Of Adam (the decay is added to the gradient).
    sigma : float
        Standard deviation of NSO's noise; 0 trains with Adam alone.
    progress : callable
        ``progress(done, total)`` after every epoch.

    Raises
    ------
    ValueError, TypeError
        For sizes or rates out of range.
    """
    epochs, batch_size = whole("epochs", epochs), whole("batch_size", batch_size)
    positive("learning_rate", learning_rate)
    options: dict[str, Any] = {"lr": learning_rate, "weight_decay": number("weight_decay", weight_decay, least=0.0)}
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), **options)
    if number("sigma", sigma, least=0.0) > 0:
        noise = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))
        optimizer = NSO(model.parameters(), torch.optim.Adam, sigma=sigma, generator=noise, model=model, **options)
    device = next(model.parameters()).device
    indices = np.asarray(chosen, dtype=np.int64)
    model.train()
    for epoch in range(epochs):
        order = indices[torch.randperm(len(indices), generator=generator).numpy()]
        for first in range(0, len(order), batch_size):
            batch, labels = move(data.batch(order[first : first + batch_size]), device)

            def closure(batch: GraphBatch = batch, labels: Tensor = labels) -> Tensor:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(batch), labels)
                torch.autograd.backward(loss)
                return loss

            optimizer.step(closure)  # type: ignore[arg-type]
        progress(epoch + 1, epochs)
    model.eval()


def move(batch: tuple[GraphBatch, Tensor], device: torch.device) -> tuple[GraphBatch, Tensor]:
    """A batch and its labels on `device`."""
    return batch[0].to(device), batch[1].to(device)


@torch.no_grad()
def evaluate(model: nn.Module, data: Prepared, training: Sequence[int], test: Sequence[int]) -> Fit:
    """Losses and accuracies of a trained network."""
    device = next(model.parameters()).device
    found = []
    for chosen in (training, test):
        batch, labels = move(data.batch(list(chosen)), device)
        outputs = model(batch)
        loss = float(nn.functional.cross_entropy(outputs, labels))
        found.append((loss, float((outputs.argmax(1) == labels).float().mean())))
    return Fit(found[0][0], found[1][0], found[0][1], found[1][1])
