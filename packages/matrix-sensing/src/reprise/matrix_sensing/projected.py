"""Gradient descent on the matrix itself, projected onto the positive semidefinite cone.

The convex counterpart that the paper compares with: the same loss, the same lack of a regulariser, but no factor. It
finds a matrix that fits; which one it is, nothing but the starting point decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reprise.matrix_sensing.diagnostics import recovery_error
from reprise.matrix_sensing.loop import DIVERGED, DivergenceError
from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.tuning import operator_norm
from reprise.matrix_sensing.validation import positive_integer, positive_number


@dataclass(frozen=True)
class MatrixPath:
    """The last matrix, shape (d, d), rows ``step``, ``loss``, ``relative_loss``, ``nuclear_norm``, ``error``, and
    whether the relative loss reached the tolerance."""

    matrix: Tensor
    history: list[dict[str, Any]]
    converged: bool


def projected_gradient_descent(
    problem: SensingProblem,
    *,
    step: float | None = None,
    steps: int = 2000,
    tolerance: float = 1e-10,
    record_every: int = 10,
) -> MatrixPath:
    """Iterate P ← Π(P − (η/m) Σ_i (⟨A_i, P⟩ − y_i)(A_i + A_iᵀ)/2) from P = 0, Π the projection on the PSD cone.

    Parameters
    ----------
    problem : SensingProblem
    step : float, optional
        η; 1/‖(1/m)𝒜*𝒜‖ when not given, the largest for which descent is certain.
    steps : int
        Upper bound on the number of steps.
    tolerance : float
        Stop when the relative loss Σ residual²/Σ y² falls to this.
    record_every : int
        Steps between two rows of the history.

    Returns
    -------
    MatrixPath

    Raises
    ------
    ValueError
        If an argument is out of its range, or the loss grows tenfold: the message names a step that is safe.

    Notes
    -----
    A step costs two passes over the measurements and an eigendecomposition, O(d³).

    Examples
    --------
    >>> problem = SensingProblem.gaussian(dimension=10, rank=1, measurements=60, seed=0)
    >>> projected_gradient_descent(problem).converged
    True
    """
    measurements, targets = problem.measurements, problem.targets
    # A power iteration comes from below; 5 % keep the step on the safe side.
    step = 1 / (1.05 * operator_norm(measurements)) if step is None else positive_number("step", step)
    positive_integer("steps", steps)
    positive_integer("record_every", record_every)
    positive_number("tolerance", tolerance, inclusive=True)
    power = max(float(targets.square().mean()) / 2, torch.finfo(targets.dtype).tiny)
    matrix = torch.zeros((problem.dimension, problem.dimension), dtype=targets.dtype, device=targets.device)
    history: list[dict[str, Any]] = []
    for number in range(steps + 1):
        residual = measurements.apply(matrix) - targets
        if number % record_every == 0 or number == steps:
            loss = float(residual.square().mean()) / 2
            row = {"step": number, "loss": loss, "relative_loss": loss / power, "nuclear_norm": float(matrix.trace())}
            if problem.truth is not None:
                row["error"] = float(recovery_error(matrix, problem.truth))
            history.append(row)
            if not loss <= DIVERGED * history[0]["loss"]:
                raise DivergenceError(
                    f"step is too large: the loss went from {history[0]['loss']:.3g} to {loss:.3g} by step {number} of "
                    f"size {step:g}; a safe step is {1 / (1.05 * operator_norm(measurements)):.2g} = 1 / ‖𝒜*𝒜‖"
                )
            if loss <= tolerance * power or number == steps:
                break
        matrix = _project(matrix - step / problem.count * measurements.adjoint(residual))
    return MatrixPath(matrix, history, bool(history[-1]["relative_loss"] <= tolerance))


def _project(matrix: Tensor) -> Tensor:
    """The nearest positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    projected: Tensor = (vectors * values.clamp(min=0.0)) @ vectors.mT
    return projected
