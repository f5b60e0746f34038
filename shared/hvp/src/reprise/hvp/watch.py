"""Curvature of a running training, at a bounded share of its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .density import spectral_density
from .objective import Loss
from .operators import Hessian
from .parameters import Selection

Row = dict[str, float]


@dataclass
class Watch:
    """Measures curvature every few steps of a training, as far as its share of the time allows.

    Attributes
    ----------
    rows : list of dict
        One per measurement: step, seconds it took, share of the time so far, loss, top_eigenvalue, lowest_eigenvalue,
        trace, trace_stderr, negative_fraction, positive_fraction, epsilon.
    """

    measure: Callable[[], Row]
    every: int
    share: float
    log: Callable[[Row], object] | None
    clock: Callable[[], float] = time.perf_counter
    rows: list[Row] = field(default_factory=list)
    step_count: int = 0
    spent: float = 0.0
    _began: float | None = None

    def step(self) -> Row | None:
        """Count one step of the training; the measurement's row when one was due and within the share."""
        now = self.clock()
        if self._began is None:
            self._began = now
        self.step_count += 1
        if self.step_count % self.every:
            return None
        training = now - self._began - self.spent
        last = self.rows[-1]["seconds"] if self.rows else 0.0
        # the next measurement will take about as long as the last one did
        if self.rows and self.spent + last > self.share * (training + self.spent + last):
            return None
        row = self.measure()
        seconds = self.clock() - now
        self.spent += seconds
        row = {"step": float(self.step_count), "seconds": seconds, "share": self.spent / (training + self.spent)} | row
        self.rows.append(row)
        if self.log is not None:
            self.log(row)
        return row

    def attach(self, optimizer: torch.optim.Optimizer) -> Any:
        """Count every step of `optimizer` from now on; returns a handle with ``remove()``."""

        def count(*_: Any) -> None:
            self.step()

        return optimizer.register_step_post_hook(count)


def watch(
    model: nn.Module,
    loss: Loss | None,
    data: Iterable[Any],
    *,
    every: int = 100,
    share: float = 0.05,
    log: Callable[[Row], object] | None = None,
    parameters: Selection = None,
    starts: int = 2,
    steps: int = 20,
    **options: Any,
) -> Watch:
    """Watch the curvature of a model while it trains.

    Parameters
    ----------
    model : Module
        The model in training; it is measured in eval mode, and put back.
    loss : callable ``(output, target) -> scalar``, or None
        As for `Hessian`.
    data : iterable of batches
        On which the curvature is measured: a few fixed batches.
    every : int
        Steps between measurements.
    share : float
        Largest share of the time that measurements may take, after the first one; those that would exceed it are
        left out.
    log : callable ``(row) -> object``, optional
        Receives every row: ``wandb.log``, a CSV writer's ``writerow``, ``list.append``.
    parameters : Selection, optional
        As for `Hessian`.
    starts, steps : int
        Lanczos starts and steps of each measurement.
    **options
        Further arguments of `Hessian`.

    Returns
    -------
    Watch
        Call its ``step()`` after every optimizer step, or ``attach(optimizer)``.

    Raises
    ------
    ValueError
        For `every` below 1 or a `share` outside (0, 1].

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> data = [(torch.eye(3), torch.ones(3, 1))]
    >>> watcher = watch(model, nn.functional.mse_loss, data, every=2, share=1.0)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> handle = watcher.attach(optimizer)
    >>> for _ in range(4):
    ...     optimizer.zero_grad()
    ...     nn.functional.mse_loss(model(data[0][0]), data[0][1]).backward()
    ...     optimizer.step()
    >>> [int(row["step"]) for row in watcher.rows]
    [2, 4]
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    was_training = _set_modes(model, None)
    try:
        operator = Hessian(model, loss, data, parameters=parameters, **options)
    finally:
        _set_modes(model, was_training)

    def measure() -> Row:
        modes = _set_modes(model, None)
        try:
            density = spectral_density(operator, starts=starts, steps=steps)
            signs, total = density.signs(), density.trace_of()
            return {
                "loss": operator.value(),
                "top_eigenvalue": float(density.nodes.max()),
                "lowest_eigenvalue": float(density.nodes.min()),
                "trace": total.value,
                "trace_stderr": total.stderr,
                "negative_fraction": signs.negative,
                "positive_fraction": signs.positive,
                "epsilon": signs.epsilon,
            }
        finally:
            _set_modes(model, modes)

    return Watch(measure, every, share, log)


def _set_modes(model: nn.Module, modes: list[bool] | None) -> list[bool]:
    """Put every module in eval mode, or back in the given modes; returns the modes before."""
    before = [module.training for module in model.modules()]
    for position, module in enumerate(model.modules()):
        module.training = False if modes is None else modes[position]
    return before
