"""How sure groups are: co-clustering probabilities under the bootstrap, and the number of groups that they suggest."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_rand_score

from reprise.tasks import _checks
from reprise.tasks.affinity import Affinity
from reprise.tasks.cells import map_cells
from reprise.tasks.grouping import Partition, partition

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stability:
    """Partitions of bootstrapped affinities.

    Attributes
    ----------
    tasks : tuple of names, length n
    partitions : dict from k to Partition
        Of the affinity itself.
    co_clustering : dict from k to array, shape (n, n)
        Share of the B bootstrap partitions that put two tasks into one group.
    agreement : dict from k to array, shape (B,)
        Adjusted Rand index of each bootstrap partition with that of the affinity itself: 1 for the same, 0 for chance.
    suggested_k : int
        The number of groups asked for with the largest mean agreement; the smallest of equals (to 1e-9).
    """

    tasks: tuple[Hashable, ...]
    partitions: dict[int, Partition]
    co_clustering: dict[int, Matrix]
    agreement: dict[int, Matrix]
    suggested_k: int

    def interval(self, k: int, *, level: float = 0.95) -> tuple[float, float, float]:
        """Mean agreement at k and the interval that holds `level` of the bootstrap's agreements."""
        values = self.agreement[k]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(values.mean()), float(low), float(high)


def stability(
    affinity: Affinity,
    *,
    ks: Sequence[int] | None = None,
    samples: int = 50,
    solver: str = "auto",
    seed: int = 0,
    matrices: npt.ArrayLike | None = None,
    workers: int = 1,
    dask: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Cluster bootstrapped affinities for several numbers of groups.

    Parameters
    ----------
    affinity : Affinity
        With every pair covered.
    ks : sequence of int, optional
        Numbers of groups, each 2 <= k < n: with one group, or one for each task, there is nothing to agree on. Default:
        2 to the smaller of 8 and n - 1.
    samples : int
        Bootstrap matrices B.
    solver : str
        As in `partition`.
    seed : int
        Of the bootstrap.
    matrices : array, shape (B, n, n), optional
        Affinities to cluster in place of ``affinity.bootstrap(samples)``, where more than the subsets was drawn anew.
    workers, dask, progress
        As in `map_cells`; a cell is one bootstrap matrix.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If there are fewer than three tasks, a k is out of range, a pair isn't covered, or `matrices` has another shape.
    RuntimeError
        If a relaxation isn't solved to optimality.

    Examples
    --------
    >>> subsets = random_subsets(6, count=20, size=3, seed=0)
    >>> block = np.array([0, 0, 0, 1, 1, 1])
    >>> outcomes = [[sum(block[member] == block[task] for member in subset) for task in range(6)] for subset in subsets]
    >>> stability(affinity_matrix(outcomes, subsets), samples=10).suggested_k
    2
    """
    n = len(affinity.tasks)
    if n < 3:
        raise ValueError(f"affinity must be of at least three tasks, got {n}")
    wanted = tuple(range(2, min(8, n - 1) + 1)) if ks is None else tuple(ks)
    if not wanted:
        raise ValueError("ks must hold at least one number of groups, got none")
    for k in wanted:
        _checks.integer("each of ks", k, minimum=2, maximum=n - 1)
    drawn_matrices = affinity.bootstrap(samples, seed=seed) if matrices is None else np.asarray(matrices, np.float64)
    if drawn_matrices.ndim != 3 or len(drawn_matrices) == 0 or drawn_matrices.shape[1:] != (n, n):
        raise ValueError(f"matrices must have shape (B >= 1, {n}, {n}), got {drawn_matrices.shape}")
    partitions = {k: partition(affinity, k=k, solver=solver) for k in wanted}

    def labels(matrix: Matrix) -> list[npt.NDArray[np.int64]]:
        symmetric = (matrix + matrix.T) / 2
        return [partition(symmetric, k=k, solver=solver).labels for k in wanted]

    drawn = map_cells(labels, drawn_matrices, workers=workers, dask=dask, progress=progress)
    co_clustering, agreement = {}, {}
    for position, k in enumerate(wanted):
        found = [groups[position] for groups in drawn]
        co_clustering[k] = np.mean([groups[:, None] == groups for groups in found], axis=0)
        agreement[k] = np.array([adjusted_rand_score(partitions[k].labels, groups) for groups in found])
    means = {k: float(agreement[k].mean()) for k in sorted(wanted)}
    suggested = next(k for k, mean in means.items() if mean >= max(means.values()) - 1e-9)
    return Stability(affinity.tasks, partitions, co_clustering, agreement, suggested)
