"""Certified top-k: which nodes are surely among the best, and which places are sure, by the bounds of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.scores import Scores, largest


@dataclass(frozen=True)
class TopK:
    """The best nodes by estimate, with certainties.

    Attributes
    ----------
    labels : list
        Best first.
    scores, low, high : ndarray, shape (k,)
        Estimates, and the interval in which each true score lies.
    set_certain : bool
        No node outside of these can have a higher true score than one of them.
    place_certain : ndarray of bool, shape (k,)
        The true score of the i-th node is above that of every node behind it, inside and outside.
    """

    labels: list[Any]
    scores: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    set_certain: bool
    place_certain: NDArray[np.bool_]

    @property
    def certain(self) -> bool:
        """Whether the set and the whole order are certain."""
        return bool(self.place_certain.all())


def certified_top(scores: Scores, below: NDArray[np.float64], above: NDArray[np.float64], k: int) -> TopK:
    """Return the k best nodes by estimate and what the bounds make certain.

    Parameters
    ----------
    scores : Scores
        Estimates p.
    below, above : ndarray, shape (nodes,)
        ``below ≤ π − p ≤ above``.
    k : int
        At least 1; all nodes where there are fewer.

    Returns
    -------
    TopK

    Notes
    -----
    An order is certain when gaps exceed the bounds: p(i) + below(i) > p(j) + above(j) for every j behind i.
    O(nodes + k log k).

    Examples
    --------
    >>> import numpy as np
    >>> from reprise.dynamic_pagerank.nodes import NodeIndex
    >>> scores = Scores(NodeIndex(3), np.array([0.5, 0.3, 0.2]))
    >>> found = certified_top(scores, np.full(3, -0.06), np.full(3, 0.06), 2)
    >>> found.labels, found.place_certain.tolist(), found.set_certain
    ([0, 1], [True, False], False)
    """
    values = scores.to_numpy()
    best = largest(values, k)
    # Scores are probabilities: what lies outside of [0, 1] needs not to be feared.
    low, high = np.clip(values + below, 0.0, 1.0), np.clip(values + above, 0.0, 1.0)
    outside = np.delete(high, best)
    limit = outside.max() if len(outside) else -np.inf
    behind = np.maximum.accumulate(np.append(high[best][1:], limit)[::-1])[::-1]
    return TopK(
        labels=[scores.label(i) for i in best],
        scores=values[best],
        low=low[best],
        high=high[best],
        set_certain=bool(low[best].min() > limit),
        place_certain=low[best] > behind,
    )
