"""What the residuals say for certain: by how much every score can be wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def error_interval(
    residual: NDArray[np.float64], degrees: NDArray[np.float64] | None, *, forward: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bounds of π − p for every node: low ≤ π − p ≤ high.

    Parameters
    ----------
    residual : ndarray, shape (nodes,)
        r.
    degrees : ndarray, shape (nodes,), or None
        Weighted degrees d of an undirected graph; None for a directed one.
    forward : bool
        Whether the scores are those from a source, not those to a target.

    Returns
    -------
    tuple of ndarray, each of shape (nodes,)
        low ≤ 0 and high ≥ 0.

    Notes
    -----
    From a source π − p = Σ_v r(v) π_v(t), which lies between the sums of the negative and of the positive residuals;
    on undirected graphs, where d(v) π_v(t) = d(t) π_t(v), also within d(t) times the extremes of r(v)/d(v). To a target
    it is Σ_v π_s(v) r(v), which lies between the extremes of r. O(nodes).

    Examples
    --------
    >>> low, high = error_interval(np.array([0.1, -0.2]), np.array([1.0, 4.0]), forward=True)
    >>> low.tolist(), high.tolist()
    ([-0.05, -0.2], [0.1, 0.1])
    """
    ones = np.ones(len(residual))
    if not forward:
        return min(residual.min(), 0.0) * ones, max(residual.max(), 0.0) * ones
    below, above = np.minimum(residual, 0).sum(), np.maximum(residual, 0).sum()
    if degrees is None:
        return below * ones, above * ones
    relative = residual / degrees
    low, high = min(relative.min(), 0.0), max(relative.max(), 0.0)
    return np.maximum(low * degrees, below), np.minimum(high * degrees, above)
