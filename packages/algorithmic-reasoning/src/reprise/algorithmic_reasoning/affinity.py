"""How well tasks get on, from gradients of one network (Algorithm 1 of the paper)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np

from reprise.algorithmic_reasoning.linearisation import layer_parameters
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.training import evaluate
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import choice, integer, number
from reprise.tasks import (
    Affinity,
    RandomProjection,
    Subsets,
    TaskFeatures,
    adapted_parameters,
    affinity_matrix,
    estimate_subsets,
    fit_logistic,
    given_subsets,
    parameter_count,
    random_subsets,
)


def subsets_of(tasks: Sequence[str], *, count: int, size: int, seed: int) -> Subsets:
    """Random subsets that cover every pair; of two tasks, each alone and both together."""
    if len(tasks) == 2:
        first, second = tasks
        return given_subsets(tasks, [(first,), (second,), (first, second)])
    return random_subsets(tasks, count=count, size=min(size, len(tasks) - 1), seed=seed)


def estimate_affinity(
    features: Mapping[str, TaskFeatures],
    *,
    subsets: int | Subsets = 200,
    size: int = 3,
    ridge: float = 1e3,
    intercept: bool = False,
    score: Literal["loss", "accuracy"] = "loss",
    validation: Mapping[str, TaskFeatures] | None = None,
    workers: int = 1,
    seed: int = 0,
) -> Affinity:
    """How well tasks do when a network is adapted to them together, without adapting it.

    Parameters
    ----------
    features : mapping of str to TaskFeatures
        Of `gradient_features`, with one projection.
    subsets : int or Subsets
        How many random subsets, or which.
    size : int
        Tasks in each.
    ridge : float
        λ of the sum of losses plus (λ/2)‖w‖².
    intercept : bool
        Fit a constant, as the authors' program does in the place of offsets.
    score : {"loss", "accuracy"}
        Minus the mean loss of the linearised predictions, or their accuracy.
    validation : mapping of str to TaskFeatures, optional
        Predictions to score on; those fitted when not given. Never those of a test split.
    workers : int
        Processes.
    seed : int
        Of the subsets.

    Returns
    -------
    Affinity

    Raises
    ------
    ValueError
        If there are fewer than two tasks, or an option is out of range.
    """
    choice("score", score, ("loss", "accuracy"))
    number("ridge", ridge, open_=True)
    if not isinstance(subsets, Subsets):
        integer("size", size, minimum=2)
        subsets = subsets_of(list(features), count=integer("subsets", subsets), size=size, seed=seed)
    fitted: dict[Hashable, TaskFeatures] = {}
    fitted.update(features)
    held: dict[Hashable, TaskFeatures] = {}
    held.update(validation or {})
    outcomes = estimate_subsets(
        fitted,
        subsets,
        ridge=ridge,
        reduction="sum",
        intercept=intercept,
        score="logistic" if score == "loss" else "accuracy",
        validation=held or None,
        workers=workers,
    )
    return affinity_matrix(outcomes, subsets)


def adapted_affinity(
    model: Reasoner,
    features: Mapping[str, TaskFeatures],
    validation: Mapping[str, Trajectories],
    *,
    layer: int = 0,
    projection_seed: int = 0,
    subsets: int | Subsets = 200,
    size: int = 3,
    ridge: float = 1e3,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Affinity:
    """How well tasks do in the network itself, moved to where each fit says: the way of the authors' program.

    Parameters
    ----------
    model : Reasoner
        Whose gradients the features are; left as it is.
    features : mapping of str to TaskFeatures
        Of `gradient_features`.
    validation : mapping of str to Trajectories
        Graphs to score on. Never those of a test split.
    layer, projection_seed : int
        As `layer` and `seed` of `gradient_features`.
    subsets, size, ridge, seed
        As of `estimate_affinity`.
    progress : callable, optional
        ``progress(done, subsets)``.

    Returns
    -------
    Affinity
        Of scores from 0 to 1 of the networks θ + P ŵ_k.

    Raises
    ------
    ValueError
        If there are fewer than two tasks, they do not share every layer from `layer` on, or an option is out of range.
    """
    number("ridge", ridge, open_=True)
    names = list(features)
    parameters = layer_parameters(model, names[0], layer=layer)
    if any(layer_parameters(model, name, layer=layer) != parameters for name in names):
        raise ValueError(f"model must share every layer from {layer} on among {', '.join(names)}")
    if not isinstance(subsets, Subsets):
        integer("size", size, minimum=2)
        subsets = subsets_of(names, count=integer("subsets", subsets), size=size, seed=seed)
    fitted: dict[Hashable, TaskFeatures] = {}
    fitted.update(features)
    fits = fit_logistic(fitted, subsets, ridge=ridge, reduction="sum")
    projection = RandomProjection(parameter_count(model, parameters), fits.coefficients.shape[1], seed=projection_seed)
    moved = copy.deepcopy(model)
    outcomes = np.full((len(subsets), len(names)), np.nan)
    for k, coefficients in enumerate(fits.coefficients):
        changed = adapted_parameters(model, coefficients, projection=projection, parameters=parameters)
        moved.load_state_dict(changed, strict=False)
        for name in subsets.names(k):
            outcomes[k, names.index(str(name))] = evaluate(moved, validation[str(name)])
        if progress is not None:
            progress(k + 1, len(subsets))
    return affinity_matrix(outcomes, subsets)
