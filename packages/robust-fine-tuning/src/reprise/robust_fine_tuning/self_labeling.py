"""Labels that a model corrects while it learns, and weights that trust small losses more (Li and Zhang 2021, RegSL)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .validation import real_number, whole_number


@dataclass(frozen=True)
class Relabel:
    """Give an example the class that the model is sure of, for good.

    Parameters
    ----------
    start : int
        First epoch (counted from 1) in which labels are corrected, E_c.
    threshold : float
        p_t: the probability that the predicted class must exceed.
    """

    start: int = 10
    threshold: float = 0.9

    def __post_init__(self) -> None:
        whole_number("start", self.start)
        real_number("threshold", self.threshold, maximum=1.0)

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The corrected labels (B,) of a batch, from logits (B, k).

        Examples
        --------
        >>> Relabel(threshold=0.9).correct(torch.tensor([[5.0, 0.0], [0.0, 0.1]]), torch.tensor([1, 0])).tolist()
        [0, 0]
        """
        confidence, predicted = logits.detach().softmax(-1).max(-1)
        return torch.where(confidence > self.threshold, predicted, labels)


@dataclass(frozen=True)
class Reweight:
    """Weight the examples of a batch by ``softmax(−ℓ/τ)``, with τ that falls while training goes on.

    Parameters
    ----------
    start : int
        First epoch (counted from 1) with weights, E_r.
    temperature : float
        τ_0; after each epoch e > E_r it is ``τ_0 max(0.5, exp(−0.1 (e − E_r)))``.

    Notes
    -----
    The softmax runs over the batch: batches of 8 and of 32 make different methods.
    """

    start: int = 5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        whole_number("start", self.start)
        real_number("temperature", self.temperature, open_at_minimum=True)

    def temperature_in(self, epoch: int) -> float:
        """τ during an epoch, as the end of the epoch before it has left it.

        Examples
        --------
        >>> [round(Reweight(start=5).temperature_in(epoch), 3) for epoch in (5, 6, 7, 30)]
        [2.0, 2.0, 1.81, 1.0]
        """
        done = epoch - 1 - self.start
        return self.temperature if done <= 0 else self.temperature * max(0.5, math.exp(-0.1 * done))

    def mean(self, losses: Tensor, epoch: int) -> Tensor:
        """Weighted mean, shape (), of the losses (B,) of a batch; the weights carry no gradient."""
        weights = (-losses.detach() / self.temperature_in(epoch)).softmax(0)
        return (weights * losses).sum()
