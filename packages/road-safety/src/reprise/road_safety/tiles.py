"""Aerial images of synthetic junctions: small pictures that show what the street network does not."""

from __future__ import annotations

import numpy as np

SIZE = 32  # pixels a side, of about two metres
HALF_WIDTHS = (3.5, 2.5, 2.0, 1.5)  # pixels, by road class: motorway, primary, secondary, residential
NOISE = 0.05


def render_tiles(
    places: np.ndarray,
    edge_index: np.ndarray,
    kind: np.ndarray,
    land_use: np.ndarray,
    surface: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw one tile for every junction.

    Parameters
    ----------
    places : ndarray, shape (N, 2)
        Metres, east and north.
    edge_index : ndarray of int, shape (2, E)
    kind : ndarray of int, shape (E,)
        Road class, a position in `HALF_WIDTHS`.
    land_use, surface : ndarray, shape (N,)
        Standardised. The less land use, the more of the ground is green; the surface is the grey of the roads.
    generator : numpy Generator
        Of the patches of green and of the noise.

    Returns
    -------
    ndarray of uint8, shape (N, 32, 32, 3)
        North is up. Roads are stripes at the angles of the segments that meet, as wide as their class; the widest is
        on top.
    """
    n = len(places)
    # Patches of four by four pixels are green or built up.
    green_share = 1 / (1 + np.exp(1.2 * land_use))
    patches = generator.random((n, SIZE // 4, SIZE // 4)) < green_share[:, None, None]
    green = np.repeat(np.repeat(patches, 4, axis=1), 4, axis=2)[..., None]
    tiles = np.where(green, np.array([0.25, 0.50, 0.20]), np.array([0.62, 0.55, 0.48])).astype(np.float32)
    centre = (SIZE - 1) / 2
    row, column = np.mgrid[:SIZE, :SIZE]
    x, y = column - centre, centre - row
    u, v = edge_index
    node = np.concatenate([u, v])
    towards = np.concatenate([places[v] - places[u], places[u] - places[v]])
    direction = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
    half_width = np.tile(np.array(HALF_WIDTHS)[kind], 2)
    grey = np.clip(0.45 + 0.10 * surface, 0.15, 0.85)
    for end in np.argsort(half_width, kind="stable"):
        along = x * direction[end, 0] + y * direction[end, 1]
        across = np.abs(x * direction[end, 1] - y * direction[end, 0])
        tiles[node[end]][(across <= half_width[end]) & (along >= -half_width[end])] = grey[node[end]]
    tiles += NOISE * generator.standard_normal(tiles.shape, dtype=np.float32)
    return np.asarray((np.clip(tiles, 0, 1) * 255).round().astype(np.uint8))
