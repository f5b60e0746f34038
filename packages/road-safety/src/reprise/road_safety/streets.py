"""Centrelines of streets: a GeoJSON file as polylines, and as a graph of segments between junctions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reprise.road_safety.errors import CoordinateError, DatasetLayoutError
from reprise.road_safety.geometry import Projection, coordinates

# Ends of segments nearer than this are one junction.
JUNCTION_METRES = 2.0
_SHORT = {
    "AVENUE": "AVE",
    "BOULEVARD": "BLVD",
    "CIRCLE": "CIR",
    "COURT": "CT",
    "DRIVE": "DR",
    "EAST": "E",
    "HIGHWAY": "HWY",
    "LANE": "LN",
    "MASS": "MASSACHUSETTS",
    "MEMORIAL": "MEM",
    "NORTH": "N",
    "PARKWAY": "PKWY",
    "PLACE": "PL",
    "ROAD": "RD",
    "SOUTH": "S",
    "SQUARE": "SQ",
    "STREET": "ST",
    "TERRACE": "TER",
    "TERR": "TER",
    "WEST": "W",
}


@dataclass(frozen=True)
class Streets:
    """Segments of streets between junctions.

    Parameters
    ----------
    lines : tuple of ndarray, shapes (k, 2)
        Longitude and latitude along each segment.
    names : tuple of str
        Normalised; empty where there is none.
    direction : ndarray of int, shape (E,)
        0 both ways, 1 along the line, −1 against it.
    properties : tuple of dict
        What else the file says of each segment.
    """

    lines: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    direction: np.ndarray
    properties: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def projection(self) -> Projection:
        """Metres around the middle of the streets."""
        points = np.concatenate(self.lines)
        return Projection.around(points[:, 0], points[:, 1])

    def in_metres(self) -> np.ndarray:
        """Return the lines as an array of shapely line strings in metres, shape (E,)."""
        points = np.concatenate(self.lines)
        of_line = np.repeat(np.arange(len(self)), [len(line) for line in self.lines])
        return np.asarray(shapely.linestrings(self.projection.metres(points[:, 0], points[:, 1]), indices=of_line))


def read_streets(path: Any, *, name: str = "Street", direction: str = "Direction") -> Streets:
    """Read segments from a GeoJSON file of line strings in WGS84.

    Parameters
    ----------
    path : path of a file, or a FeatureCollection as a dict
    name, direction : str
        Properties with the street's name, and with "1" (along the line), "-1" (against it) or else both ways.

    Raises
    ------
    DatasetLayoutError
        If it is no FeatureCollection with lines.
    CoordinateError
    """
    if isinstance(path, dict):
        collection, where = path, "the collection"
    else:
        where = Path(path).name
        try:
            collection = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DatasetLayoutError(f"{where} must be a GeoJSON file: {error}") from error
    features = collection.get("features") if isinstance(collection, dict) else None
    if not isinstance(features, list):
        raise DatasetLayoutError(f"{where} must be a GeoJSON FeatureCollection, got no list of features")
    lines, names, ways, properties = [], [], [], []
    for feature in features:
        geometry, given = feature.get("geometry") or {}, feature.get("properties") or {}
        for line in _polylines(geometry):
            lines.append(line)
            names.append(normalised(str(given.get(name) or "")))
            ways.append({"1": 1, "-1": -1}.get(str(given.get(direction)).removesuffix(".0"), 0))
            properties.append(given)
    if not lines:
        raise DatasetLayoutError(f"{where} must hold LineString features, got none of {len(features)}")
    points = np.concatenate(lines)
    if not np.isfinite(points).all():
        raise CoordinateError(f"the lines of {where} must have finite coordinates")
    coordinates(points[:, 0], points[:, 1], of=f"the lines of {where}")
    return Streets(tuple(lines), tuple(names), np.array(ways), tuple(properties))


def _polylines(geometry: dict[str, Any]) -> list[np.ndarray]:
    """The lines of a geometry; parts of a MultiLineString that meet at their ends are one."""
    if geometry.get("type") not in ("LineString", "MultiLineString"):
        return []
    merged = shapely.line_merge(shapely.geometry.shape(geometry)) if geometry["type"] == "MultiLineString" else None
    parts = [shapely.geometry.shape(geometry)] if merged is None else getattr(merged, "geoms", [merged])
    return [np.asarray(part.coords)[:, :2] for part in parts if len(part.coords) >= 2]


def normalised(name: str) -> str:
    """Return a street's name in upper case with the usual abbreviations, without what stands after a comma.

    Examples
    --------
    >>> normalised("Massachusetts Avenue"), normalised("Mass. Ave")
    ('MASSACHUSETTS AVE', 'MASSACHUSETTS AVE')
    """
    words = re.sub(r"[^A-Z0-9 ]", " ", name.upper().split(",")[0]).split()
    return " ".join(_SHORT.get(word, word) for word in words)


@dataclass(frozen=True)
class StreetGraph:
    """Junctions and segments.

    Parameters
    ----------
    lon, lat : ndarray, shape (N,)
        Of the junctions.
    edge_index : ndarray of int, shape (2, E)
        Ends of each segment, in the direction of travel where there is only one.
    length : ndarray, shape (E,)
        Metres along the line.
    oneway : ndarray of bool, shape (E,)
    """

    lon: np.ndarray
    lat: np.ndarray
    edge_index: np.ndarray
    length: np.ndarray
    oneway: np.ndarray


def street_graph(streets: Streets) -> StreetGraph:
    """Join segments where their ends lie within 2 m of one another.

    Notes
    -----
    Ends are joined transitively; a junction lies at the mean of its ends. Edges stay in the order of the segments.
    """
    plane = streets.projection
    ends = np.array([[line[0], line[-1]] for line in streets.lines]).reshape(-1, 2)
    metres = plane.metres(ends[:, 0], ends[:, 1])
    near = cKDTree(metres).query_pairs(JUNCTION_METRES, output_type="ndarray")
    size = len(ends)
    joined = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(size, size))
    count, label = connected_components(joined, directed=False)
    weight = np.bincount(label, minlength=count)
    lon, lat = (np.bincount(label, ends[:, axis], minlength=count) / weight for axis in (0, 1))
    edge_index = label.reshape(-1, 2).T.astype(np.int64)
    against = streets.direction == -1
    edge_index[:, against] = edge_index[::-1, against]
    length = shapely.length(streets.in_metres())
    return StreetGraph(lon, lat, edge_index, length, streets.direction != 0)
