"""Logistic and ridge regressions for many subsets of tasks, solved together.

For every subset S the weighted, offset logistic regression over the pooled predictions D_S,

    J_S(v) = c_S Σ_{t ∈ D_S} w_t log(1 + exp(-y_t (F_t + g̃_tᵀ v))) + (ridge / 2) ‖v‖²,

with c_S = 1/|D_S| (``reduction="mean"``) or 1 (``"sum"``). Newton's first step comes from per-task statistics alone.
The exact minimiser follows by Newton's method with conjugate gradients, for all subsets at once: products with the
features are one matrix product per task, shared by the subsets that hold it. The subsets' Hessians differ little from
multiples of the average over all tasks at v = 0, which preconditions them; no subset's own Hessian is formed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from reprise.tasks import _checks
from reprise.tasks.features import TaskFeatures, check_tasks
from reprise.tasks.statistics import (
    TaskStatistics,
    design_matrix,
    logistic_statistics,
    penalty,
    squared_statistics,
)
from reprise.tasks.subsets import Subsets

_BATCH = 64
_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class SubsetFits:
    """Minimisers for all subsets.

    Attributes
    ----------
    subsets : Subsets
    coefficients : Tensor, shape (m, d), float64
    intercepts : Tensor, shape (m,), float64
        All 0 without an intercept.
    gradient_norms : Tensor, shape (m,), float64
        ‖∇J_S‖ at the solution relative to ‖∇J_S(0)‖; what the first step leaves, where no more was asked for.
    steps : int
        Newton steps of the subset that took most.
    """

    subsets: Subsets
    coefficients: Tensor
    intercepts: Tensor
    gradient_norms: Tensor
    steps: int


def fit_logistic(
    tasks: Mapping[Hashable, TaskFeatures],
    subsets: Subsets,
    *,
    ridge: float,
    reduction: str = "mean",
    intercept: bool = False,
    exact: bool = True,
    tolerance: float = 1e-8,
    max_steps: int = 50,
    statistics: TaskStatistics | None = None,
) -> SubsetFits:
    """Weighted logistic regression with offsets for every subset of tasks.

    Parameters
    ----------
    tasks : mapping from names to TaskFeatures
        Labels -1 or +1. All on one device, where the work is done, in float64.
    subsets : Subsets
        Of the same names.
    ridge : float
        Above 0; the penalty is ``(ridge / 2) ‖v‖²``. A penalty ``ρ ‖v‖²`` is ridge = 2ρ; scikit-learn's C on summed
        losses is ridge = 1/C.
    reduction : {"mean", "sum"}
        Whether the loss is the mean over the subset's pooled predictions or their sum.
    intercept : bool
        Add an unpenalised constant (in place of offsets, for instance). With labels of one sign alone there is no
        minimiser then.
    exact : bool
        False stops after the first Newton step, which needs `statistics` only.
    tolerance : float
        Newton stops where ‖∇J_S(v)‖ <= tolerance · ‖∇J_S(0)‖.
    max_steps : int
        Newton steps allowed.
    statistics : TaskStatistics, optional
        ``logistic_statistics(tasks)`` where it is already there.

    Returns
    -------
    SubsetFits

    Raises
    ------
    ValueError
        If tasks and subsets don't fit, labels aren't signs or an argument is out of range.
    RuntimeError
        If a subset needs more than `max_steps`: the message names it and the norm that was reached.

    Notes
    -----
    Time O(n N d²) for the statistics, O(m d³) for the factors, and O(m s N d) per conjugate-gradient step, for m
    subsets of s tasks with N predictions each.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> tasks = {name: TaskFeatures(torch.randn(50, 4, generator=generator)) for name in "abc"}
    >>> fits = fit_logistic(tasks, all_pairs("a b c".split()), ridge=0.1)
    >>> fits.coefficients.shape, bool((fits.gradient_norms <= 1e-8).all())
    (torch.Size([3, 4]), True)
    """
    members = check_tasks(tasks, subsets.tasks, signs=True)
    tolerance = _checks.number("tolerance", tolerance, positive=True)
    _checks.integer("max_steps", max_steps)
    if statistics is None:
        statistics = logistic_statistics(tasks, intercept=intercept)
    elif statistics.intercept != intercept:
        raise ValueError(f"statistics must have intercept={intercept}, got intercept={statistics.intercept}")
    designs = [design_matrix(task, intercept) for task in members]
    size = designs[0].shape[1]
    ridges = penalty(size, _checks.number("ridge", ridge, positive=True), intercept).to(designs[0])
    single_designs = [design.float() for design in designs]
    basis = _Basis(statistics)
    solutions, norms, most = [], [], 0
    for start in range(0, len(subsets), _BATCH):
        part = subsets.select(slice(start, start + _BATCH))
        scales = statistics.scales(part, reduction)
        problems = _Problems(members, designs, single_designs, part, scales, ridges)
        if exact:
            shares = scales / statistics.scales(part, "mean")  # 1, or the number of predictions for sums
            values, relative, steps = _newton(problems, basis.inverse(shares, ridge), tolerance, max_steps)
        else:
            values, steps = statistics.solve(part, ridge=ridge, reduction=reduction), 1
            relative = problems.gradient_at(values).norm(dim=1) / problems.first_norms()
        if exact and bool((relative > tolerance).any()):
            worst = int(relative.argmax())
            raise RuntimeError(
                f"the fit of subset {part.names(worst)} reached a relative gradient norm of {relative[worst]:.1e} in "
                f"{steps} Newton steps, wanted {tolerance:.1e}; raise ridge or max_steps"
            )
        solutions.append(values)
        norms.append(relative)
        most = max(most, steps)
    return _fits(subsets, torch.cat(solutions), torch.cat(norms), most, intercept)


def fit_ridge(
    tasks: Mapping[Hashable, TaskFeatures],
    subsets: Subsets,
    *,
    ridge: float,
    reduction: str = "mean",
    intercept: bool = False,
    statistics: TaskStatistics | None = None,
) -> SubsetFits:
    """Weighted ridge regression with offsets for every subset of tasks.

    Minimises ``c_S Σ ½ w_t (y_t - F_t - g̃_tᵀ v)² + (ridge / 2) ‖v‖²`` in closed form from per-task statistics; with
    ``reduction="sum"``, scikit-learn's Ridge with ``alpha = ridge``.

    Parameters
    ----------
    tasks, subsets, ridge, reduction, intercept
        As in `fit_logistic`; labels are the wanted values.
    statistics : TaskStatistics, optional
        ``squared_statistics(tasks)`` where it is already there.

    Returns
    -------
    SubsetFits
        Exact to rounding: its gradient norms are 0.

    Raises
    ------
    ValueError
        If tasks and subsets don't fit or an argument is out of range.

    Examples
    --------
    >>> task = TaskFeatures(torch.eye(2), labels=torch.tensor([3.0, 1.0]))
    >>> fit_ridge({"a": task, "b": task}, all_pairs(["a", "b"]), ridge=2.0, reduction="sum").coefficients.tolist()
    [[1.5, 0.5]]
    """
    check_tasks(tasks, subsets.tasks)
    if statistics is None:
        statistics = squared_statistics(tasks, intercept=intercept)
    elif statistics.intercept != intercept:
        raise ValueError(f"statistics must have intercept={intercept}, got intercept={statistics.intercept}")
    values = statistics.solve(subsets, ridge=ridge, reduction=reduction)
    return _fits(subsets, values, torch.zeros_like(values[:, 0]), 1, intercept)


def _fits(subsets: Subsets, values: Tensor, norms: Tensor, steps: int, intercept: bool) -> SubsetFits:
    if intercept:
        return SubsetFits(subsets, values[:, :-1], values[:, -1], norms, steps)
    return SubsetFits(subsets, values, torch.zeros_like(values[:, 0]), norms, steps)


class _Basis:
    """Eigenvectors of the Hessian at zero, averaged over all predictions: where every subset's is nearly diagonal."""

    def __init__(self, statistics: TaskStatistics) -> None:
        average = statistics.hessians.sum(0) / statistics.counts.sum()
        self.eigenvalues, self.vectors = torch.linalg.eigh(average)

    def inverse(self, shares: Tensor, ridge: float) -> Callable[[Tensor], Tensor]:
        """Return residuals (B, D) -> (shares · average + ridge)⁻¹ residuals, the preconditioner of each subset."""
        weights = 1 / (shares[:, None] * self.eigenvalues.clamp_min(0) + ridge)
        return lambda residuals: ((residuals @ self.vectors) * weights) @ self.vectors.T


