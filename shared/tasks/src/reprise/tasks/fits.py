"""Logistic and ridge regressions for many subsets of tasks, solved together.

For every subset S the weighted, offset logistic regression over the pooled predictions D_S,

    J_S(v) = c_S Σ_{t ∈ D_S} w_t log(1 + exp(-y_t (F_t + g̃_tᵀ v))) + (ridge / 2) ‖v‖²,

with c_S = 1/|D_S| (``reduction="mean"``) or 1 (``"sum"``). Newton's first step comes from per-task statistics alone.
The exact minimiser follows by quasi-Newton steps for all subsets at once: products with the features are one matrix
product per task, shared by the subsets that hold it, and the average Hessian over all tasks at v = 0 is where every
subset's approximation begins.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.tasks import _checks
from reprise.tasks.features import TaskFeatures, check_tasks
from reprise.tasks.logistic import LogisticProblems, Task
from reprise.tasks.quasi_newton import AverageHessian, minimise
from reprise.tasks.statistics import (
    TaskStatistics,
    logistic_statistics,
    penalty,
    squared_statistics,
    subset_scales,
)
from reprise.tasks.subsets import Subsets

_PREDICTIONS = 1 << 23  # of all tasks times subsets at a time


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
        Steps of the subset that took most.
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
        Labels -1 or +1. All on one device, where the work is done, in float32 with corrections in float64.
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
        Steps stop where ‖∇J_S(v)‖ <= tolerance · ‖∇J_S(0)‖, both computed in float64.
    max_steps : int
        Steps allowed.
    statistics : TaskStatistics, optional
        ``logistic_statistics(tasks)`` where it is already there.

    Returns
    -------
    SubsetFits

    Raises
    ------
    ValueError
        If tasks and subsets don't fit, labels aren't signs, an argument is out of range or squared features exceed
        float32's range.
    RuntimeError
        If a subset needs more than `max_steps`: the message names it and the norm that was reached.

    Notes
    -----
    For n tasks and m subsets of s tasks with N predictions each: time O(n N d² + d³) for the average Hessian and its
    eigenvectors and O(m s N d) per step; with ``exact=False``, O(n N d²) for the statistics and O(m d³) to solve.
    Memory for the features in both precisions and four float64 numbers per prediction and subset, 2²³ pairs at a time.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> tasks = {name: TaskFeatures(torch.randn(50, 4, generator=generator)) for name in "abc"}
    >>> fits = fit_logistic(tasks, all_pairs("a b c".split()), ridge=0.1)
    >>> fits.coefficients.shape, bool((fits.gradient_norms <= 1e-8).all())
    (torch.Size([3, 4]), True)
    """
    tolerance = _checks.number("tolerance", tolerance, positive=True)
    ridge = _checks.number("ridge", ridge, positive=True)
    _checks.integer("max_steps", max_steps)
    if statistics is not None and statistics.intercept != intercept:
        raise ValueError(f"statistics must have intercept={intercept}, got intercept={statistics.intercept}")
    if statistics is not None and set(statistics.tasks) != set(subsets.tasks):
        raise ValueError(f"statistics must be of the tasks {list(subsets.tasks)}, got {list(statistics.tasks)}")
    members = [Task(task, intercept) for task in check_tasks(tasks, subsets.tasks, signs=True)]
    ridges = penalty(members[0].design.shape[1], ridge, intercept).to(members[0].weights)
    counts = torch.tensor([len(task.weights) for task in members]).to(ridges)
    if exact:
        total = sum(task.hessian() for task in members) if statistics is None else statistics.hessians.sum(0)
        average = AverageHessian(_checks.finite("Hessian of features in float32", total / counts.sum()))
    else:
        quadratic = statistics or logistic_statistics(tasks, intercept=intercept)
    batch = max(1, _PREDICTIONS // int(counts.sum()))
    solutions, norms, most = [], [], 1
    for start in range(0, len(subsets), batch):
        part = subsets.select(slice(start, start + batch))
        indicators = torch.from_numpy(part.members).to(ridges)
        scales = subset_scales(indicators, counts, reduction)
        problems = LogisticProblems(members, part, scales, ridges)
        if exact:
            precondition = average.inverse(scales * (indicators @ counts), ridge)
            values, relative, steps = minimise(problems, precondition, tolerance, max_steps)
            most = max(most, steps)
            worst = int(relative.argmax())
            if not relative[worst] <= tolerance:
                raise RuntimeError(
                    f"the fit of subset {part.names(worst)} reached a relative gradient norm of {relative[worst]:.1e} "
                    f"in {steps} steps, wanted {tolerance:.1e}; raise ridge or max_steps"
                )
        else:
            values = quadratic.solve(part, ridge=ridge, reduction=reduction)
            first = problems.start().gradients.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
            relative = problems.evaluate(values).gradients.norm(dim=1) / first
        solutions.append(values)
        norms.append(relative)
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
