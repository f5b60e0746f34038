"""What each partner adds to a task: affinities without what only says how easy a task is.

A loss is smaller the easier its task, so that rows of an affinity made of losses differ by far more than partners do.
Offsets of rows change no solution of the relaxation (X1 = 1), but they do change which penalty's partition looks best.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks
from reprise.tasks.affinity import Affinity, Matrix


def affinity_gains(affinity: Affinity) -> Affinity:
    """Affinities less the mean of their row, symmetric and in units of their spread.

    Parameters
    ----------
    affinity : Affinity

    Returns
    -------
    Affinity
        With the `gain_matrix` of its matrix.

    Raises
    ------
    ValueError
        If a pair has no value.

    Examples
    --------
    >>> from reprise.tasks import affinity_matrix, all_pairs
    >>> affinity = affinity_matrix([[5.0, 9.0, 0.0], [1.0, 0.0, 3.0], [0.0, 9.0, 3.0]], all_pairs(3))
    >>> affinity_gains(affinity).matrix[~np.eye(3, dtype=bool)].round(2)
    array([ 1.22, -1.22,  1.22,  0.  , -1.22,  0.  ])
    """
    return replace(affinity, matrix=gain_matrix(affinity.matrix))


def gain_matrix(matrix: npt.ArrayLike) -> Matrix:
    """Gains from a matrix of affinities, row i of task i.

    Parameters
    ----------
    matrix : array, shape (n, n)
        U.

    Returns
    -------
    float64 array, shape (n, n)
        Each row of U has the mean of its entries off the diagonal subtracted, then (U + Uᵀ)/2 is taken and divided by
        the standard deviation off the diagonal, where that is not 0. Two tasks have a single pair: of them, only
        (U + Uᵀ)/2.

    Raises
    ------
    ValueError
        If the matrix isn't square and finite.

    Examples
    --------
    >>> gain_matrix([[0.0, 5.0, 1.0], [9.0, 0.0, 9.0], [3.0, 3.0, 0.0]])[0].round(2)
    array([-3.67,  1.22, -1.22])
    """
    values = _checks.square("matrix", matrix)
    n = len(values)
    if n < 3:
        pair: Matrix = (values + values.T) / 2
        return pair
    off = ~np.eye(n, dtype=bool)
    values = values - values.mean(axis=1, where=off, keepdims=True)
    gains: Matrix = (values + values.T) / 2
    spread = float(gains[off].std())
    return gains / spread if spread > 0 else gains