class _Problems:
    """The objectives of a batch of B subsets; what is per prediction is kept per task, shape (N_i, subsets with i)."""

    def __init__(
        self,
        tasks: list[TaskFeatures],
        designs: list[Tensor],
        single_designs: list[Tensor],
        subsets: Subsets,
        scales: Tensor,
        ridges: Tensor,
    ) -> None:
        self.scales, self.ridges = scales, ridges
        self.terms, self.single_designs = [], []
        for index, (task, design, single) in enumerate(zip(tasks, designs, single_designs)):
            holders = torch.from_numpy(subsets.members[:, index]).nonzero().squeeze(1).to(design.device)
            if len(holders):
                labels = task.labels.double()[:, None]
                offsets = labels * task.offsets.double()[:, None]
                self.single_designs.append(single)
                self.terms.append((design, holders, labels, task.weights.double()[:, None], offsets))

    def signed_margins(self, values: Tensor, *, offset: bool) -> list[Tensor]:
        """Per task y (F + g̃ᵀv), or y g̃ᵀv for a direction."""
        return [
            labels * (design @ values[holders].T) + (offsets if offset else 0)
            for design, holders, labels, _, offsets in self.terms
        ]

    def gradient_at(self, values: Tensor) -> Tensor:
        return self.gradient(values, self.signed_margins(values, offset=True))

    def first_norms(self) -> Tensor:
        zero = torch.zeros((len(self.scales), len(self.ridges))).to(self.ridges)
        norms: Tensor = self.gradient_at(zero).norm(dim=1)
        return norms.clamp_min(torch.finfo(torch.float64).tiny)

    def objective(self, values: Tensor, margins: list[Tensor]) -> Tensor:
        total = 0.5 * (self.ridges * values**2).sum(1)
        for (_, holders, _, weights, _), margin in zip(self.terms, margins):
            total[holders] += self.scales[holders] * (weights * softplus(-margin, threshold=1e3)).sum(0)
        return total

    def gradient(self, values: Tensor, margins: list[Tensor]) -> Tensor:
        total = self.ridges * values
        for (design, holders, labels, weights, _), margin in zip(self.terms, margins):
            slopes = -labels * weights * torch.sigmoid(-margin)
            total[holders] += self.scales[holders, None] * (slopes.T @ design)
        return total

    def curvatures(self, margins: list[Tensor]) -> list[Tensor]:
        return [
            (weights * torch.sigmoid(margin) * torch.sigmoid(-margin)).float()
            for (_, _, _, weights, _), margin in zip(self.terms, margins)
        ]

    def hessian_product(self, directions: Tensor, curvatures: list[Tensor]) -> Tensor:
        """Hessian times directions, in float32: few digits do here, as Newton's gradients stay in float64."""
        total, single = self.ridges * directions, directions.float()
        for (_, holders, _, _, _), design, curvature in zip(self.terms, self.single_designs, curvatures):
            inner = curvature * (design @ single[holders].T)
            total[holders] += self.scales[holders, None] * (inner.T @ design)
        return total


