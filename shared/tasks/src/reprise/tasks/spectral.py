"""Spectral clustering of tasks: the baseline beside the semidefinite relaxation."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.cluster import SpectralClustering

from reprise.tasks import _checks
from reprise.tasks.affinity import Affinity
from reprise.tasks.grouping import Partition, partition_value, symmetric_affinity


def spectral_partition(
    affinity: Affinity | npt.ArrayLike, *, k: int, tasks: Sequence[Hashable] | None = None, seed: int = 0
) -> Partition:
    """Group tasks by scikit-learn's spectral clustering (normalised Laplacian, k-means).

    Parameters
    ----------
    affinity : Affinity or array, shape (n, n)
        As in `partition`. Shifted so that its smallest entry is 0, as spectral clustering needs weights >= 0: unlike
        the relaxation it depends on that shift.
    k : int
        1 <= k <= n.
    tasks : sequence of names, optional
        For an array; default 0, ..., n - 1.
    seed : int
        Of the k-means starts.

    Returns
    -------
    Partition
        Without a relaxation.

    Raises
    ------
    ValueError
        As `partition` does.

    Examples
    --------
    >>> spectral_partition(np.kron(np.eye(2), np.ones((3, 3))), k=2).groups
    ((0, 1, 2), (3, 4, 5))
    """
    names, values = symmetric_affinity(affinity, tasks)
    n = len(values)
    k = _checks.integer("k", k, maximum=n)
    if k in (1, n):
        labels = np.arange(n) if k == n else np.zeros(n, dtype=np.int64)
    else:
        model = SpectralClustering(k, affinity="precomputed", random_state=_checks.integer("seed", seed, minimum=0))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Graph is not fully connected")  # as it should be for clean groups
            found = model.fit_predict(values - values.min())
        _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
        labels = np.argsort(np.argsort(first))[inverse]  # numbered by first appearance
    return Partition(names, labels.astype(np.int64), partition_value(values, labels), requested=k)
