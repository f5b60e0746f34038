"""Contiguous parts of a map, for cross-fitting and resampling units that lie beside one another together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from reprise.road_safety.geometry import Projection, coordinates
from reprise.road_safety.validation import integer


def spatial_blocks(lon: Any, lat: Any, blocks: int = 20, seed: int = 0) -> np.ndarray:
    """Divide points into compact blocks by k-means in metres, shape (n,).

    Raises
    ------
    CoordinateError, ValueError, TypeError

    Examples
    --------
    >>> spatial_blocks([0.0, 0.001, 1.0, 1.001], [0.0, 0.0, 0.0, 0.0], blocks=2)[[0, 2]].tolist() in ([0, 1], [1, 0])
    True
    """
    x, y = coordinates(lon, lat, of="points")
    blocks = integer("blocks", blocks)
    if blocks > len(x):
        raise ValueError(f"blocks must be at most the number of points, {len(x)}, got {blocks}")
    metres = Projection.around(x, y).metres(x, y)
    return np.asarray(KMeans(blocks, n_init=4, random_state=integer("seed", seed, minimum=0)).fit_predict(metres))
