"""Groups of tasks from an affinity: relax, solve, round; for one number of groups or along a path of penalties."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks
from reprise.tasks.affinity import Affinity
from reprise.tasks.low_rank import solve_low_rank
from reprise.tasks.relaxation import Relaxation, solve_relaxation

Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
_LARGEST_GENERAL = 150  # tasks up to which a general solver is taken by default


@dataclass(frozen=True, eq=False)
class Partition:
    """Groups of tasks and where they come from.

    Attributes
    ----------
    tasks : tuple of names, length n
    labels : int array, shape (n,)
        Group of each task; groups are numbered by their first task.
    value : float
        Σ_c Σ_{i,j ∈ c} U_ij / |c|, less λ times the number of groups where a ridge was given: the relaxation's
        objective after rounding.
    relaxation : Relaxation or None
        The solution that was rounded, with its value before rounding; None for methods without one.
    requested : int or None
        Number of groups asked for. Rounding may give another: see `matched`.
    ridge : float or None
        Penalty λ that was used.
    """

    tasks: tuple[Hashable, ...]
    labels: Labels
    value: float
    relaxation: Relaxation | None = None
    requested: int | None = None
    ridge: float | None = None

    @property
    def groups(self) -> tuple[tuple[Hashable, ...], ...]:
        """The groups as tuples of names."""
        return tuple(
            tuple(self.tasks[index] for index in np.flatnonzero(self.labels == group)) for group in range(self.k)
        )

    @property
    def k(self) -> int:
        """Number of groups."""
        return int(self.labels.max()) + 1

    @property
    def matched(self) -> bool:
        """Whether there are as many groups as asked for (True where no number was)."""
        return self.requested in (None, self.k)


def partition(
    affinity: Affinity | npt.ArrayLike,
    *,
    k: int | None = None,
    ridge: float | None = None,
    tasks: Sequence[Hashable] | None = None,
    solver: str = "auto",
    seed: int = 0,
) -> Partition:
    """Group tasks by the semidefinite relaxation and threshold rounding.

    Parameters
    ----------
    affinity : Affinity or array, shape (n, n)
        An `Affinity` enters as (U + Uᵀ)/2; an array must be symmetric. Higher is closer: losses would turn the groups
        round.
    k : int
        Number of groups, 1 <= k <= n. Either this or `ridge`.
    ridge : float
        Penalty λ >= 0 of a group, on the scale of U (see `Affinity.standardized`).
    tasks : sequence of names, optional
        For an array; default 0, ..., n - 1.
    solver : {"auto", "clarabel", "scs", "lowrank"}
        "auto" takes Clarabel for n <= 60, SCS for n <= 150 and the low-rank solver above.
    seed : int
        Start of the low-rank solver.

    Returns
    -------
    Partition
        Its `matched` says whether rounding gave the number of groups asked for.

    Raises
    ------
    ValueError
        If the affinity is not square, finite (a pair that no subset covers: named) and symmetric, or k or ridge are out
        of range.
    RuntimeError
        If the relaxation isn't solved to optimality.

    Examples
    --------
    >>> blocks = np.kron(np.eye(2), np.ones((3, 3)))
    >>> partition(blocks, k=2, tasks=list("abcdef")).groups
    (('a', 'b', 'c'), ('d', 'e', 'f'))
    """
    names, values = symmetric_affinity(affinity, tasks)
    _checks.choice("solver", solver, ("auto", "clarabel", "scs", "lowrank"))
    if solver == "lowrank" or (solver == "auto" and len(values) > _LARGEST_GENERAL):
        relaxation = solve_low_rank(values, k=k, ridge=ridge, seed=seed)
    else:
        relaxation = solve_relaxation(values, k=k, ridge=ridge, solver=None if solver == "auto" else solver)
    labels = round_relaxation(relaxation.matrix)
    value = partition_value(values, labels) - (ridge or 0.0) * (int(labels.max()) + 1)
    return Partition(names, labels, value, relaxation, requested=k, ridge=ridge)


def partition_path(
    affinity: Affinity | npt.ArrayLike,
    *,
    ridges: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    tasks: Sequence[Hashable] | None = None,
    solver: str = "auto",
    seed: int = 0,
) -> tuple[Partition, tuple[Partition, ...]]:
    """Groups for each penalty of a path, and the best of them.

    Parameters
    ----------
    affinity, tasks, solver, seed
        As in `partition`.
    ridges : sequence of float
        Penalties λ, on the scale of U.

    Returns
    -------
    best : Partition
        The one with the largest Σ_c Σ_{i,j ∈ c} U_ij / |c| (without penalty) after rounding; the first of equals.
    path : tuple of Partition
        One for each penalty.

    Raises
    ------
    ValueError
        If there is no penalty, and as `partition` does.

    Examples
    --------
    >>> best, path = partition_path(np.kron(np.eye(2), np.ones((3, 3))))
    >>> best.k, [part.k for part in path]
    (2, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    _, values = symmetric_affinity(affinity, tasks)
    if len(ridges) == 0:
        raise ValueError("ridges must hold at least one penalty, got none")
    path = tuple(partition(affinity, ridge=ridge, tasks=tasks, solver=solver, seed=seed) for ridge in ridges)
    scores = np.array([partition_value(values, part.labels) for part in path])
    first = int(np.flatnonzero(scores >= scores.max() - 1e-12 * max(1.0, np.abs(scores).max()))[0])
    return path[first], path


def round_relaxation(solution: npt.ArrayLike, *, threshold: float | None = None) -> Labels:
    """Groups from a solution X: each task not yet in a group opens one and takes all others with X_ij > threshold.

    Parameters
    ----------
    solution : array, shape (n, n)
        X.
    threshold : float, optional
        Default 1/n, the entries of X for one single group, less one per cent, so that a solver's last digits don't
        break that group up.

    Returns
    -------
    int array, shape (n,)
        Labels, numbered by first appearance.

    Raises
    ------
    ValueError
        If the solution isn't a finite square matrix.

    Examples
    --------
    >>> round_relaxation([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    array([0, 1, 0])
    """
    values = _checks.square("solution", solution)
    n = len(values)
    limit = 0.99 / n if threshold is None else threshold
    labels = np.full(n, -1, dtype=np.int64)
    for task in range(n):
        if labels[task] < 0:
            group = labels.max() + 1
            labels[(labels < 0) & (values[task] > limit)] = group
            labels[task] = group
    return labels


def partition_value(affinity: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Σ_c Σ_{i,j ∈ c} U_ij / |c|: the value of a partition, ⟨U, X⟩ for its matrix X.

    Parameters
    ----------
    affinity : array, shape (n, n)
        U.
    labels : int array, shape (n,)
        Group of each task.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes don't fit.

    Examples
    --------
    >>> partition_value(np.ones((3, 3)), [0, 1, 0])
    3.0
    """
    values = _checks.square("affinity", affinity)
    groups = np.asarray(labels)
    if groups.shape != (len(values),):
        raise ValueError(f"labels must have shape ({len(values)},), got {groups.shape}")
    total = 0.0
    for group in np.unique(groups):
        chosen = groups == group
        total += float(values[np.ix_(chosen, chosen)].sum() / chosen.sum())
    return total


def symmetric_affinity(
    affinity: Affinity | npt.ArrayLike, tasks: Sequence[Hashable] | None = None
) -> tuple[tuple[Hashable, ...], Matrix]:
    """Names and symmetric matrix of an affinity or an array.

    Raises
    ------
    ValueError
        If a pair has no value (named), or an array isn't square, finite and symmetric or doesn't fit the names.
    """
    if isinstance(affinity, Affinity):
        if affinity.subsets.uncovered:
            raise ValueError(
                f"affinity must have a value for every pair, but no subset holds {affinity.subsets.uncovered}"
            )
        return affinity.tasks, _checks.square("affinity", affinity.symmetric().matrix, symmetric=True)
    values = _checks.square("affinity", affinity, symmetric=True)
    names = _checks.task_names(len(values) if tasks is None else tasks)
    if len(names) != len(values):
        raise ValueError(f"tasks must be {len(values)} names, got {len(names)}")
    return names, values
