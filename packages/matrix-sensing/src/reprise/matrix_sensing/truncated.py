"""Truncated gradient descent for a network with quadratic activations.

Li, Ma and Zhang (2018), Algorithm 1. The student ŷ(x) = ‖Uᵀx‖² measures U Uᵀ by x xᵀ, which has no restricted isometry
property: its tails are heavy, and E⟨x xᵀ, X⟩ x xᵀ = 2X + tr(X) I has an identity component. So examples with a large
prediction are left out of the step, and a rescaling takes the identity component out:

    Ũ = U_t − (η/m) Σ_i (p_i − y_i) 1[p_i ≤ R] x_i x_iᵀ U_t,    U_{t+1} = Ũ / (1 − η (‖U_t‖_F² − τ)),

with p_i = ‖U_tᵀ x_i‖² and τ = mean(y), whose expectation is ‖U*‖_F².

At finite m the sampling error of τ, of the order of ‖U*‖_F²/√m, is not matched by ‖U_t‖_F², which has none; it leaves
a floor under the error, and with few examples makes late iterates drift away. Beyond the paper, ``rescale="matched"``
takes ‖U_t‖_F² − ‖U*‖_F² from the residuals of the step itself, mean((p − y) 1[p ≤ R]): both errors then cancel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from reprise.matrix_sensing.descent import batch_of, starting_point
from reprise.matrix_sensing.diagnostics import factor_diagnostics
from reprise.matrix_sensing.loop import Callback, Path, iterate
from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.validation import positive_integer, positive_number, seed_number


def truncated_gradient_descent(
    problem: SensingProblem,
    *,
    scale: float | Sequence[float] = 1e-3,
    factor_rank: int | None = None,
    step: float = 0.02,
    steps: int = 1000,
    truncate: bool = True,
    rescale: bool | Literal["matched"] = True,
    threshold: float | None = None,
    tolerance: float = 1e-10,
    record_every: int = 10,
    singular_values: bool = False,
    start: str | Tensor = "orthogonal",
    seed: int = 0,
    device: torch.device | str | None = None,
    callback: Callback | None = None,
) -> Path | list[Path]:
    """Gradient descent with truncation and rescaling (Algorithm 1 of the paper).

    Parameters
    ----------
    problem : SensingProblem
        Usually one of `SensingProblem.quadratic_network`.
    scale : float or sequence of float
        α; several run as one batch.
    step : float
        η; the signal grows by 1 + 2ησ per step, twice as fast as with Gaussian measurements.
    truncate : bool
        Whether to leave out large predictions. Without both remedies this is `gradient_descent`.
    rescale : bool or "matched"
        Whether to take out the identity component: as in the paper, or (beyond it) by residuals of the same examples.
    threshold : float, optional
        R, above which predictions are left out; 3 r ‖X*‖₂ log m when not given, with τ in place of r ‖X*‖₂ when the
        truth is not known.
    factor_rank, steps, tolerance, record_every, singular_values, start, seed, device, callback
        As for `gradient_descent`.

    Returns
    -------
    Path, or list of Path when `scale` is a sequence

    Raises
    ------
    ValueError
        If an argument is out of its range, or the loss grows tenfold.

    Notes
    -----
    As the paper has it the rescaling is a device of the proof, and hurts at finite m; matched, it speeds recovery up.

    Examples
    --------
    >>> problem = SensingProblem.quadratic_network(dimension=20, rank=2, measurements=400, seed=0)
    >>> path = truncated_gradient_descent(problem, rescale="matched")
    >>> path.history[-1]["error"] < 0.02
    True
    """
    stacked, alphas = batch_of(problem, scale)
    stacked = stacked if device is None else stacked.to(device)
    positive_number("step", step)
    columns = stacked.dimension if factor_rank is None else factor_rank
    columns = positive_integer("factor_rank", columns, at_most=stacked.dimension, limit="dimension")
    measurements, targets = stacked.measurements, stacked.targets
    energy = targets.mean(-1, keepdim=True)  # τ
    if rescale not in (True, False, "matched"):
        raise ValueError(f"rescale must be True, False or 'matched', got {rescale!r}")
    limit: float | Tensor = math.inf
    if truncate and threshold is not None:
        limit = positive_number("threshold", threshold)
    elif truncate:
        # The paper's r is of a truth of spectral norm 1: in the units of the targets, r ‖X*‖₂.
        size = energy
        if stacked.truth is not None and stacked.rank is not None:
            size = stacked.rank * torch.linalg.matrix_norm(stacked.truth, 2)[..., None]
        limit = 3 * size * math.log(stacked.count)

    def weigh(predictions: Tensor) -> Tensor:
        return torch.where(predictions <= limit, predictions - targets, 0.0) / measurements.count

    def update(factor: Tensor) -> tuple[Tensor, Tensor]:
        predictions, product = measurements.pullback(factor, weigh)
        proposal = factor - step * product
        if rescale:
            excess = (
                weigh(predictions).sum(-1)
                if rescale == "matched"
                else factor.square().sum((-2, -1)) - energy.squeeze(-1)
            )
            shrinkage = 1 - step * excess
            # A step so large that the sign turns is divergence: NaN makes the loop say so.
            proposal = proposal / torch.where(shrinkage > 0, shrinkage, math.nan)[..., None, None]
        return proposal, predictions - targets

    direction = starting_point(stacked, columns, start, torch.Generator().manual_seed(seed_number(seed)))
    paths = iterate(
        stacked,
        torch.stack([alpha * direction for alpha in alphas]),
        update,
        steps=steps,
        tolerance=tolerance,
        record_every=record_every,
        observe=lambda factor: factor_diagnostics(
            factor, stacked.truth, stacked.basis, singular_values=singular_values
        ),
        callback=callback,
        step=step,
        scales=alphas,
        advice="; with rescale=True runs can drift away at any step: try rescale='matched'" if rescale is True else "",
    )
    return paths if isinstance(scale, Sequence | np.ndarray) else paths[0]
