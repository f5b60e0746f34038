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


def subsets_of(tasks: Sequence[str], subsets: int | Subsets, *, size: int, seed: int) -> Subsets:
    """The subsets given, or as many random ones that cover every pair; of two tasks, each alone and both together."""
    if isinstance(subsets, Subsets):
        return subsets
    integer("size", size, minimum=2)
    count = integer("subsets", subsets)
    if len(tasks) < 2:
        raise ValueError(f"features must be of at least two tasks, got {len(tasks)}")
    if len(tasks) == 2:
        first, second = tasks
        return given_subsets(tasks, [(first,), (second,), (first, second)])
    return random_subsets(tasks, count=count, size=min(size, len(tasks) - 1), seed=seed)


def keyed(features: Mapping[str, TaskFeatures]) -> dict[Hashable, TaskFeatures]:
    """The same, by names of any kind, as `reprise.tasks` takes them."""
    return dict(features.items())


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
    subsets = subsets_of(list(features), subsets, size=size, seed=seed)
    outcomes = estimate_subsets(
        keyed(features),
        subsets,
        ridge=ridge,
        reduction="sum",
        intercept=intercept,
        score="logistic" if score == "loss" else "accuracy",
        validation=keyed(validation) if validation else None,
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
        Of `gradient_features`, on this model.
    validation : mapping of str to Trajectories
        Graphs to score on. Never those of a test split.
    layer, projection_seed : int
        What `layer` and `seed` of `gradient_features` were.
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
        If there are fewer than two tasks, a task has no graphs to score on, they do not share every layer from `layer`
        on, or an option is out of range.
    """
    number("ridge", ridge, open_=True)
    names = list(features)
    subsets = subsets_of(names, subsets, size=size, seed=seed)
    for name in names:
        if name not in validation:
            raise ValueError(f"validation must have graphs of every task, got none of {name}")
    parameters = layer_parameters(model, names[0], layer=layer)
    if any(layer_parameters(model, name, layer=layer) != parameters for name in names):
        raise ValueError(f"model must share every layer from {layer} on among {', '.join(names)}")
    fits = fit_logistic(keyed(features), subsets, ridge=ridge, reduction="sum")
    projection = RandomProjection(parameter_count(model, parameters), fits.coefficients.shape[1], seed=projection_seed)
    moved = copy.deepcopy(model)
    outcomes = np.full((len(subsets), len(names)), np.nan)
    for k, coefficients in enumerate(fits.coefficients):
        changed = adapted_parameters(model, coefficients, projection=projection, parameters=parameters)
        moved.load_state_dict(moved.state_dict() | changed)
        for name in map(str, subsets.names(k)):
            outcomes[k, names.index(name)] = evaluate(moved, validation[name])
        if progress is not None:
            progress(k + 1, len(subsets))
    return affinity_matrix(outcomes, subsets)
