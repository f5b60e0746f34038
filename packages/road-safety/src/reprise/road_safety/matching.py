"""Nearest-neighbour matching with replacement, by a tree."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def match(X: np.ndarray, treated: np.ndarray, k: int = 1, caliper: float | None = None) -> tuple[np.ndarray, ...]:
    """Match every treated unit with its k nearest others.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    treated : ndarray of bool, shape (n,)
    k : int
        Matches per treated unit, with replacement.
    caliper : float, optional
        Largest distance of a match. A treated unit with none is left out; one with some uses those.

    Returns
    -------
    kept : ndarray of bool, shape (n,)
        Treated units that have a match.
    weight : ndarray, shape (n,)
        How often each control stands in for a treated unit, in parts of 1/(matches of that unit); sums to
        ``kept.sum()``.
    partner : ndarray of int, shape (n1, k)
        Indices of the matches of the treated units in order; -1 where the caliper left none.

    Raises
    ------
    ValueError
        If there are fewer than k controls, or no match at all within the caliper.

    Examples
    --------
    >>> import numpy as np
    >>> kept, weight, partner = match(np.array([[0.0], [0.1], [5.0]]), np.array([True, False, False]))
    >>> partner.tolist(), weight.tolist()
    ([[1]], [0.0, 1.0, 0.0])
    """
    controls = np.flatnonzero(~treated)
    if len(controls) < k:
        raise ValueError(f"k must be at most the number of controls, {len(controls)}, got {k}")
    limit = np.inf if caliper is None else caliper
    # A hair beyond, since the tree looks for distances below its bound.
    distance, index = cKDTree(X[controls]).query(
        X[treated], k=np.arange(1, k + 1), distance_upper_bound=np.nextafter(limit, np.inf)
    )
    found = np.isfinite(distance)
    partner = np.where(found, controls[np.minimum(index, len(controls) - 1)], -1)
    matches = found.sum(axis=1)
    if not matches.any():
        raise ValueError(f"caliper must leave at least one treated unit a match, got {caliper}")
    share = np.repeat(1.0 / np.maximum(matches, 1), k).reshape(-1, k)
    weight = np.bincount(partner[found], weights=share[found], minlength=len(X))
    kept = np.zeros(len(X), dtype=bool)
    kept[np.flatnonzero(treated)[matches > 0]] = True
    return kept, weight, partner


def whitened(X: np.ndarray) -> np.ndarray:
    """Return X in coordinates in which Euclidean distance is Mahalanobis distance; constant directions vanish."""
    centred = X - X.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(centred, rowvar=False)))
    scale = np.where(values > 1e-12 * max(values.max(), 1e-300), 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    return np.asarray(centred @ vectors * scale)
