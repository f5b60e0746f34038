"""The measure while training goes on: a callback for `fine_tune` or any loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

import torch
from torch import nn

from .distance import hessian_distance
from .examples import examples, take
from .layers import Layers, Reference, reference_weights, weight_layers
from .quadratic_forms import Method
from .validation import module, whole_number


class Certificate:
    """Measures the Hessian distance and C on a fixed sample of training examples, once per epoch.

    Parameters
    ----------
    model : Module
        Of which the layers are taken; it is measured when the certificate is called.
    reference : Module or mapping of str to Tensor
        Copied now, so that it may be the model itself before training.
    train : pair ``(inputs, labels)``
        `count` of its examples are drawn once and kept.
    count : int
        Examples in the sample.
    method : "ggn", "lanczos" or "exact"
        The Gauss-Newton form is the cheap one.
    head, layers
        As for `hessian_distance`.
    log : callable ``(row)``, optional
        Called with every row, to print or store it.
    seed : int
        Of the sample.

    Raises
    ------
    ValueError, TypeError
        As `hessian_distance`.

    Notes
    -----
    Adds to the row ``measure``, ``loss_bound`` (C) and, where the row has a ``validation_loss``, ``gap``: validation
    loss minus the sample's loss. One forward-mode pass per layer over the
    sample. The measure's maximum is over the sample.

    Examples
    --------
    >>> from reprise.robust_fine_tuning.fine_tuning import fine_tune
    >>> _ = torch.manual_seed(0)
    >>> model, data = nn.Linear(2, 2), (torch.randn(8, 2), torch.arange(8) % 2)
    >>> history = fine_tune(model, data, epochs=2, callbacks=[Certificate(model, model, data)])
    >>> sorted(history.epochs[0])
    ['changed_labels', 'epoch', 'loss_bound', 'measure', 'train_loss']
    """

    def __init__(
        self,
        model: nn.Module,
        reference: Reference,
        train: Any,
        *,
        count: int = 256,
        method: Method = "ggn",
        head: str | Iterable[str] | None = None,
        layers: Layers = None,
        log: Callable[[dict[str, float]], object] | None = None,
        seed: int = 0,
    ) -> None:
        if method not in get_args(Method):
            raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
        if log is not None and not callable(log):
            raise TypeError(f"log must be callable or None, got {log!r}")
        inputs, labels = examples("train", train, model=module("model", model))
        weights = weight_layers(model, layers)
        self.reference = reference_weights(weights, reference, head=head)
        self.layers = list(weights)
        self.n = len(labels)
        generator = torch.Generator().manual_seed(whole_number("seed", seed, minimum=0))
        index = torch.randperm(self.n, generator=generator)[: whole_number("count", count)]
        self.sample = (take(inputs, index), labels[index])
        self.method: Method = method
        self.log = log

    def __call__(self, model: nn.Module, row: dict[str, float]) -> None:
        """Add the measure to a row of an epoch."""
        found = hessian_distance(
            model, self.reference, self.sample, layers=self.layers, method=self.method, n=self.n, eval_mode=True
        )
        row["measure"], row["loss_bound"] = found.measure, found.loss_bound
        if "validation_loss" in row:
            row["gap"] = row["validation_loss"] - float(found.losses.mean())
        if self.log is not None:
            self.log(dict(row))
