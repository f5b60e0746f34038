"""Per-task sufficient statistics: a quadratic model of each task's loss, summed for any subset of tasks.

Around w = 0 the loss of task i is ``b_iᵀ w + ½ wᵀ H_i w`` up to a constant. For squared loss that is exact; for
logistic loss it is the first Newton step. A subset's problem is the sum over its members, so that after one pass over
the predictions each of thousands of subsets costs O(d³), whatever the number of predictions, and a further task costs
one pass over its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.tasks import _checks
from reprise.tasks.features import TaskFeatures, check_tasks
from reprise.tasks.subsets import Subsets

_BATCH = 64  # subsets at a time: 64 matrices of 400 x 400 are 82 MB


@dataclass(frozen=True, eq=False)
class TaskStatistics:
    """Second-order model of each task's summed loss at w = 0, in float64.

    Attributes
    ----------
    tasks : tuple of names, length n
    hessians : Tensor, shape (n, D, D)
        Σ w h g̃g̃ᵀ over the task's predictions; h is the loss's second derivative (¼ for a logistic loss at offset 0).
    gradients : Tensor, shape (n, D)
        Σ w ℓ' g̃; for a logistic loss at offset 0, -½ Σ w y g̃.
    counts : Tensor, shape (n,)
        Number of predictions.
    intercept : bool
        Whether the last of the D coordinates is an unpenalised intercept.
    """

    tasks: tuple[Hashable, ...]
    hessians: Tensor
    gradients: Tensor
    counts: Tensor
    intercept: bool = False

    def joined(self, other: TaskStatistics) -> TaskStatistics:
        """Statistics of these tasks and of the others: how tasks are added without touching those before.

        Raises
        ------
        ValueError
            If a name occurs in both or dimensions or intercepts differ.
        """
        if self.intercept != other.intercept or self.gradients.shape[1] != other.gradients.shape[1]:
            raise ValueError(
                f"other must have {self.gradients.shape[1]} coordinates and intercept={self.intercept}, "
                f"got {other.gradients.shape[1]} and intercept={other.intercept}"
            )
        return TaskStatistics(
            _checks.task_names(self.tasks + other.tasks),
            torch.cat((self.hessians, other.hessians)),
            torch.cat((self.gradients, other.gradients)),
            torch.cat((self.counts, other.counts)),
            self.intercept,
        )

    def solve(self, subsets: Subsets, *, ridge: float, reduction: str = "mean") -> Tensor:
        """Minimisers of every subset's quadratic model with ``(ridge / 2) ‖w‖²`` added.

        Parameters
        ----------
        subsets : Subsets
            Of these tasks.
        ridge : float
            Above 0.
        reduction : {"mean", "sum"}
            Whether a subset's loss is the mean over its pooled predictions or their sum.

        Returns
        -------
        Tensor, shape (m, D), float64

        Raises
        ------
        ValueError
            If the subsets' tasks are not these, or ridge or reduction are out of range.
        """
        ridge = _checks.number("ridge", ridge, positive=True)
        size, solutions = self.gradients.shape[1], []
        for start in range(0, len(subsets), _BATCH):
            part = subsets.select(slice(start, start + _BATCH))
            members, scales = self._members(part), self.scales(part, reduction)
            members = members * scales[:, None]
            hessians = (members @ self.hessians.flatten(1)).reshape(-1, size, size)
            hessians.diagonal(dim1=1, dim2=2).add_(penalty(size, ridge, self.intercept).to(hessians))
            factors, failed = torch.linalg.cholesky_ex(hessians)
            if bool(failed.any()):
                worst = part.names(int(failed.nonzero()[0]))
                raise ValueError(f"ridge must be large enough for a positive definite system, got {ridge} for {worst}")
            gradients = members @ self.gradients
            solutions.append(-torch.cholesky_solve(gradients.unsqueeze(-1), factors).squeeze(-1))
        return torch.cat(solutions)

    def scales(self, subsets: Subsets, reduction: str) -> Tensor:
        """Factor c_S of each subset's summed loss, shape (m,): one over its number of predictions, or 1."""
        return subset_scales(self._members(subsets), self.counts, reduction)

    def _members(self, subsets: Subsets) -> Tensor:
        """Indicators (m, n) of the subsets, columns in the order of these tasks."""
        if set(subsets.tasks) != set(self.tasks):
            raise ValueError(f"subsets must be of the tasks {list(self.tasks)}, got {list(subsets.tasks)}")
        order = [subsets.tasks.index(name) for name in self.tasks]
        return torch.from_numpy(subsets.members[:, order]).to(self.gradients)