def _newton(
    problems: _Problems, precondition: Callable[[Tensor], Tensor], tolerance: float, max_steps: int
) -> tuple[Tensor, Tensor, int]:
    """Minimise from v = 0; return values (B, D), relative gradient norms (B,) and the number of steps."""
    values = torch.zeros((len(problems.scales), len(problems.ridges))).to(problems.ridges)
    margins = problems.signed_margins(values, offset=True)
    objective, gradients = problems.objective(values, margins), problems.gradient(values, margins)
    first = gradients.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    relative, steps = gradients.norm(dim=1) / first, 0
    while steps < max_steps and bool((relative > tolerance).any()):
        # as exact as the step deserves, never more than the tolerance asks for or float32 can give
        wanted = torch.maximum(relative.clamp_max(0.1), 0.3 * tolerance / relative.clamp_min(tolerance))
        forcing = wanted.clamp_min(1e-4)
        directions = _conjugate_gradients(problems, problems.curvatures(margins), precondition, gradients, forcing)
        directions[relative <= tolerance] = 0
        changes = problems.signed_margins(directions, offset=False)
        lengths, objective = _line_search(problems, values, directions, margins, changes, objective, gradients)
        values = values + lengths[:, None] * directions
        for (_, holders, _, _, _), margin, change in zip(problems.terms, margins, changes):
            margin += lengths[holders] * change
        gradients = problems.gradient(values, margins)
        relative = gradients.norm(dim=1) / first
        steps += 1
    return values, relative, steps


def _conjugate_gradients(
    problems: _Problems,
    curvatures: list[Tensor],
    precondition: Callable[[Tensor], Tensor],
    gradients: Tensor,
    forcing: Tensor,
) -> Tensor:
    """Solve H p = -gradient for all subsets, each until its residual has shrunk to `forcing` of the gradient."""
    directions = torch.zeros_like(gradients)
    residuals = -gradients
    goal = forcing * residuals.norm(dim=1)
    scaled = precondition(residuals)
    search, inner = scaled, (residuals * scaled).sum(1)
    for _ in range(2 * gradients.shape[1]):
        active = residuals.norm(dim=1) > goal
        if not bool(active.any()):
            break
        products = problems.hessian_product(search, curvatures)
        curved = (search * products).sum(1)
        lengths = torch.where(active, inner / torch.where(active, curved, 1.0), 0.0)[:, None]
        directions = directions + lengths * search
        residuals = residuals - lengths * products
        scaled = precondition(residuals)
        following = (residuals * scaled).sum(1)
        search = scaled + (following / torch.where(active, inner, 1.0))[:, None] * search
        inner = following
    return directions


def _line_search(
    problems: _Problems,
    values: Tensor,
    directions: Tensor,
    margins: list[Tensor],
    changes: list[Tensor],
    objective: Tensor,
    gradients: Tensor,
) -> tuple[Tensor, Tensor]:
    """Halve each subset's step from 1 until its objective falls by Armijo's rule."""
    slopes = (gradients * directions).sum(1)
    slack = 1e-14 * objective.abs().clamp_min(1.0)  # near the minimum the fall drowns in rounding
    lengths = torch.ones_like(objective)
    for _ in range(_HALVINGS):
        moved = [
            margin + lengths[holders] * change
            for (_, holders, _, _, _), margin, change in zip(problems.terms, margins, changes)
        ]
        reached = problems.objective(values + lengths[:, None] * directions, moved)
        failed = reached > objective + 1e-4 * lengths * slopes + slack
        if not bool(failed.any()):
            break
        lengths = torch.where(failed, lengths / 2, lengths)
    return lengths, reached
