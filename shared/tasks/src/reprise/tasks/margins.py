"""Margins: the numbers whose sign says whether a prediction is right, one per prediction.

A margin F turns a prediction into a binary one: with a sign s in {-1, +1} its loss is log(1 + exp(-s F)). For a
mask F is the logit and s = 2y - 1, and the loss is binary cross entropy. For one class of many, F = log(p/(1 - p)) of
the true class and s = +1, and the loss is cross entropy: log(1 + (1 - p)/p) = -log p. Both are exact where nothing is
clipped. Linearised in the parameters, every such loss is a logistic regression on the gradients of F.

All functions are differentiable and work under torch.func.vmap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOWEST = -1e30  # stands for -inf: finite, so that no gradient becomes 0 · inf


def binary_margin(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Margin and sign of binary predictions.

    Parameters
    ----------
    logits : Tensor, any shape
        Log-odds of label 1.
    labels : Tensor, same shape
        0 or 1 (or bool).

    Returns
    -------
    margins, signs : Tensor, same shape
        The logits, and 2 labels - 1; ``log(1 + exp(-signs * margins))`` is the binary cross entropy.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> binary_margin(torch.tensor([0.5, -1.0]), torch.tensor([1, 0]))
    (tensor([ 0.5000, -1.0000]), tensor([ 1., -1.]))
    """
    if logits.shape != labels.shape:
        raise ValueError(f"labels must have the shape of logits, {tuple(logits.shape)}, got {tuple(labels.shape)}")
    return logits, 2 * labels.to(logits.dtype) - 1


def multiclass_margin(logits: Tensor, labels: Tensor, *, clip: float | None = 1e-4) -> Tensor:
    """Margin log(p/(1 - p)) of the true class; its sign is always +1.

    Parameters
    ----------
    logits : Tensor, shape (..., classes)
        At least two classes. An entry of -inf is a class that can't be chosen.
    labels : integer Tensor, shape (...)
        Index of the true class.
    clip : float or None
        p is clipped to [clip, 1 - clip]: a prediction beyond has gradient 0. None keeps the exact margin.

    Returns
    -------
    Tensor, shape (...)
        ``log(1 + exp(-margin))`` is the cross entropy.

    Raises
    ------
    ValueError
        If there are fewer than two classes, the shapes don't fit or `clip` lies outside (0, 1/2).

    Examples
    --------
    >>> margin = multiclass_margin(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))
    >>> torch.nn.functional.softplus(-margin), torch.nn.functional.cross_entropy(
    ...     torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))
    (tensor([0.2395]), tensor(0.2395))
    """
    if logits.ndim == 0 or logits.shape[-1] < 2 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            "logits must have shape (..., classes >= 2) and labels the shape (...), got "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    bounded = logits.clamp_min(_LOWEST)
    index = labels.long().unsqueeze(-1)
    true = bounded.gather(-1, index).squeeze(-1)
    others = torch.logsumexp(bounded.scatter(-1, index, _LOWEST), dim=-1)
    return _clipped(true - others, clip)


def pointer_margin(logits: Tensor, targets: Tensor, *, clip: float | None = 1e-4) -> Tensor:
    """Margin of pointers: every node (or edge) chooses one node, its true choice against all others.

    Parameters
    ----------
    logits : Tensor, shape (..., nodes, nodes)
        ``logits[..., i, j]`` scores that i points to j.
    targets : integer Tensor, shape (..., nodes)
        The true choices.
    clip : float or None
        As in `multiclass_margin`.

    Returns
    -------
    Tensor, shape (..., nodes)

    Raises
    ------
    ValueError
        If the last two dimensions differ or the shapes don't fit.

    Examples
    --------
    >>> pointer_margin(torch.zeros(3, 3), torch.tensor([0, 0, 1])).exp()
    tensor([0.5000, 0.5000, 0.5000])
    """
    if logits.ndim < 2 or logits.shape[-1] != logits.shape[-2]:
        raise ValueError(f"logits must have shape (..., nodes, nodes), got {tuple(logits.shape)}")
    return multiclass_margin(logits, targets, clip=clip)


def log_probability_margin(log_probability: Tensor, *, clip: float | None = 1e-4) -> Tensor:
    """Margin log(p/(1 - p)) from log p, for models that return the log-probability of what happened.

    Where the log-probability itself is to be linearised (the log-ratio of a policy to the one that acted, whose
    offset is 0), take its gradient without a margin.

    Parameters
    ----------
    log_probability : Tensor, any shape
        log p <= 0 of a discrete event, for example the true class or a whole answer.
    clip : float or None
        As in `multiclass_margin`.

    Returns
    -------
    Tensor, same shape

    Examples
    --------
    >>> log_probability_margin(torch.tensor([0.5, 0.9]).log())
    tensor([0.0000, 2.1972])
    """
    log_p = log_probability.clamp(min=_LOWEST, max=-torch.finfo(log_probability.dtype).tiny)
    return _clipped(log_p - torch.log(-torch.expm1(log_p)), clip)


def _clipped(margins: Tensor, clip: float | None) -> Tensor:
    if clip is None:
        return margins
    if not 0 < clip < 0.5:
        raise ValueError(f"clip must lie in (0, 1/2) or be None, got {clip}")
    limit = math.log((1 - clip) / clip)
    return margins.clamp(-limit, limit)
