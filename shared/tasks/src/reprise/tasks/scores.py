"""Scores of the fitted subsets on each task: how the linearised model does after adapting to a subset."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from reprise.tasks import _checks
from reprise.tasks.features import TaskFeatures, check_tasks
from reprise.tasks.fits import SubsetFits


def linearised_scores(
    fits: SubsetFits,
    tasks: Mapping[Hashable, TaskFeatures],
    *,
    score: str = "logistic",
    members_only: bool = True,
) -> npt.NDArray[np.float64]:
    """Score f̂_i(S) of each task i at each subset's solution; higher is better.

    Parameters
    ----------
    fits : SubsetFits
        From `fit_logistic` or `fit_ridge`.
    tasks : mapping from names to TaskFeatures
        Where to score: those that were fitted, or held-out predictions of the same tasks.
    score : {"logistic", "squared", "accuracy"}
        Minus the task's mean loss, ``-(1/N_i) Σ w log(1 + exp(-y F))`` or ``-(1/N_i) Σ w (y - F)²``, or the weighted
        share of predictions whose sign is right, with F = F₀ + g̃ᵀv + intercept.
    members_only : bool
        Leave the score of tasks outside of a subset at NaN, which saves the work for them.

    Returns
    -------
    float64 array, shape (m, n)
        In the order of ``fits.subsets.tasks``.

    Raises
    ------
    ValueError
        If the tasks aren't those of the fits, dimensions differ or, for a logistic score, labels aren't signs.

    Examples
    --------
    >>> tasks = {name: TaskFeatures(torch.eye(2)) for name in "ab"}
    >>> fits = fit_logistic(tasks, all_pairs(["a", "b"]), ridge=1e-3)
    >>> bool((linearised_scores(fits, tasks) > -np.log(2)).all())
    True
    """
    _checks.choice("score", score, ("logistic", "squared", "accuracy"))
    subsets = fits.subsets
    chosen = check_tasks(tasks, subsets.tasks, signs=score != "squared")
    dim = fits.coefficients.shape[1]
    if chosen[0].features.shape[1] != dim:
        raise ValueError(f"tasks must have features of dimension {dim}, got {chosen[0].features.shape[1]}")
    scores = np.full((len(subsets), len(chosen)), np.nan)
    for index, task in enumerate(chosen):
        rows = np.flatnonzero(subsets.members[:, index]) if members_only else np.arange(len(subsets))
        for part in np.array_split(rows, max(1, len(rows) * len(task) // (1 << 22))):
            where = torch.from_numpy(part).to(fits.coefficients.device)
            predictions = task.features.double() @ fits.coefficients[where].T
            predictions += task.offsets.double()[:, None] + fits.intercepts[where]
            scores[part, index] = _score(task, predictions, score).cpu().numpy()
    return scores


def _score(task: TaskFeatures, predictions: Tensor, score: str) -> Tensor:
    labels, weights = task.labels.double()[:, None], task.weights.double()[:, None]
    if score == "logistic":
        return -(weights * softplus(-labels * predictions, threshold=1e3)).mean(0)
    if score == "squared":
        return -(weights * (labels - predictions) ** 2).mean(0)
    return (weights * (labels * predictions > 0)).sum(0) / weights.sum()
