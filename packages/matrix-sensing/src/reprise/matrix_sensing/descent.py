"""Gradient descent on an over-parameterised factor, from a small start.

Li, Ma and Zhang (2018), Section 2. The loss f(U) = 1/(2m) Σ_i (⟨A_i, U Uᵀ⟩ − y_i)² has gradient 2 M(U) U with
M(U) = (1/m) Σ_i (⟨A_i, U Uᵀ⟩ − y_i)(A_i + A_iᵀ)/2. From U_0 = αB, B with orthonormal columns, iterate

    U_{t+1} = U_t − η M(U_t) U_t.

The paper's convention leaves out the factor 2: its step η is twice that of plain gradient descent on f.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from reprise.matrix_sensing.diagnostics import factor_diagnostics
from reprise.matrix_sensing.loop import Callback, Path, iterate
from reprise.matrix_sensing.measurements import Measurements
from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.subspace import AdaptiveSubspace
from reprise.matrix_sensing.validation import finite_tensor, positive_integer, positive_number, seed_number


def gradient_descent(
    problem: SensingProblem,
    *,
    scale: float = 1e-3,
    factor_rank: int | None = None,
    step: float = 0.05,
    steps: int = 2000,
    batch: int | None = None,
    tolerance: float = 1e-10,
    record_every: int = 10,
    singular_values: bool = False,
    adaptive_subspace: bool = False,
    start: str | Tensor = "orthogonal",
    seed: int = 0,
    device: torch.device | str | None = None,
    callback: Callback | None = None,
) -> Path:
    """Gradient descent on U from αB, with no other regularisation than the small α.

    Parameters
    ----------
    problem : SensingProblem
    scale : float
        α, relative to √‖X*‖₂ = 1. Below 1e-4 use float64 problems: smaller errors than 1e-7 vanish in float32.
    factor_rank : int, optional
        Number k of columns of U; d when not given (the paper: no knowledge of the rank).
    step : float
        η, for ‖X*‖₂ = 1; `safe_step` estimates one for other problems.
    steps : int
        Upper bound T on the number of steps.
    batch : int, optional
        Number of measurements per step, for stochastic gradient descent: each pass goes through all measurements in a
        fresh random order, and drops what does not fill a batch. All of them when not given.
    tolerance : float
        Stop when the relative loss falls to this; 0 to always take all steps.
    record_every : int
        Steps between two rows of the history.
    singular_values : bool
        Also record all singular values of U (``singular_values``) and the largest principal angle between its leading
        left singular vectors and the range of X* (``angle``).
    adaptive_subspace : bool
        Also follow the proof's adaptive subspace, S_0 = range X*, S_{t+1} = (I − ηM(U_t)) S_t, and record its angle to
        S_0 (``subspace_angle``) and the part of U outside of it, ‖(I − P_{S_t}) U_t‖₂ (``subspace_error``).
    start : "orthogonal", "identity" or Tensor of shape (d, k)
        B: k columns of a random orthogonal matrix or of the identity, or your own. For k = d the first two give the
        same U Uᵀ.
    seed : int
        Of the random start and of the order of mini-batches.
    device : optional
        Where to run; the problem's device when not given.
    callback : callable, optional
        Called with each row of the history.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If an argument is out of its range, or the loss grows tenfold: the message names a step size that is safe.

    Notes
    -----
    A step costs two passes over the measurements (2·m·d² operations for dense ones) and two d × d × k products.
    Time to recovery is about log(1/α)/log(1 + η σ_r(X*)) steps; the error that remains is of the order of α.

    References
    ----------
    Li, Ma and Zhang (2018), Algorithmic Regularization in Over-parameterized Matrix Sensing, COLT; equation (1.2).

    Examples
    --------
    >>> problem = SensingProblem.gaussian(dimension=20, rank=2, measurements=160, seed=1)
    >>> path = gradient_descent(problem, steps=500)
    >>> path.history[-1]["error"] < 1e-2
    True
    """
    positive_number("scale", scale)
    (path,) = gradient_descent_batch(
        problem,
        scales=scale,
        factor_rank=factor_rank,
        step=step,
        steps=steps,
        batch=batch,
        tolerance=tolerance,
        record_every=record_every,
        singular_values=singular_values,
        adaptive_subspace=adaptive_subspace,
        start=start,
        seed=seed,
        device=device,
        callback=callback,
    )
    return path


def gradient_descent_batch(
    problems: SensingProblem | Sequence[SensingProblem],
    *,
    scales: float | Sequence[float] = 1e-3,
    factor_rank: int | None = None,
    step: float = 0.05,
    steps: int = 2000,
    batch: int | None = None,
    tolerance: float = 1e-10,
    record_every: int = 10,
    singular_values: bool = False,
    adaptive_subspace: bool = False,
    start: str | Tensor = "orthogonal",
    seed: int = 0,
    device: torch.device | str | None = None,
    callback: Callback | None = None,
) -> list[Path]:
    """Many runs of `gradient_descent` in step, as one batch.

    Parameters
    ----------
    problems : SensingProblem, or sequence of problems of one shape
        With one problem, all runs share its measurements, and one pass over them serves all.
    scales : float or sequence of float
        α of each run.
    factor_rank, step, steps, batch, tolerance, record_every, singular_values, adaptive_subspace, start, seed, device
        As for `gradient_descent`, the same for all runs.
    callback : callable, optional
        Called with each row of each run's history.

    Returns
    -------
    list of Path
        One per run. A run that reaches the tolerance rests while the others go on.

    Raises
    ------
    ValueError
        As for `gradient_descent`, or if the numbers of problems and scales do not fit.
    """
    problem, alphas = batch_of(problems, scales)
    problem = problem if device is None else problem.to(device)
    positive_number("step", step)
    columns = problem.dimension if factor_rank is None else factor_rank
    columns = positive_integer("factor_rank", columns, at_most=problem.dimension, limit="dimension")
    generator = torch.Generator().manual_seed(seed_number(seed))
    direction = starting_point(problem, columns, start, generator)
    subspace = None
    if adaptive_subspace:
        if problem.basis is None:
            raise ValueError("adaptive_subspace needs a problem whose truth is known")
        subspace = AdaptiveSubspace(problem.basis.expand(len(alphas), -1, -1))
    minibatches = None if batch is None else shuffled_batches(problem, batch, generator)

    def update(factor: Tensor) -> tuple[Tensor, Tensor | None]:
        measurements, targets = (problem.measurements, problem.targets) if minibatches is None else next(minibatches)
        if subspace is None:
            predictions, product = measurements.pullback(factor, lambda p: (p - targets) / measurements.count)
        else:
            predictions = measurements.forward(factor)
            mean_residual = measurements.adjoint((predictions - targets) / measurements.count)
            product = mean_residual @ factor
            subspace.follow(mean_residual, step)
        return factor - step * product, predictions - targets if minibatches is None else None

    return iterate(
        problem,
        torch.stack([alpha * direction for alpha in alphas]),
        update,
        steps=steps,
        tolerance=tolerance,
        record_every=record_every,
        observe=lambda factor: {
            **factor_diagnostics(factor, problem.truth, problem.basis, singular_values=singular_values),
            **({} if subspace is None else subspace.diagnostics(factor)),
        },
        callback=callback,
        step=step,
        scales=alphas,
    )


def batch_of(
    problems: SensingProblem | Sequence[SensingProblem], scales: float | Sequence[float]
) -> tuple[SensingProblem, list[float]]:
    """One problem, stacked when several are given, and one checked scale per run."""
    if isinstance(scales, Sequence | np.ndarray):
        alphas = [positive_number("scales", alpha) for alpha in scales]
    else:
        alphas = [positive_number("scale", scales)]
    if isinstance(problems, SensingProblem):
        return problems, alphas
    if len(alphas) not in (1, len(problems)):
        raise ValueError(f"scales must be one, or one per problem ({len(problems)}), got {len(alphas)}")
    return SensingProblem.stack(problems), alphas * (len(problems) // len(alphas))


def starting_point(problem: SensingProblem, columns: int, start: str | Tensor, generator: torch.Generator) -> Tensor:
    """B, shape (d, k): what the small α multiplies."""
    dtype, device = problem.measurements.dtype, problem.measurements.device
    shape = (problem.dimension, columns)
    if isinstance(start, Tensor):
        direction = finite_tensor("start", start, dtype=dtype, device=device)
        if tuple(direction.shape) != shape:
            raise ValueError(f"start must have shape {shape}, got {tuple(direction.shape)}")
        return direction
    if start == "identity":
        return torch.eye(*shape, dtype=dtype, device=device)
    if start == "orthogonal":
        # Drawn in float64 on the CPU whatever the problem's kind, so that all kinds start alike.
        drawn: Tensor = torch.linalg.qr(torch.randn(shape, generator=generator, dtype=torch.float64)).Q
        return drawn.to(device, dtype)
    raise ValueError(f"start must be 'orthogonal', 'identity' or a tensor of shape {shape}, got {start!r}")


def shuffled_batches(
    problem: SensingProblem, batch: int, generator: torch.Generator
) -> Iterator[tuple[Measurements, Tensor]]:
    """Endless mini-batches of measurements and their targets, reshuffled after each pass."""
    batch = positive_integer("batch", batch, at_most=problem.count, limit="the number of measurements")
    while True:
        order = torch.randperm(problem.count, generator=generator).to(problem.measurements.device)
        for rows in torch.split(order, batch)[: problem.count // batch]:
            yield problem.measurements.select(rows), problem.targets[..., rows]
