"""Longitudes and latitudes as metres on a plane, for a city or a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.road_safety.errors import CoordinateError
from reprise.road_safety.validation import real_array

METRES_PER_DEGREE = (111_320.0, 110_574.0)  # of longitude at the equator, of latitude


@dataclass(frozen=True)
class Projection:
    """Equirectangular around a centre: within a city exact to a few centimetres, within a state to about 1 %.

    Parameters
    ----------
    lon, lat : float
        Degrees.
    """

    lon: float
    lat: float

    @classmethod
    def around(cls, lon: Any, lat: Any) -> Projection:
        """Return the projection around the middle of points."""
        return cls(float(np.mean([np.min(lon), np.max(lon)])), float(np.mean([np.min(lat), np.max(lat)])))

    def metres(self, lon: Any, lat: Any) -> np.ndarray:
        """Return x (east) and y (north) in metres, shape (n, 2).

        Examples
        --------
        >>> Projection(-71.11, 42.3736).metres([-71.11], [42.3836]).round(1).tolist()
        [[0.0, 1105.7]]
        """
        x = (np.asarray(lon, dtype=np.float64) - self.lon) * METRES_PER_DEGREE[0] * np.cos(np.radians(self.lat))
        y = (np.asarray(lat, dtype=np.float64) - self.lat) * METRES_PER_DEGREE[1]
        return np.stack([x, y], axis=-1)

    def degrees(self, points: Any) -> np.ndarray:
        """Return longitude and latitude of points in metres, shape (n, 2)."""
        xy = np.asarray(points, dtype=np.float64)
        lon = xy[..., 0] / (METRES_PER_DEGREE[0] * np.cos(np.radians(self.lat))) + self.lon
        return np.stack([lon, xy[..., 1] / METRES_PER_DEGREE[1] + self.lat], axis=-1)


def coordinates(lon: Any, lat: Any, *, of: str) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes as arrays, or say what is wrong with them.

    Raises
    ------
    CoordinateError
        If a latitude is beyond ±90° or a longitude beyond ±180°; names swapped columns where that would repair it.
    """
    x = real_array("lon", lon, ndim=1)
    y = real_array("lat", lat, ndim=1, length=len(x))
    if len(x) and (np.abs(y).max() > 90 or np.abs(x).max() > 180):
        swapped = np.abs(x).max() <= 90 and np.abs(y).max() <= 180
        hint = ": are lon and lat swapped?" if swapped else ""
        raise CoordinateError(
            f"{of} must lie within ±180° of longitude and ±90° of latitude, got lon up to {np.abs(x).max():g} and lat "
            f"up to {np.abs(y).max():g}{hint}"
        )
    return x, y


def same_place(lon: np.ndarray, lat: np.ndarray, other_lon: np.ndarray, other_lat: np.ndarray, *, of: str) -> None:
    """Refuse points of which none lies in the rectangle of the streets (with a tenth of a degree around it).

    Raises
    ------
    CoordinateError
    """
    if not len(lon):
        return
    margin = 0.1

    def inside(x: np.ndarray, y: np.ndarray) -> bool:
        within_lon = (x >= other_lon.min() - margin) & (x <= other_lon.max() + margin)
        within_lat = (y >= other_lat.min() - margin) & (y <= other_lat.max() + margin)
        return bool((within_lon & within_lat).any())

    if not inside(lon, lat):
        hint = "; lon and lat are swapped" if inside(lat, lon) else ""
        raise CoordinateError(
            f"{of} must lie near the streets, at lon {other_lon.min():.3f} to {other_lon.max():.3f} and lat "
            f"{other_lat.min():.3f} to {other_lat.max():.3f}, got lon {lon.min():.3f} to {lon.max():.3f} and lat "
            f"{lat.min():.3f} to {lat.max():.3f}{hint}"
        )
