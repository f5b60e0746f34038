"""The logistic regressions of a batch of subsets as one problem: gradients and Hessian products of all of them.

Products with the features are one matrix product per task, shared by the subsets that hold it. A `Position` is computed
in float64; a step from there needs the products of what it changes only, which run in float32 and so err relative to
the step and not to the whole. What is per prediction is kept in float64, shape (subsets with the task, N).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.tasks.features import TaskFeatures
from reprise.tasks.statistics import design_matrix
from reprise.tasks.subsets import Subsets


class Task:
    """One task's predictions: design (N, D), targets 0 or 1, weights and offsets (N,); the design in float32 too."""

    def __init__(self, features: TaskFeatures, intercept: bool) -> None:
        self.design = design_matrix(features, intercept)
        self.single_design = self.design.float()
        self.targets, self.weights = (features.labels.double() + 1) / 2, features.weights.double()
        self.offsets = features.offsets.double()

    def slopes(self, predictions: Tensor) -> Tensor:
        """Derivatives of the losses, w (σ(F) - target)."""
        return torch.sigmoid(predictions).sub_(self.targets).mul_(self.weights)

    def curvatures(self, predictions: Tensor) -> Tensor:
        """Second derivatives of the losses, w σ(F) (1 - σ(F)), in float32."""
        return (torch.sigmoid(predictions) * torch.sigmoid(-predictions) * self.weights).float()

    def hessian(self) -> Tensor:
        """Σ w σ(F₀) (1 - σ(F₀)) g̃g̃ᵀ, shape (D, D), in float32."""
        return self.single_design.T @ (self.single_design * self.curvatures(self.offsets)[:, None])


@dataclass(frozen=True, eq=False)
class Position:
    """Where B subsets stand: values and gradients (B, D), and per task its predictions and their slopes."""

    values: Tensor
    gradients: Tensor
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
        values = torch.zeros((len(self.scales), len(self.ridges))).to(self.ridges)
        position = Position(values, torch.zeros_like(values), [], [])
        for task, holders in self.terms:
            slopes = task.slopes(task.offsets)
            position.gradients[holders] += self.scales[holders, None] * (slopes @ task.design)
            position.predictions.append(task.offsets.expand(len(holders), -1))
            position.slopes.append(slopes.expand(len(holders), -1))
        return position

    def evaluate(self, values: Tensor) -> Position:
        """All at `values`, in float64 throughout."""
        position = Position(values, self.ridges * values, [], [])
        for task, holders in self.terms:
            predictions = (values[holders] @ task.design.T).add_(task.offsets)
            slopes = task.slopes(predictions)
            position.gradients[holders] += self.scales[holders, None] * (slopes @ task.design)
            position.predictions.append(predictions)
            position.slopes.append(slopes)
        return position

    def changes(self, directions: Tensor) -> list[Tensor]:
        """What directions (B, D) change in each task's predictions."""
        single = directions.float()
        return [single[holders] @ task.single_design.T for task, holders in self.terms]

    def moved(self, here: Position, directions: Tensor, changes: list[Tensor], lengths: Tensor) -> Position:
        """The position after steps of the given lengths (B,) along directions whose `changes` these are."""
        steps = lengths[:, None] * directions
        there = Position(here.values + steps, here.gradients + self.ridges * steps, [], [])
        for (task, holders), predictions, slopes, change in zip(self.terms, here.predictions, here.slopes, changes):
            reached = (lengths[holders, None] * change).add_(predictions)
            after = task.slopes(reached)
            there.gradients[holders] += self.scales[holders, None] * ((after - slopes).float() @ task.single_design)
            there.predictions.append(reached)
            there.slopes.append(after)
        return there

    def hessian_product(self, here: Position, directions: Tensor) -> Tensor:
        """Hessians at `here` times directions, (B, D), in float32."""
        total = self.ridges * directions
        for (task, holders), predictions, change in zip(self.terms, here.predictions, self.changes(directions)):
            products = (task.curvatures(predictions) * change) @ task.single_design
            total[holders] += self.scales[holders, None] * products
        return total