def logistic_statistics(tasks: Mapping[Hashable, TaskFeatures], *, intercept: bool = False) -> TaskStatistics:
    """Statistics of the losses ``w log(1 + exp(-y (F₀ + g̃ᵀv)))`` at v = 0.

    Parameters
    ----------
    tasks : mapping from names to TaskFeatures
        At least one, labels -1 or +1.
    intercept : bool
        Add an unpenalised constant to the model.

    Returns
    -------
    TaskStatistics

    Raises
    ------
    ValueError
        If there is no task, dimensions differ, or a label is neither -1 nor +1.

    Examples
    --------
    >>> task = TaskFeatures(torch.eye(2), labels=torch.tensor([1.0, -1.0]))
    >>> logistic_statistics({"a": task}).gradients[0].tolist()
    [-0.5, 0.5]
    """
    hessians, gradients = [], []
    for task in check_tasks(tasks, signs=True, minimum=1):
        design = design_matrix(task, intercept)
        labels, weights, offsets = (values.double() for values in (task.labels, task.weights, task.offsets))
        wrong = torch.sigmoid(-labels * offsets)
        hessians.append(design.T @ (design * (weights * wrong * (1 - wrong))[:, None]))
        gradients.append(-design.T @ (weights * labels * wrong))
    return _gather(tasks, hessians, gradients, intercept)


def squared_statistics(tasks: Mapping[Hashable, TaskFeatures], *, intercept: bool = False) -> TaskStatistics:
    """Statistics of the losses ``½ w (y - F₀ - g̃ᵀv)²``, which they describe exactly.

    With ``reduction="sum"``, `TaskStatistics.solve` is then ridge regression as scikit-learn defines it, with
    ``alpha = ridge``.

    Parameters
    ----------
    tasks : mapping from names to TaskFeatures
        At least one; labels are the wanted values.
    intercept : bool
        Add an unpenalised constant to the model.

    Returns
    -------
    TaskStatistics

    Raises
    ------
    ValueError
        If there is no task or dimensions differ.

    Examples
    --------
    >>> task = TaskFeatures(torch.eye(2), labels=torch.tensor([3.0, 1.0]))
    >>> statistics = squared_statistics({"a": task, "b": task})
    >>> statistics.solve(Subsets(("a", "b"), np.array([[True, True]])), ridge=2.0, reduction="sum").tolist()
    [[1.5, 0.5]]
    """
    hessians, gradients = [], []
    for task in check_tasks(tasks, minimum=1):
        design = design_matrix(task, intercept)
        labels, weights, offsets = (values.double() for values in (task.labels, task.weights, task.offsets))
        hessians.append(design.T @ (design * weights[:, None]))
        gradients.append(design.T @ (weights * (offsets - labels)))
    return _gather(tasks, hessians, gradients, intercept)


def design_matrix(task: TaskFeatures, intercept: bool) -> Tensor:
    """Features, with a last column of ones for an intercept; shape (N, D), float64."""
    features = task.features.detach().double()
    return torch.cat((features, torch.ones_like(features[:, :1])), dim=1) if intercept else features


def subset_scales(members: Tensor, counts: Tensor, reduction: str) -> Tensor:
    """Factors c_S of the subsets with these indicators (m, n) of tasks with these numbers of predictions (n,)."""
    _checks.choice("reduction", reduction, ("mean", "sum"))
    return 1 / (members @ counts) if reduction == "mean" else torch.ones_like(members[:, 0])


def penalty(size: int, ridge: float, intercept: bool) -> Tensor:
    """Diagonal of the penalty's second derivative: `ridge`, and 0 at an intercept."""
    diagonal = torch.full((size,), ridge, dtype=torch.float64)
    if intercept:
        diagonal[-1] = 0
    return diagonal


def _gather(
    tasks: Mapping[Hashable, TaskFeatures], hessians: list[Tensor], gradients: list[Tensor], intercept: bool
) -> TaskStatistics:
    counts = torch.tensor([len(task) for task in tasks.values()]).to(gradients[0])
    return TaskStatistics(tuple(tasks), torch.stack(hessians), torch.stack(gradients), counts, intercept)
