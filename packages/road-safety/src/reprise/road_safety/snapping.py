"""Which street segment a point belongs to: nearest in metres, and by name where several are as near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from reprise.road_safety.geometry import coordinates, same_place
from reprise.road_safety.streets import Streets, normalised
from reprise.road_safety.validation import number

# A junction is so wide: within it distance does not tell one street from the next, but a name does.
JUNCTION_RADIUS = 15.0
# Segments whose distances differ by less are equally near.
EQUAL_METRES = 1.0


@dataclass(frozen=True)
class SnapResult:
    """Where points belong.

    Parameters
    ----------
    segment : ndarray of int, shape (n,)
        Index of the segment, −1 for a point that is farther than allowed from every one.
    distance : ndarray, shape (n,)
        Metres to that segment; to the nearest one for a rejected point, infinite if none is near.
    ambiguous : ndarray of bool, shape (n,)
        Several segments were equally near (within a metre) and no name decided.
    named : ndarray of bool, shape (n,)
        The segment carries the point's street name.
    """

    segment: np.ndarray
    distance: np.ndarray
    ambiguous: np.ndarray
    named: np.ndarray

    @property
    def rejected(self) -> int:
        """How many points lie too far from every street."""
        return int((self.segment < 0).sum())


def snap_points(
    lon: Any, lat: Any, segments: Streets, max_distance: float = 50.0, names: Sequence[str] | None = None
) -> SnapResult:
    """Assign points to street segments.

    Parameters
    ----------
    lon, lat : array_like, shape (n,)
        Degrees.
    segments : Streets
    max_distance : float
        Metres; points farther away are rejected.
    names : sequence of str, optional
        Street of each point, as somebody wrote it. Of the segments at most 15 m farther than the nearest, the nearest
        of that name is taken.

    Returns
    -------
    SnapResult

    Raises
    ------
    CoordinateError
        If coordinates are out of range or swapped, or no point lies near the streets.
    ValueError

    Notes
    -----
    True distances from point to polyline on a plane in metres; candidates come from an STR tree. O((n + E) log E).
    """
    x, y = coordinates(lon, lat, of="points")
    limit = number("max_distance", max_distance, low=0.0, open_low=True)
    if names is not None and len(names) != len(x):
        raise ValueError(f"names must have one name per point, {len(x)}, got {len(names)}")
    corners = np.concatenate(segments.lines)
    same_place(x, y, corners[:, 0], corners[:, 1], of="points")
    metres = segments.projection.metres(x, y)
    points, lines = shapely.points(metres), segments.in_metres()
    tree = shapely.STRtree(lines)
    of_point, candidate = tree.query(points, predicate="dwithin", distance=limit)
    distance = shapely.distance(points[of_point], lines[candidate])

    order = np.lexsort((candidate, distance, of_point))
    of_point, candidate, distance = of_point[order], candidate[order], distance[order]
    n = len(x)
    nearest = np.full(n, np.inf)
    np.minimum.at(nearest, of_point, distance)
    wanted = np.array([normalised(str(name or "")) for name in names]) if names is not None else np.full(n, "")
    carried = np.array(segments.names)
    alike = (wanted[of_point] != "") & (wanted[of_point] == carried[candidate])
    alike &= distance <= np.minimum(nearest[of_point] + JUNCTION_RADIUS, limit)
    # Those with the name if any has it, of them the nearest; of equally near ones the first, so that what was written
    # down at one junction goes to one segment, whatever centimetres the geocoder added.
    any_alike = np.bincount(of_point[alike], minlength=n) > 0
    eligible = np.flatnonzero(alike | ~any_alike[of_point])
    closest = np.full(n, np.inf)
    np.minimum.at(closest, of_point[eligible], distance[eligible])
    eligible = eligible[distance[eligible] <= closest[of_point[eligible]] + EQUAL_METRES]
    eligible = eligible[np.lexsort((candidate[eligible], of_point[eligible]))]
    first = eligible[np.unique(of_point[eligible], return_index=True)[1]]
    segment, named = np.full(n, -1), np.zeros(n, dtype=bool)
    at = np.full(n, np.inf)
    segment[of_point[first]] = candidate[first]
    named[of_point[first]] = alike[first]
    at[of_point[first]] = distance[first]
    equal = np.bincount(of_point[distance <= nearest[of_point] + EQUAL_METRES], minlength=n)
    far = at > limit
    segment[far], named[far] = -1, False
    at[far] = nearest[far]
    return SnapResult(segment, at, (equal > 1) & ~named & ~far, named)
