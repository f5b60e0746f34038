"""Affinities that take in one more algorithm: a gradient pass over its own predictions, and no earlier fit again.

A subset's first Newton step needs Σ h g̃g̃ᵀ and Σ ℓ′g̃ of its members only; sums of the tasks that were there stay as they
are, and so do the outcomes of all subsets without the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reprise.algorithmic_reasoning.affinity import keyed, subsets_of
from reprise.algorithmic_reasoning.validation import integer, number
from reprise.tasks import (
    Affinity,
    Subsets,
    TaskFeatures,
    TaskStatistics,
    affinity_matrix,
    fit_logistic,
    linearised_scores,
    logistic_statistics,
)


@dataclass(frozen=True, eq=False)
class IncrementalAffinity:
    """An affinity, and what is needed to add a task to it.

    Attributes
    ----------
    affinity : Affinity
    features : dict of str to TaskFeatures
    statistics : TaskStatistics
    ridge : float
    fits : int
        Subsets that were solved to get here from the affinity before; all of them at first.
    """

    affinity: Affinity
    features: dict[str, TaskFeatures]
    statistics: TaskStatistics
    ridge: float
    fits: int

    def with_task(
        self, name: str, features: TaskFeatures, *, count: int = 50, size: int = 3, seed: int = 0
    ) -> IncrementalAffinity:
        """The affinity of these tasks and one more.

        Parameters
        ----------
        name : str
            Of the new task.
        features : TaskFeatures
            Of `gradient_features` with the same network and projection.
        count : int
            New subsets, each of which holds the new task.
        size : int
            Tasks in each.
        seed : int
            Of the draw; every other task is a partner about as often.

        Returns
        -------
        IncrementalAffinity

        Raises
        ------
        ValueError
            If the name is there already, dimensions differ, or a number is out of range.
        """
        if name in self.features:
            raise ValueError(f"name must be new, got {name!r}")
        old = list(self.features)
        integer("count", count, minimum=-(-len(old) // (integer("size", size, minimum=2) - 1)))
        integer("size", size, minimum=2, maximum=len(old) + 1, limit="the number of tasks")
        joined = self.statistics.joined(logistic_statistics({name: features}))
        everything = {**self.features, name: features}
        rows = _around(len(old), count, size, np.random.default_rng(integer("seed", seed, minimum=0)))
        added = Subsets((*old, name), rows)
        before = np.pad(self.affinity.subsets.members, ((0, 0), (0, 1)))
        outcomes = np.pad(self.affinity.outcomes, ((0, 0), (0, 1)))
        new = _outcomes(everything, added, joined, self.ridge)
        subsets = Subsets(added.tasks, np.concatenate([before, rows]))
        affinity = affinity_matrix(np.concatenate([outcomes, new]), subsets)
        return IncrementalAffinity(affinity, everything, joined, self.ridge, len(added))


def newton_affinity(
    features: Mapping[str, TaskFeatures],
    *,
    subsets: int | Subsets = 200,
    size: int = 3,
    ridge: float = 1e3,
    seed: int = 0,
) -> IncrementalAffinity:
    """How well tasks do together, from one Newton step of each subset's fit.

    Parameters
    ----------
    features, subsets, size, ridge, seed
        As of `estimate_affinity`.

    Returns
    -------
    IncrementalAffinity

    Raises
    ------
    ValueError
        If there are fewer than two tasks, or an option is out of range.

    Notes
    -----
    At the paper's penalty (10³ on the sum of losses) fits move little, and the first step is the way but for a few per
    cent. It costs O(d³) per subset, whatever the number of predictions.
    """
    number("ridge", ridge, open_=True)
    subsets = subsets_of(list(features), subsets, size=size, seed=seed)
    everything = dict(features)
    statistics = logistic_statistics(keyed(everything))
    outcomes = _outcomes(everything, subsets, statistics, ridge)
    return IncrementalAffinity(affinity_matrix(outcomes, subsets), everything, statistics, ridge, len(subsets))


def _outcomes(
    features: Mapping[str, TaskFeatures], subsets: Subsets, statistics: TaskStatistics, ridge: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    fits = fit_logistic(keyed(features), subsets, ridge=ridge, reduction="sum", exact=False, statistics=statistics)
    return linearised_scores(fits, keyed(features))


def _around(
    tasks: int, count: int, size: int, generator: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Indicators of subsets of a last task and partners, who take turns in random order."""
    rows = np.zeros((count, tasks + 1), dtype=bool)
    rows[:, -1] = True
    waiting: list[int] = []
    for row in rows:
        while row.sum() < size:
            if not waiting:
                waiting = generator.permutation(tasks).tolist()
            # One who is in this subset already waits for the next.
            partner = next((task for task in waiting if not row[task]), None)
            if partner is None:
                waiting += generator.permutation(tasks).tolist()
                continue
            waiting.remove(partner)
            row[partner] = True
    return rows
