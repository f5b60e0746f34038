"""A quasi-Newton method for many logistic regressions at once, to gradients computed in float64.

Limited-memory BFGS (Nocedal 1980, "Updating quasi-Newton matrices with limited storage") that starts from the average
Hessian over all tasks at v = 0 in place of a multiple of the identity. The first step is then nearly Newton's; how the
subsets' own Hessians differ, there and where they move, the updates learn from the gradients alone. A step costs one
pass over the predictions, in float32. As in iterative refinement, gradients are computed anew in float64 whenever they
have shrunk by what float32 can follow, and at the end.

Where gradients don't halve from step to step (labels that are nearly separable), an exact Newton step follows, by
conjugate gradients with the same updates as preconditioner (Morales and Nocedal 2000, "Automatic preconditioning by
limited memory quasi-Newton updating").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reprise.tasks.logistic import LogisticProblems, Position

_MEMORY = 10  # pairs of steps and gradient changes
_REACH = 1e-5  # shrinkage of a gradient that float32 can follow, with two digits to spare
_HALVINGS = 40

Precondition = Callable[[Tensor], Tensor]


class AverageHessian:
    """Hessian per prediction at v = 0, averaged over all tasks, in its eigenvectors.

    Parameters
    ----------
    average : Tensor, shape (D, D)
    """

    def __init__(self, average: Tensor) -> None:
        self.eigenvalues, vectors = torch.linalg.eigh(average.double())
        self.vectors = vectors.float()

    def inverse(self, counts: Tensor, ridge: float) -> Precondition:
        """Return residuals (B, D) -> (counts · average + ridge)⁻¹ residuals, in float32 inside."""
        weights = (1 / (counts[:, None] * self.eigenvalues.clamp_min(0) + ridge)).float()
        return lambda residuals: (((residuals.float() @ self.vectors) * weights) @ self.vectors.T).double()


def minimise(
    problems: LogisticProblems, precondition: Precondition, tolerance: float, max_steps: int
) -> tuple[Tensor, Tensor, int]:
    """Minimise from v = 0.

    Returns
    -------
    values : Tensor, shape (B, D)
    norms : Tensor, shape (B,)
        ‖∇J(values)‖ / ‖∇J(0)‖, from gradients in float64.
    steps : int
    """
    here = problems.start()
    first = here.gradients.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    updates, steps = Updates(precondition), 0
    while True:
        relative = here.gradients.norm(dim=1) / first
        if steps == max_steps or not bool((relative > tolerance).any()):
            return here.values, relative, steps
        goals = first * torch.where(relative > tolerance, (_REACH * relative).clamp_min(0.8 * tolerance), torch.inf)
        here, taken, fast = _descend(problems, here, updates, goals, max_steps - steps)
        here, steps = problems.evaluate(here.values), steps + taken
        if not fast and steps < max_steps:
            relative = here.gradients.norm(dim=1) / first
            goals = here.gradients.norm(dim=1) * relative.clamp(1e-4, 0.1)
            goals[relative <= tolerance] = torch.inf
            directions = _conjugate_gradients(problems, here, updates, goals)
            there = problems.evaluate(_step(problems, here, directions).values)
            updates.learn(here, there)
            here, steps = there, steps + 1


def _descend(
    problems: LogisticProblems, here: Position, updates: Updates, goals: Tensor, max_steps: int
) -> tuple[Position, int, bool]:
    """Quasi-Newton steps down to gradients of norm `goals` (B,), or until one falls behind halving at every step."""
    norms = here.gradients.norm(dim=1)
    allowed = norms  # one step late, as a gradient need not fall at each
    for taken in range(max_steps):
        moving = norms > goals
        if not bool(moving.any()):
            return here, taken, True
        directions = torch.where(moving[:, None], -updates.inverse(here.gradients), 0.0)
        there = _step(problems, here, directions)
        updates.learn(here, there)
        here, norms = there, there.gradients.norm(dim=1)
        if bool((moving & (norms > allowed)).any()):
            return here, taken + 1, False
        allowed = allowed / 2
    return here, max_steps, True


def _conjugate_gradients(problems: LogisticProblems, here: Position, updates: Updates, goals: Tensor) -> Tensor:
    """Solve H p = -gradient for all subsets, each until its residual's norm is at most its goal."""
    directions, residuals = torch.zeros_like(here.gradients), -here.gradients
    scaled = updates.inverse(residuals)
    search, inner = scaled, (residuals * scaled).sum(1)
    for _ in range(2 * residuals.shape[1]):
        active = residuals.norm(dim=1) > goals
        if not bool(active.any()):
            break
        products = problems.hessian_product(here, search)
        lengths = torch.where(active, inner / (search * products).sum(1), 0.0)[:, None]
        directions = directions + lengths * search
        residuals = residuals - lengths * products
        scaled = updates.inverse(residuals)
        following = (residuals * scaled).sum(1)
        search = scaled + torch.where(active, following / inner, 0.0)[:, None] * search
        inner = following
    return directions


class Updates:
    """The last changes of values and gradients, (B, D) each, and the inverse Hessian that they make of another."""

    def __init__(self, precondition: Precondition) -> None:
        self.precondition = precondition
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def learn(self, here: Position, there: Position) -> None:
        """Add a step; where a subset stood still, or rounding hides its curvature, it counts for nothing."""
        step, change = there.values - here.values, there.gradients - here.gradients
        curvature = (step * change).sum(1, keepdim=True)
        weight = torch.where(curvature > 0, 1 / curvature, 0.0)
        self.pairs = [*self.pairs[1 - _MEMORY :], (step, change, weight)]

    def inverse(self, gradients: Tensor) -> Tensor:
        """Inverse Hessian times gradients (B, D), by the two-loop recursion."""
        result, shares = gradients.clone(), []
        for step, change, weight in reversed(self.pairs):
            shares.append(weight * (step * result).sum(1, keepdim=True))
            result -= shares[-1] * change
        result = self.precondition(result)
        for step, change, weight in self.pairs:
            result += (shares.pop() - weight * (change * result).sum(1, keepdim=True)) * step
        return result


def _step(problems: LogisticProblems, here: Position, directions: Tensor) -> Position:
    """Halve each step from 1 until it does not overshoot: until its slope is at most half as steep upwards."""
    changes = problems.changes(directions)
    steepest = -0.5 * (here.gradients * directions).sum(1)
    lengths = torch.ones_like(steepest)
    for _ in range(_HALVINGS):
        there = problems.moved(here, directions, changes, lengths)
        overshot = (there.gradients * directions).sum(1) > steepest
        if not bool(overshot.any()):
            break
        lengths = torch.where(overshot, lengths / 2, lengths)
    return there
