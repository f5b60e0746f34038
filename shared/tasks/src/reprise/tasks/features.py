"""What is kept of a task: for each of its predictions a feature vector, a label, a weight and an offset."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.tasks import _checks


@dataclass(frozen=True, eq=False)
class TaskFeatures:
    """The predictions of one task, linearised: the model of prediction t is ``offsets[t] + features[t] @ w``.

    Parameters
    ----------
    features : Tensor, shape (N, d)
        Projected gradients g̃.
    labels : Tensor, shape (N,), optional
        -1 or +1 for logistic losses, the wanted value for squared ones. Default: all +1 (margins of true classes).
    weights : Tensor, shape (N,), optional
        At least 0. Default: all 1.
    offsets : Tensor, shape (N,), optional
        Prediction at w = 0, the margin F₀. Default: all 0, which drops F₀.

    Raises
    ------
    ValueError
        If shapes don't fit, a value isn't finite or a weight is negative.

    Examples
    --------
    >>> task = TaskFeatures(torch.eye(2), labels=torch.tensor([1.0, -1.0]))
    >>> len(task), task.weights
    (2, tensor([1., 1.]))
    """

    features: Tensor
    labels: Tensor = None  # type: ignore[assignment]
    weights: Tensor = None  # type: ignore[assignment]
    offsets: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill in what was left out and check the rest."""
        features = self.features
        if features.ndim != 2 or 0 in features.shape or not features.is_floating_point():
            raise ValueError(
                "features must be floating point of shape (N >= 1, d >= 1), "
                f"got {features.dtype} {tuple(features.shape)}"
            )
        _checks.finite("features", features)
        for name, default in (("labels", 1.0), ("weights", 1.0), ("offsets", 0.0)):
            values = getattr(self, name)
            if values is None:
                values = torch.full_like(features[:, 0], default)
            elif values.shape != features.shape[:1]:
                raise ValueError(f"{name} must have shape ({len(features)},), got {tuple(values.shape)}")
            object.__setattr__(self, name, _checks.finite(name, values.detach().to(features)))
        if bool((self.weights < 0).any()):
            raise ValueError(f"weights must be >= 0, got {self.weights.min().item()}")

    def __len__(self) -> int:
        """Return the number of predictions, N."""
        return len(self.features)


def check_tasks(
    tasks: Mapping[Hashable, TaskFeatures],
    names: Sequence[Hashable] | None = None,
    *,
    signs: bool = False,
    minimum: int = 2,
) -> list[TaskFeatures]:
    """Return the tasks' features in the order of `names` after checking that they belong together.

    Raises
    ------
    ValueError
        If there are fewer tasks than `minimum`, names differ, dimensions differ, or `signs` and a label isn't -1 or +1.
    """
    _checks.task_names(tuple(tasks), minimum=minimum)
    if names is not None and set(names) != set(tasks):
        raise ValueError(f"tasks must be those of the subsets, {list(names)}, got {list(tasks)}")
    chosen = [tasks[name] for name in (tasks if names is None else names)]
    dims = {name: task.features.shape[1] for name, task in tasks.items()}
    if len(set(dims.values())) != 1:
        raise ValueError(f"tasks must have features of one dimension, got {dims}")
    if signs:
        for name, task in tasks.items():
            if not bool((task.labels.abs() == 1).all()):
                raise ValueError(f"labels of task {name!r} must be -1 or +1, got others; drop what has no sign")
    return chosen
