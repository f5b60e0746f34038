"""The loop around every update of a factor: when to record, when to stop, when to say that the step is too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.tuning import safe_step
from reprise.matrix_sensing.validation import positive_integer, positive_number

Row = dict[str, Any]
Callback = Callable[[Row], None]
Update = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Takes factors U_t, shape (runs, d, k), to U_{t+1} and the residuals of U_t, shape (runs, m), if it has them all."""


class DivergenceError(ValueError):
    """The loss grew tenfold: the step is too large."""


DIVERGED = 10.0  # growth of the loss over its first value that counts as divergence


@dataclass(frozen=True)
class Path:
    """What a run of gradient descent left behind.

    Attributes
    ----------
    factor : Tensor, shape (d, k)
        The last U.
    history : list of dict
        One row per recorded step, ready for a DataFrame: ``step``, ``loss`` (f), ``relative_loss`` (Σ residual²/Σ y²),
        ``nuclear_norm`` (of U Uᵀ) and, when the truth is known, ``error``, ``sigma_r`` and ``error_part`` (see
        `signal_error_split`); further columns on request.
    converged : bool
        Whether the relative loss reached the tolerance.
    step, scale : float
        η and α.
    """

    factor: Tensor
    history: list[Row]
    converged: bool
    step: float
    scale: float

    @property
    def matrix(self) -> Tensor:
        """U Uᵀ, shape (d, d)."""
        return self.factor @ self.factor.mT

    def column(self, name: str) -> list[Any]:
        """One column of the history."""
        return [row[name] for row in self.history]


def iterate(
    problem: SensingProblem,
    factor: Tensor,
    update: Update,
    *,
    steps: int,
    tolerance: float,
    record_every: int,
    observe: Callable[[Tensor], dict[str, Tensor]],
    callback: Callback | None,
    step: float,
    scales: Sequence[float],
    advice: str = "",
) -> list[Path]:
    """Repeat `update` on a batch of factors until every run has converged or all steps are taken.

    Parameters
    ----------
    factor : Tensor, shape (runs, d, k)
    observe : callable
        The numbers to record of a batch of factors, each of shape (runs, ...), besides the loss.
    step, scales
        η and the α of each run, for the paths and for the message when the loss diverges.
    advice : str
        What else that message should say.

    Raises
    ------
    DivergenceError
        If the loss of a run is tenfold its first value, or not finite, at a recorded step.
    """
    positive_integer("steps", steps)
    positive_integer("record_every", record_every)
    positive_number("tolerance", tolerance, inclusive=True)
    power = (problem.targets.square().mean(-1) / 2).clamp(min=torch.finfo(factor.dtype).tiny)
    histories: list[list[Row]] = [[] for _ in scales]
    active = torch.ones(len(scales), dtype=torch.bool, device=factor.device)
    first_loss = torch.empty(0)
    for number in range(steps + 1):
        recording = number % record_every == 0 or number == steps
        proposal, residual = update(factor)
        if recording:
            if residual is None:
                residual = problem.measurements.forward(factor) - problem.targets
            loss = residual.square().mean(-1) / 2
            first_loss = loss if number == 0 else first_loss
            _refuse_divergence(problem, loss, first_loss, f"by step {number} of size {step:g}", advice)
            numbers = {"loss": loss, "relative_loss": loss / power, **observe(factor)}
            _record(histories, active, number, numbers, callback)
            active = active & (loss / power > tolerance)
            if number == steps or not bool(active.any()):
                break
        factor = torch.where(active[:, None, None], proposal, factor)
    finished = (~active).tolist()
    return [
        Path(factor[run], histories[run], finished[run], float(step), float(scale)) for run, scale in enumerate(scales)
    ]


def _record(
    histories: list[list[Row]], active: Tensor, number: int, numbers: dict[str, Tensor], callback: Callback | None
) -> None:
    columns = {name: values.tolist() for name, values in numbers.items()}
    for run in active.nonzero().flatten().tolist():
        row = {"step": number, **{name: values[run] for name, values in columns.items()}}
        histories[run].append(row)
        if callback is not None:
            callback(row)


def _refuse_divergence(problem: SensingProblem, loss: Tensor, first: Tensor, when: str, advice: str) -> None:
    fine = loss <= DIVERGED * first
    if bool(fine.all()):
        return
    run = int((~fine).nonzero()[0])
    single = problem.item(run)
    raise DivergenceError(
        f"step is too large: the loss went from {float(first[run]):.3g} to {float(loss[run]):.3g} {when}; "
        f"a safe step is about {safe_step(single.measurements, single.targets):.2g} = 1 / (4 ‖𝒜*𝒜‖ ‖X*‖), "
        f"less where the starting scale is not small{advice}"
    )
