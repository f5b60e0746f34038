"""The affinity of tasks: how a task does, averaged over the subsets that hold it together with another.

    U_ij = mean of f_i(S) over the subsets S that hold both i and j   (target="task": row i is the task scored)
    U_ij = mean of f(S) over those subsets, f(S) = mean of f_i(S) over i in S   (target="subset": symmetric)

and U_ii is the mean over all S that hold i. Scores f are "higher is better". Li, Sharma and Zhang (2024), "Scalable
multitask learning using gradient-based estimation of task affinity".
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks
from reprise.tasks.subsets import Subsets

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affinity:
    """An affinity matrix and what it was averaged from.

    Attributes
    ----------
    tasks : tuple of names, length n
    matrix : float64 array, shape (n, n)
        NaN where no subset holds the pair.
    subsets : Subsets
        The m subsets.
    outcomes : float64 array, shape (m, n)
        f_i(S), 0 where i is not in S.
    target : str
        "task" or "subset".
    """

    tasks: tuple[Hashable, ...]
    matrix: Matrix
    subsets: Subsets
    outcomes: Matrix
    target: str

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Array (n, n): how many subsets each entry is the mean of."""
        return self.subsets.counts

    @property
    def coverage(self) -> float:
        """Share of pairs that have a value."""
        return self.subsets.coverage

    def symmetric(self) -> Affinity:
        """The same with (U + Uᵀ)/2 as its matrix."""
        return replace(self, matrix=(self.matrix + self.matrix.T) / 2)

    def standardized(self) -> Affinity:
        """The same, shifted and scaled so that the entries off the diagonal have mean 0 and standard deviation 1.

        A ridge of the clustering then means the same for every set of tasks. Neither the shift nor the scale changes
        which clustering of a given number of groups is best.

        Raises
        ------
        ValueError
            If the entries off the diagonal are all equal.
        """
        off = self.matrix[~np.eye(len(self.tasks), dtype=bool)]
        spread = float(np.nanstd(off))
        if not spread > 1e-12 * max(1.0, float(np.nanmax(np.abs(off)))):
            raise ValueError(f"affinities off the diagonal must differ to be standardised, got all {off[0]}")
        return replace(self, matrix=(self.matrix - np.nanmean(off)) / spread)

    def bootstrap(self, samples: int = 100, *, seed: int = 0) -> Matrix:
        """Affinity matrices under random reweightings of the subsets.

        The Bayesian bootstrap (Rubin 1981): subset k weighs an independent Exp(1) in every mean, where the ordinary
        bootstrap would draw a count. The spread is the same to first order, and no pair loses its only subset.

        Parameters
        ----------
        samples : int
            Number B of matrices.
        seed : int
            Of the weights.

        Returns
        -------
        float64 array, shape (B, n, n)
            Reweighted forms of the plain matrix: neither symmetrised nor standardised. NaN where no subset holds the
            pair.
        """
        samples = _checks.integer("samples", samples)
        generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
        weights = generator.standard_exponential((samples, len(self.subsets)))
        return np.stack([_average(self.outcomes, self.subsets.members, row, self.target) for row in weights])


def affinity_matrix(outcomes: npt.ArrayLike, subsets: Subsets, *, target: str = "task") -> Affinity:
    """Average the outcomes of subsets into an affinity of tasks.

    Parameters
    ----------
    outcomes : array, shape (m, n) or (m,)
        ``outcomes[k, i]`` is the score of task i after subset k, higher is better; entries of tasks outside of the
        subset are not read. Of shape (m,), the score of the whole subset.
    subsets : Subsets
        The m subsets of n tasks.
    target : {"task", "subset"}
        Whose score an entry averages: that of its row's task, or the mean over the subset's members, which makes the
        matrix symmetric.

    Returns
    -------
    Affinity

    Raises
    ------
    ValueError
        If the shape doesn't fit or the outcome of a member is not finite: the message names task and subset.

    Examples
    --------
    >>> affinity = affinity_matrix([[1.0, 2.0, 0.0], [0.0, 4.0, 6.0]], given_subsets(3, [(0, 1), (1, 2)]))
    >>> affinity.matrix
    array([[ 1.,  1., nan],
           [ 2.,  3.,  4.],
           [nan,  6.,  6.]])
    """
    _checks.choice("target", target, ("task", "subset"))
    values = np.asarray(outcomes, dtype=np.float64)
    shape = subsets.members.shape
    if values.shape == shape[:1]:
        target = "subset"
        values = np.broadcast_to(values[:, None], shape)
    elif values.shape != shape:
        raise ValueError(f"outcomes must have shape {shape} or {shape[:1]}, got {values.shape}")
    missing = subsets.members & ~np.isfinite(values)
    if missing.any():
        row, column = (int(index) for index in np.argwhere(missing)[0])
        raise ValueError(
            f"outcomes must be finite, got {values[row, column]} for task {subsets.tasks[column]!r} in subset {row}, "
            f"{subsets.names(row)}"
        )
    values = np.where(subsets.members, values, 0.0)
    matrix = _average(values, subsets.members, np.ones(len(subsets)), target)
    return Affinity(subsets.tasks, matrix, subsets, values, target)


def _average(outcomes: Matrix, members: npt.NDArray[np.bool_], weights: Matrix, target: str) -> Matrix:
    """Weighted means over the subsets that hold both tasks; NaN for pairs in none."""
    indicators = members.astype(np.float64)
    if target == "subset":
        outcomes = indicators * (outcomes.sum(axis=1) / indicators.sum(axis=1))[:, None]
    totals = (outcomes * weights[:, None]).T @ indicators
    shares = (indicators * weights[:, None]).T @ indicators
    return np.divide(totals, shares, out=np.full_like(totals, np.nan), where=shares > 0)
