"""Subsets of tasks: random ones of a fixed size that cover every pair, all pairs, or the user's own.

An affinity between two tasks is an average over the subsets that hold both, so what matters about a collection of
subsets is how often each pair occurs in it. A collection therefore carries its pair counts and its coverage.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks


@dataclass(frozen=True)
class Subsets:
    """A collection of subsets of named tasks.

    Parameters
    ----------
    tasks : tuple of names, length n
    members : bool array, shape (m, n)
        ``members[k, i]`` says that subset k holds task i.
    added : int
        How many of the last subsets were added beyond the number asked for, so that every pair is covered.

    Examples
    --------
    >>> subsets = given_subsets(["walk", "run", "jump"], [("walk", "run"), ("run", "jump")])
    >>> subsets.names(1), subsets.coverage
    (('run', 'jump'), 0.6666666666666666)
    """

    tasks: tuple[Hashable, ...]
    members: npt.NDArray[np.bool_]
    added: int = 0

    def __len__(self) -> int:
        """Return the number of subsets, m."""
        return len(self.members)

    def __iter__(self) -> Iterator[tuple[Hashable, ...]]:
        """Iterate over the subsets as tuples of names."""
        return (self.names(index) for index in range(len(self)))

    def names(self, index: int) -> tuple[Hashable, ...]:
        """Names of the tasks in subset `index`, in the order of `tasks`."""
        return tuple(self.tasks[task] for task in np.flatnonzero(self.members[index]))

    def select(self, indices: npt.ArrayLike | slice) -> Subsets:
        """The collection of the subsets at `indices`."""
        return Subsets(self.tasks, self.members[indices if isinstance(indices, slice) else np.asarray(indices)])

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Array (n, n): how many subsets hold both tasks; on the diagonal, how many hold the task."""
        members = self.members.astype(np.int64)
        return members.T @ members

    @property
    def coverage(self) -> float:
        """Share of the n(n - 1)/2 pairs of tasks that occur together in at least one subset."""
        above = self.counts[np.triu_indices(len(self.tasks), 1)]
        return float((above > 0).mean())

    @property
    def uncovered(self) -> list[tuple[Hashable, Hashable]]:
        """Pairs of tasks that no subset holds."""
        rows, columns = np.nonzero(np.triu(self.counts == 0, 1))
        return [(self.tasks[row], self.tasks[column]) for row, column in zip(rows, columns)]


def random_subsets(
    tasks: int | Sequence[Hashable], *, count: int = 200, size: int = 3, seed: int = 0, cover: bool = True
) -> Subsets:
    """Different subsets of a fixed size, drawn uniformly, with every pair covered.

    Parameters
    ----------
    tasks : int or sequence of names
        The n tasks; a number stands for the names 0, ..., n - 1.
    count : int
        Number of subsets. All of them are different: where there are no more than `count`, all are returned.
    size : int
        Tasks per subset, 1 <= size <= n.
    seed : int
        Of the draws.
    cover : bool
        Add subsets until every pair occurs in one. An added subset holds a pair that was missing; its other members
        are uniform. How many were added is `Subsets.added`.

    Returns
    -------
    Subsets

    Raises
    ------
    ValueError
        If there are fewer than two tasks, names repeat, `size` exceeds n, or `cover` is asked for subsets of one task.

    Notes
    -----
    A pair is missed by one subset with probability 1 - s(s - 1)/(n(n - 1)), so about n² log n / s² subsets cover all
    pairs with high probability; the additions finish what chance has left.

    Examples
    --------
    >>> subsets = random_subsets(10, count=60, size=3, seed=1)
    >>> subsets.coverage, len(subsets) - subsets.added
    (1.0, 60)
    """
    names = _checks.task_names(tasks)
    n = len(names)
    count = _checks.integer("count", count)
    size = _checks.integer("size", size, maximum=n)
    if cover and size == 1:
        raise ValueError("size must be at least 2 to cover pairs, got 1; use cover=False for single tasks")
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    drawn = _draw(n, size, count, generator)
    asked = len(drawn)
    if cover:
        _complete(drawn, n, size, generator)
    members = np.zeros((len(drawn), n), dtype=bool)
    for row, subset in enumerate(drawn):
        members[row, list(subset)] = True
    return Subsets(names, members, added=len(drawn) - asked)


def all_pairs(tasks: int | Sequence[Hashable]) -> Subsets:
    """All n(n - 1)/2 pairs of tasks, in lexicographic order of position.

    Examples
    --------
    >>> list(all_pairs(3))
    [(0, 1), (0, 2), (1, 2)]
    """
    names = _checks.task_names(tasks)
    return given_subsets(names, itertools.combinations(names, 2))


def given_subsets(tasks: int | Sequence[Hashable], subsets: Iterable[Iterable[Hashable]]) -> Subsets:
    """The user's own subsets, of any sizes.

    Parameters
    ----------
    tasks : int or sequence of names
        The n tasks.
    subsets : iterable of iterables of names
        In the order in which outcomes will be given.

    Returns
    -------
    Subsets

    Raises
    ------
    ValueError
        If a subset is empty, names a task twice, or names a task that is not in `tasks`; or if there is no subset.

    Examples
    --------
    >>> given_subsets(4, [(0, 1, 2), (2, 3)]).members.sum(axis=1)
    array([3, 2])
    """
    names = _checks.task_names(tasks)
    position = {name: index for index, name in enumerate(names)}
    rows = []
    for number, subset in enumerate(subsets):
        chosen = tuple(subset)
        unknown = [name for name in chosen if name not in position]
        if unknown:
            raise ValueError(f"subset {number} holds unknown tasks {unknown}; the tasks are {list(names)}")
        if not chosen or len(set(chosen)) != len(chosen):
            raise ValueError(f"subset {number} must hold at least one task and none twice, got {chosen}")
        rows.append(np.isin(np.arange(len(names)), [position[name] for name in chosen]))
    if not rows:
        raise ValueError("subsets must hold at least one subset, got none")
    return Subsets(names, np.stack(rows))


def _draw(n: int, size: int, count: int, generator: np.random.Generator) -> dict[tuple[int, ...], None]:
    """Draw `count` different subsets; all of them where there are no more. The dict keeps the order of draws."""
    total = math.comb(n, size)
    if total <= max(4 * count, 10_000):  # few enough to list: rejection would wait long for the last ones
        listed = list(itertools.combinations(range(n), size))
        chosen = generator.choice(total, size=min(count, total), replace=False) if total > count else range(total)
        return dict.fromkeys(listed[index] for index in chosen)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < count:
        drawn[tuple(sorted(generator.choice(n, size=size, replace=False).tolist()))] = None
    return drawn


def _complete(drawn: dict[tuple[int, ...], None], n: int, size: int, generator: np.random.Generator) -> None:
    """Add subsets, each around a pair that is still missing, until none is."""
    covered = np.eye(n, dtype=bool)
    for subset in drawn:
        covered[np.ix_(subset, subset)] = True
    for first, second in itertools.combinations(range(n), 2):
        if covered[first, second]:
            continue
        others = np.setdiff1d(np.arange(n), (first, second))
        rest = generator.choice(others, size=size - 2, replace=False).tolist()
        subset = tuple(sorted((first, second, *rest)))
        drawn[subset] = None
        covered[np.ix_(subset, subset)] = True
