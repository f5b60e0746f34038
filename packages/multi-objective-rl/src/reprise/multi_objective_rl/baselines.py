"""What groups are compared with: random ones, those of similar gradients, and those of really training every subset."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.evaluation import evaluate
from reprise.multi_objective_rl.ppo import PPOConfig, Progress, Trained, train
from reprise.multi_objective_rl.surrogate import cosine_affinity, mean_policy_gradients
from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.validation import numpy_generator, whole_number
from reprise.tasks import Partition, Subsets, measure_subsets, partition


def given_groups(names: Sequence[Hashable], labels: npt.ArrayLike) -> Partition:
    """A partition from labels, one for each task; groups are numbered by their first task."""
    labels = np.asarray(labels)
    if labels.shape != (len(names),):
        raise ValueError(f"labels must have shape ({len(names)},), got {labels.shape}")
    order = {label: index for index, label in enumerate(dict.fromkeys(labels.tolist()))}
    numbered = np.array([order[label] for label in labels.tolist()])
    return Partition(tuple(names), numbered, float("nan"))


def random_groups(names: Sequence[Hashable], k: int, *, generator: np.random.Generator | int = 0) -> Partition:
    """k random groups whose sizes differ by at most one.

    Examples
    --------
    >>> sorted(len(group) for group in random_groups(list("abcdefg"), 3).groups)
    [2, 2, 3]
    """
    k = whole_number("k", k)
    if k > len(names):
        raise ValueError(f"k must be at most the number of tasks, {len(names)}, got {k}")
    return given_groups(names, numpy_generator(generator).permutation(np.arange(len(names)) % k))


def gradient_similarity_groups(estimate: PolicyGradEx, k: int) -> Partition:
    """Groups of the same transitions by the cosines of the tasks' (projected) policy gradients E[Â g]."""
    cosines = cosine_affinity(mean_policy_gradients(estimate.features_))
    return partition(cosines, k=k, tasks=tuple(estimate.features_))


def fine_tuned_outcomes(
    meta: Trained,
    subsets: Subsets,
    *,
    steps_per_task: int,
    episodes: int = 16,
    config: PPOConfig | None = None,
    generator: np.random.Generator | int = 0,
    progress: Progress | None = None,
    workers: int = 1,
) -> npt.NDArray[np.float64]:
    """Mean returns after really fine-tuning the meta-policy on every subset: the reference of all estimates.

    Parameters
    ----------
    meta : Trained
    subsets : Subsets
        Of the meta-policy's tasks.
    steps_per_task : int
        Transitions of each task in a subset.
    episodes : int
        Of the evaluation of each task.
    config : PPOConfig, optional
        That of the meta-policy by default.
    generator : numpy.random.Generator or int
    progress : callable, optional
    workers : int
        Processes.

    Returns
    -------
    array, shape (m, n)
        NaN for tasks outside of a subset.
    """
    by_name: dict[Hashable, Task] = {task.name: task for task in meta.tasks}

    def outcome(names: tuple[Hashable, ...], seed: int) -> dict[Hashable, float]:
        chosen = [by_name[name] for name in names]
        tuned = train(chosen, steps=steps_per_task * len(chosen), policy=meta, config=config, generator=seed)
        found = evaluate(tuned.policy, chosen, episodes, generator=seed)
        return dict(zip(names, found.returns.mean(axis=1).tolist()))

    seed = int(numpy_generator(generator).integers(2**31))
    return measure_subsets(outcome, subsets, seed=seed, workers=workers, progress=progress)


def normalised_mutual_information(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """I(a; b) / √(H(a) H(b)) of two labellings: 1 for the same groups; 0 where one of them is a single group.

    Examples
    --------
    >>> normalised_mutual_information([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"labellings must have one shape (n,), got {a.shape} and {b.shape}")
    spreads = [entropy(np.unique(labels, return_counts=True)[1]) for labels in (a, b)]
    if min(spreads) == 0:
        return 0.0
    return round(float(mutual_info_score(a, b) / np.sqrt(spreads[0] * spreads[1])), 12)
