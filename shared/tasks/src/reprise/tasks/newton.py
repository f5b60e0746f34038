"""Newton's method for the objectives of many subsets at once, each to a certified gradient.

A step solves with the Hessian at v = 0, which costs no pass over the predictions. Where such steps don't bring a
gradient down fast, conjugate gradients solve with the Hessian where the subset stands (Dembo, Eisenstat and Steihaug
1982, "Inexact Newton methods"). Steps are halved until the gradient's norm falls, so that the trial that is accepted
has already computed what the next step needs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reprise.tasks.logistic import LogisticProblems, Position
from reprise.tasks.preconditioner import Preconditioner

_HALVINGS = 40
_FAST = 0.25  # a step with the old Hessian is good enough if it leaves this much of the gradient


def newton(
    problems: LogisticProblems, precondition: Preconditioner, tolerance: float, max_steps: int
) -> tuple[Tensor, Tensor, int]:
    """Minimise from v = 0.

    Returns
    -------
    values : Tensor, shape (B, D)
    norms : Tensor, shape (B,)
        ‖∇J(values)‖ / ‖∇J(0)‖, with the bound on its rounding error added.
    steps : int
    """
    here = problems.start()
    first = here.gradients.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    follow_curvature, steps = False, 0
    while True:
        relative = here.gradients.norm(dim=1) / first
        if bool((here.errors / first > relative.clamp_min(tolerance / 2)).any()):
            here = problems.evaluate(here.values)
            relative = here.gradients.norm(dim=1) / first
        certified = relative + here.errors / first
        if steps == max_steps or bool((certified <= tolerance).all()):
            return here.values, certified, steps
        if follow_curvature:
            # as exact as the step deserves, never more than the tolerance asks for or float32 can give
            wanted = torch.maximum(relative.clamp_max(0.1), 0.3 * tolerance / relative.clamp_min(tolerance))
            directions = _conjugate_gradients(problems, here, precondition, wanted.clamp_min(1e-4))
        else:
            directions = precondition(-here.gradients)
        directions[certified <= tolerance] = 0
        here, left = _step(problems, here, directions)
        follow_curvature = bool((left > _FAST).any())
        steps += 1


def _conjugate_gradients(
    problems: LogisticProblems, here: Position, precondition: Preconditioner, forcing: Tensor
) -> Tensor:
    """Solve H p = -gradient for all subsets, each until its residual has shrunk to `forcing` of the gradient."""
    curvatures = problems.curvatures(here)
    directions, residuals = torch.zeros_like(here.gradients), -here.gradients
    goal = forcing * residuals.norm(dim=1)
    scaled = precondition(residuals)
    search, inner = scaled, (residuals * scaled).sum(1)
    for _ in range(2 * residuals.shape[1]):
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


def _step(problems: LogisticProblems, here: Position, directions: Tensor) -> tuple[Position, Tensor]:
    """Halve each subset's step from 1 until its gradient falls; return where that leads and the share that is left."""
    changes = problems.changes(directions)
    norms = here.gradients.norm(dim=1)
    moving = directions.any(dim=1)
    lengths = torch.ones_like(norms)
    for _ in range(_HALVINGS):
        there = problems.moved(here, directions, changes, lengths)
        left = there.gradients.norm(dim=1)
        slow = moving & (left > (1 - 0.1 * lengths) * norms + there.errors)
        if not bool(slow.any()):
            break
        lengths = torch.where(slow, lengths / 2, lengths)
    return there, torch.where(moving, left / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)
