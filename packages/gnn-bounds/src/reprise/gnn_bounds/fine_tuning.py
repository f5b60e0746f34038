"""Noise-stable fine-tuning of a pretrained molecule network.

The gradient of a step is ``λ ∇[ℓ(W) + penalty] + (1 − λ)/(2k) Σ_j [∇ℓ(W + U_j) + ∇ℓ(W − U_j)]``: the penalty, a
distance to the pretrained weights, stands in the clean term only, and is thereby scaled by λ (as in the authors' code).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from reprise.gnn_bounds.molecule_data import MoleculeBatch, Molecules
from reprise.gnn_bounds.molecules import MoleculeGCN
from reprise.gnn_bounds.validation import number, positive, whole
from reprise.hvp.optim import NSO

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning came to.

    Parameters
    ----------
    validation_auc, test_auc : tuple of float
        Mean ROC-AUC over tasks after every epoch.
    train_loss : tuple of float
        Mean training loss of every epoch, dropout on.
    skipped_tasks : tuple of str
        Tasks with one class alone in the validation or the test part: their AUC is undefined, and left out there.
    """

    validation_auc: tuple[float, ...]
    test_auc: tuple[float, ...]
    train_loss: tuple[float, ...]
    skipped_tasks: tuple[str, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation AUC, counted from 0."""
        return int(np.nanargmax(self.validation_auc))

    @property
    def test_auc_at_best(self) -> float:
        """Test AUC at the best validation epoch."""
        return self.test_auc[self.best_epoch]


def fine_tune(
    model: MoleculeGCN,
    molecules: Molecules,
    *,
    epochs: int = 100,
    sigma: float = 0.0,
    clean_weight: float = 0.6,
    perturbations: int = 1,
    penalty: float = 1e-4,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> FineTuning:
    """Fine-tune in place; what is reported is the test AUC at the best validation epoch.

    Parameters
    ----------
    model : MoleculeGCN
        Its present weights are those that the penalty keeps it near.
    molecules : Molecules
    epochs : int
    sigma : float
        Standard deviation of the noise on all weights but those of batch normalisation; 0 fine-tunes plainly, without
        penalty.
    clean_weight : float
        λ.
    perturbations : int
        k.
    penalty : float
        Of the squared distance of the encoder to its start, and of the squared head.
    learning_rate, batch_size
        Of Adam.
    seed : int
        Of the order of molecules, dropout and the noise. Torch's own generator is put back afterwards.
    progress : callable
        ``progress(done, total)`` after every epoch.

    Returns
    -------
    FineTuning

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, or a head whose width is not the number of tasks.
    """
    epochs, batch_size, seed = whole("epochs", epochs), whole("batch_size", batch_size), whole("seed", seed, least=0)
    number("sigma", sigma, least=0.0), number("penalty", penalty, least=0.0)
    positive("learning_rate", learning_rate)
    if model.head.out_features != len(molecules.tasks):
        raise ValueError(f"model must have {len(molecules.tasks)} outputs, as tasks, got {model.head.out_features}")
    device = model.head.weight.device
    order = np.random.default_rng(seed)
    training = molecules.part("train")
    encoder, head = model.encoder_parameters(), list(model.head.parameters())
    start = [parameter.detach().clone() for parameter in encoder]
    normal = {id(p) for norm in model.batch_norms for p in norm.parameters()}
    optimizer: Any
    if sigma > 0:
        groups = [
            {"params": [p for p in model.parameters() if id(p) not in normal]},
            {"params": [p for p in model.parameters() if id(p) in normal], "sigma": 0.0},
        ]
        noise = torch.Generator(device=device).manual_seed(seed)
        optimizer = NSO(
            groups,
            torch.optim.Adam,
            sigma=sigma,
            perturbations=perturbations,
            clean_weight=clean_weight,
            generator=noise,
            model=model,
            lr=learning_rate,
        )
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def away() -> Tensor:
        squares = [(p - s).square().sum() for p, s in zip(encoder, start)] + [p.square().sum() for p in head]
        return penalty * torch.stack(squares).sum()

    validation, test, losses = [], [], []
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for epoch in range(epochs):
            model.train()
            total = 0.0
            shuffled = order.permutation(training)
            for first in range(0, len(shuffled), batch_size):
                part = shuffled[first : first + batch_size]
                if len(part) < 2:
                    continue  # batch normalisation needs two
                batch = molecules.batch(part).to(device)

                def closure(batch: MoleculeBatch = batch) -> Tensor:
                    optimizer.zero_grad()
                    loss = masked_loss(model(batch), batch.labels)
                    torch.autograd.backward(loss)
                    return loss

                def penalised(batch: MoleculeBatch = batch) -> Tensor:
                    optimizer.zero_grad()
                    loss = masked_loss(model(batch), batch.labels) + away()
                    torch.autograd.backward(loss)
                    return loss

                loss = optimizer.step(closure, penalised) if sigma > 0 else optimizer.step(closure)
                total += float(loss.detach()) * len(part)
            losses.append(total / len(training))
            scores = predict(model, molecules)
            validation.append(mean_auc(scores, molecules, "validation"))
            test.append(mean_auc(scores, molecules, "test"))
            progress(epoch + 1, epochs)
    model.eval()
    skipped = tuple(
        task
        for index, task in enumerate(molecules.tasks)
        if any(not _two_classes(molecules.labels[molecules.part(part), index]) for part in ("validation", "test"))
    )
    return FineTuning(tuple(validation), tuple(test), tuple(losses), skipped)


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the labels that are there (−1 is missing), shape ()."""
    present = labels >= 0
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, labels.clamp_min(0).to(logits.dtype), reduction="none"
    )
    return (losses * present).sum() / present.sum().clamp_min(1)


@torch.no_grad()
def predict(model: MoleculeGCN, molecules: Molecules, *, batch_size: int = 512) -> Array:
    """Logits (M, tasks) in eval mode."""
    model.eval()
    device = model.head.weight.device
    parts = [np.arange(i, min(i + batch_size, len(molecules))) for i in range(0, len(molecules), batch_size)]
    return np.concatenate([model(molecules.batch(part).to(device)).cpu().numpy() for part in parts])


def mean_auc(scores: Array, molecules: Molecules, part: str) -> float:
    """ROC-AUC on a part of the split, averaged over the tasks that have both classes there; NaN if none has."""
    chosen = molecules.part(part)
    found = []
    for index in range(len(molecules.tasks)):
        labels = molecules.labels[chosen, index]
        if _two_classes(labels):
            known = labels >= 0
            found.append(roc_auc_score(labels[known], scores[chosen, index][known]))
    return float(np.mean(found)) if found else float("nan")


def _two_classes(labels: Array) -> bool:
    return bool((labels == 0).any() and (labels == 1).any())
