"""The logistic regressions of a batch of subsets as one problem: gradients and Hessian products for all of them.

Products with the features are one matrix product per task, shared by the subsets that hold it, and run in float32: a
gradient is kept up to date by adding what a step changes, so that rounding errs relative to the step and not to the
whole. The errors' bounds are added up; `Position.errors` says how far a gradient can be off, and `evaluate` computes it
anew in float64. What is per prediction is kept in float64, shape (subsets with the task, N).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.tasks.features import TaskFeatures
from reprise.tasks.statistics import design_matrix
from reprise.tasks.subsets import Subsets

_ROUNDING = 4 * torch.finfo(torch.float32).eps  # of a float32 product, relative to its factors' norms


@dataclass(frozen=True, eq=False)
class Task:
    """One task's predictions: design (N, D) in float32 as well, targets 0 or 1, weights and offsets (N,) in float64."""

    features: TaskFeatures
    design: Tensor
    targets: Tensor
    weights: Tensor
    offsets: Tensor
    lengths: Tensor
    steepness: float

    @classmethod
    def of(cls, features: TaskFeatures, intercept: bool) -> Task:
        """Prepare a task; its rows' norms (N,) and a bound on its Hessian's trace are for the bounds on errors."""
        design = design_matrix(features, intercept, dtype=torch.float32)
        targets, weights = (features.labels.double() + 1) / 2, features.weights.double()
        lengths = design.norm(dim=1)
        steepness = (weights @ lengths.double() ** 2).item() / 4
        return cls(features, design, targets, weights, features.offsets.double(), lengths, steepness)

    def slopes(self, predictions: Tensor) -> Tensor:
        """Derivatives of the losses, w (σ(F) - target)."""
        return torch.sigmoid(predictions).sub_(self.targets).mul_(self.weights)

    def curvatures(self, predictions: Tensor) -> Tensor:
        """Second derivatives of the losses, w σ(F) (1 - σ(F)), in float32."""
        chances = torch.sigmoid(predictions.float())
        return chances * (1 - chances) * self.weights.float()

    def hessian(self) -> Tensor:
        """Σ w σ(F₀) (1 - σ(F₀)) g̃g̃ᵀ, shape (D, D), float32: what preconditions."""
        return self.design.T @ (self.design * self.curvatures(self.offsets)[:, None])


@dataclass(frozen=True, eq=False)
class Position:
    """Where B subsets stand: values and gradients (B, D), bounds on the gradients' errors (B,), and per task its
    predictions and their slopes, (subsets with the task, N).
    """

    values: Tensor
    gradients: Tensor
    errors: Tensor
    predictions: list[Tensor]
    slopes: list[Tensor]


class LogisticProblems:
    """Objectives J_S of B subsets (see `reprise.tasks.fits`).

    Parameters
    ----------
    tasks : list of Task
        In the order of ``subsets.tasks``.
    subsets : Subsets
    scales : Tensor, shape (B,)
        Factors c_S.
    ridges : Tensor, shape (D,)
        Second derivatives of the penalty.
    """

    def __init__(self, tasks: list[Task], subsets: Subsets, scales: Tensor, ridges: Tensor) -> None:
        self.scales, self.ridges = scales, ridges
        held = [torch.from_numpy(members).nonzero().squeeze(1).to(scales.device) for members in subsets.members.T]
        self.terms = [(task, holders) for task, holders in zip(tasks, held) if len(holders)]

    def start(self) -> Position:
        """All at v = 0, where a task has the same gradient in every subset."""
        gradients = torch.zeros((len(self.scales), len(self.ridges))).to(self.ridges)
        position = Position(gradients.clone(), gradients, torch.zeros_like(self.scales), [], [])
        for task, holders in self.terms:
            slopes = task.slopes(task.offsets)
            position.gradients[holders] += self.scales[holders, None] * (slopes.float() @ task.design)
            position.errors[holders] += _ROUNDING * self.scales[holders] * (slopes.abs() @ task.lengths.double())
            position.predictions.append(task.offsets.expand(len(holders), -1))
            position.slopes.append(slopes.expand(len(holders), -1))
        return position

    def evaluate(self, values: Tensor) -> Position:
        """All at `values`, in float64 throughout."""
        position = Position(values, self.ridges * values, torch.zeros_like(self.scales), [], [])
        for task, holders in self.terms:
            design = design_matrix(task.features, values.shape[1] > task.features.features.shape[1])
            predictions = (values[holders] @ design.T).add_(task.offsets)
            slopes = task.slopes(predictions)
            position.gradients[holders] += self.scales[holders, None] * (slopes @ design)
            position.predictions.append(predictions)
            position.slopes.append(slopes)
        return position

    def changes(self, directions: Tensor) -> list[Tensor]:
        """Per task g̃ᵀ direction, float32."""
        single = directions.float()
        return [single[holders] @ task.design.T for task, holders in self.terms]

    def moved(self, position: Position, directions: Tensor, changes: list[Tensor], lengths: Tensor) -> Position:
        """The position after steps of the given lengths (B,) along directions whose `changes` these are."""
        steps = lengths[:, None] * directions
        reached = Position(
            position.values + steps, position.gradients + self.ridges * steps, position.errors.clone(), [], []
        )
        sizes = steps.norm(dim=1)
        for (task, holders), before, slopes, change in zip(self.terms, position.predictions, position.slopes, changes):
            predictions = before + lengths[holders, None] * change
            after = task.slopes(predictions)
            difference = (after - slopes).float()
            reached.gradients[holders] += self.scales[holders, None] * (difference @ task.design)
            # the product just made, and through the slopes (at most w/4 steep) the changes that it came from
            bound = difference.abs() @ task.lengths + task.steepness * sizes[holders]
            reached.errors[holders] += _ROUNDING * self.scales[holders] * bound
            reached.predictions.append(predictions)
            reached.slopes.append(after)
        return reached

    def curvatures(self, position: Position) -> list[Tensor]:
        """Second derivatives per prediction, for `hessian_product`."""
        return [task.curvatures(predictions) for (task, _), predictions in zip(self.terms, position.predictions)]

    def hessian_product(self, directions: Tensor, curvatures: list[Tensor]) -> Tensor:
        """Hessians times directions, (B, D), to float32's accuracy."""
        total = self.ridges * directions
        for (task, holders), curvature, change in zip(self.terms, curvatures, self.changes(directions)):
            total[holders] += self.scales[holders, None] * ((curvature * change) @ task.design)
        return total
