"""Losses of predictions against trajectories, and scores of answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from reprise.algorithmic_reasoning.probes import Probe, spec
from reprise.algorithmic_reasoning.trajectories import Trajectories

MASKED = -1  # in masks, one-hot vectors and pointers: this entry does not count


def element_losses(probe: Probe, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of every entry of a probe, and its weight.

    Parameters
    ----------
    probe : Probe
    logits : Tensor, shape (…) of `truth`, for pointers (…, N)
    truth : Tensor
        Pointers as integers, all else as it is in `Trajectories`.

    Returns
    -------
    losses, weights : Tensor
        Of entries; of one-hot vectors, of vectors: their loss is summed over positives, and the weight counts these.
    """
    if probe.type == "scalar":
        return (logits - truth).square(), torch.ones_like(logits)
    if probe.type == "mask":
        known = (truth != MASKED).to(logits)
        losses = functional.binary_cross_entropy_with_logits(logits, truth.to(logits).clamp_min(0), reduction="none")
        return losses * known, known
    if probe.type == "pointer":
        chosen = torch.log_softmax(logits, dim=-1).gather(-1, truth[..., None])[..., 0]
        return -chosen, torch.ones_like(chosen)
    positive, known = (truth == 1).to(logits), (truth != MASKED).to(logits)
    losses = -(torch.log_softmax(logits, dim=-1) * positive * known)
    return losses.sum(-1), positive.sum(-1)


def output_loss(probe: Probe, logits: Tensor, truth: Tensor) -> Tensor:
    """Mean loss of an output over its entries, shape ()."""
    losses, weights = element_losses(probe, logits, truth)
    return losses.sum() / weights.sum().clamp_min(1)


def hint_loss(probe: Probe, logits: Tensor, truth: Tensor, lengths: Tensor) -> Tensor:
    """Mean loss of a hint over the entries of steps that a graph still takes.

    Parameters
    ----------
    probe : Probe
    logits : Tensor, shape (T − 1, B, …)
        Predicted at step t for step t + 1.
    truth : Tensor, shape (T, B, …)
    lengths : Tensor, shape (B,)

    Returns
    -------
    Tensor, shape ()
        0 where no graph takes a second step.
    """
    losses, weights = element_losses(probe, logits, truth[1 : 1 + len(logits)])
    step = torch.arange(1, 1 + len(losses), device=lengths.device)
    taken = (step[:, None] < lengths).reshape(*losses.shape[:2], *(1,) * (losses.ndim - 2)).to(losses)
    return (losses * taken).sum() / (weights * taken).sum().clamp_min(torch.finfo(losses.dtype).eps)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a batch.

    Attributes
    ----------
    name : str
        Of the algorithm.
    outputs : dict of str to Tensor, shape (B, …)
        Logits; scalars themselves.
    hints : dict of str to Tensor, shape (T − 1, B, …)
        Of step t + 1 at t; empty where they were not asked for or there is a single step.
    """

    name: str
    outputs: dict[str, Tensor]
    hints: dict[str, Tensor]


def loss(prediction: Prediction, trajectories: Trajectories) -> Tensor:
    """Sum of the losses of all outputs and hints, shape ().

    Raises
    ------
    ValueError
        If the two are of different algorithms.
    """
    probes = _common(prediction, trajectories)
    outputs = [
        output_loss(probes[name], found, trajectories.outputs[name]) for name, found in prediction.outputs.items()
    ]
    hints = [
        hint_loss(probes[name], found, trajectories.hints[name], trajectories.lengths)
        for name, found in prediction.hints.items()
    ]
    return torch.stack([*outputs, *hints]).sum()


def probe_score(probe: Probe, logits: Tensor, truth: Tensor) -> float:
    """Score of an output over a whole split, from 0 to 1.

    Masks: F1 of all entries that count, where precision or recall without a case is 1, and F1 is 0 if both are; else
    the share of entries whose largest logit is at the truth.
    """
    if probe.type == "mask":
        known, said = truth != MASKED, logits > 0
        right = float((said & (truth == 1) & known).sum())
        positives, claimed = float(((truth == 1) & known).sum()), float((said & known).sum())
        precision = right / claimed if claimed else 1.0
        recall = right / positives if positives else 1.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    target = truth if probe.type == "pointer" else truth.argmax(dim=-1)
    return float((logits.argmax(dim=-1) == target).double().mean())


def score(prediction: Prediction, trajectories: Trajectories) -> float:
    """Mean score of the outputs, from 0 to 1.

    Raises
    ------
    ValueError
        If the two are of different algorithms.

    Examples
    --------
    >>> from reprise.algorithmic_reasoning import sample
    >>> paths = sample("bfs", nodes=4, samples=2, seed=0)
    >>> right = torch.nn.functional.one_hot(paths.outputs["pi"], 4).double()
    >>> score(Prediction("bfs", {"pi": right}, {}), paths)
    1.0
    """
    probes = _common(prediction, trajectories)
    found = [probe_score(probes[name], value, trajectories.outputs[name]) for name, value in prediction.outputs.items()]
    return sum(found) / len(found)


def _common(prediction: Prediction, trajectories: Trajectories) -> dict[str, Probe]:
    if prediction.name != trajectories.name:
        raise ValueError(
            f"prediction and trajectories must be of one algorithm, got {prediction.name} and {trajectories.name}"
        )
    return spec(trajectories.name)
