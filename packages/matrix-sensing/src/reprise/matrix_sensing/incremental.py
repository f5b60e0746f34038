"""Incremental learning made visible: which direction of the matrix gradient descent finds when (beyond the paper).

From a start αB an eigenvalue σ of X* grows by (1 + ησ)² per step until it saturates, so directions with unequal
eigenvalues appear one after another: the rank of U Uᵀ climbs a staircase (Li, Luo and Lyu 2021; Jin et al. 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reprise.matrix_sensing.loop import Path
from reprise.matrix_sensing.validation import positive_integer


@dataclass(frozen=True)
class RankPath:
    """When each direction was learned, largest eigenvalue first.

    Attributes
    ----------
    eigenvalues : array, shape (directions,)
        Of the last U Uᵀ.
    steps : array, shape (directions,)
        First step, interpolated between recorded ones, at which the eigenvalue passed half of its last value.
    predicted : array, shape (directions,)
        log(√σ/α) / log(1 + ησ), the time at which α²(1 + ησ)^{2t}, slowed down by saturation, passes σ/2.
    """

    eigenvalues: NDArray[np.float64]
    steps: NDArray[np.float64]
    predicted: NDArray[np.float64]


def rank_path(path: Path, directions: int | None = None) -> RankPath:
    """Steps at which a run learned each direction, and those that theory predicts.

    Parameters
    ----------
    path : Path
        Of a run with ``singular_values=True`` and an orthonormal start.
    directions : int, optional
        How many; up to the largest gap of the spectrum when not given.

    Returns
    -------
    RankPath

    Raises
    ------
    ValueError
        If the path holds no singular values, or fewer than the directions asked for.

    Examples
    --------
    >>> from reprise.matrix_sensing import SensingProblem, gradient_descent
    >>> problem = SensingProblem.gaussian(dimension=15, rank=2, measurements=240, condition=4.0, seed=0)
    >>> learned = rank_path(gradient_descent(problem, singular_values=True, record_every=1))
    >>> len(learned.steps), bool(learned.steps[0] < learned.steps[1])
    (2, True)
    """
    if "singular_values" not in path.history[0]:
        raise ValueError("path must hold singular values: run gradient_descent with singular_values=True")
    recorded = np.asarray(path.column("step"), dtype=np.float64)
    eigenvalues = np.asarray(path.column("singular_values"), dtype=np.float64) ** 2  # (records, k), of U Uᵀ
    last = eigenvalues[-1]
    if directions is None:
        directions = numerical_rank(last)
    positive_integer("directions", directions, at_most=len(last), limit="the number of columns of the factor")
    steps = np.array([_crossing(recorded, eigenvalues[:, i], last[i] / 2) for i in range(directions)])
    predicted = np.array(
        [math.log(math.sqrt(value) / path.scale) / math.log1p(path.step * value) for value in last[:directions]]
    )
    return RankPath(last[:directions], steps, predicted)


def numerical_rank(eigenvalues: NDArray[np.float64], *, floor: float = 1e-6) -> int:
    """Place of the largest gap in eigenvalues sorted downwards; those below `floor` times the first count as equal."""
    clipped = np.maximum(eigenvalues, floor * eigenvalues[0])
    if len(clipped) == 1:
        return 1
    gaps = np.log(clipped[:-1]) - np.log(clipped[1:])
    return len(clipped) if gaps.max() == 0 else int(np.argmax(gaps)) + 1


def _crossing(steps: NDArray[np.float64], values: NDArray[np.float64], level: float) -> float:
    """First place at which `values` reach `level`, linear in log(values) between records."""
    above = int(np.argmax(values >= level))
    if above == 0:
        return float(steps[0])
    low, high = np.log(values[above - 1]), np.log(values[above])
    return float(steps[above - 1] + (np.log(level) - low) / (high - low) * (steps[above] - steps[above - 1]))
