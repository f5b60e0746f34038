"""What a city's further files say of junctions and segments: signals, streets that meet, speeds that were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.geometry import Projection
from reprise.road_safety.snapping import snap_points
from reprise.road_safety.streets import Streets
from reprise.road_safety.validation import integer

FURTHER_COLUMNS = ("signal", "streets", "speed_85")
SIGNAL_METRES = 30.0  # signals stand at the corners of a junction
INTERSECTION_METRES = 10.0
KMH_PER_MPH = 1.609344


def junction_features(folder: Any, dataset: RoadDataset, streets: Streets, before: int) -> np.ndarray:
    """Return features of the junctions from the further files of Cambridge.

    Parameters
    ----------
    folder : path
        With ``traffic_signals.geojson``, ``intersections.geojson`` and ``speed_studies.geojson``.
    dataset : RoadDataset
        Of `streets`.
    streets : Streets
    before : int
        Speed studies from that year on are left out.

    Returns
    -------
    ndarray, shape (N, 3)
        1 where a signal stands within 30 m, as written today; number of streets that meet, of the intersection within
        10 m; 85th percentile of the speed in km/h, the mean of the studied segments that end here. NaN where unknown.
    """
    path = Path(folder)
    plane = streets.projection
    junctions = plane.metres(dataset.lon, dataset.lat)
    signals, _ = _points(path / "traffic_signals.geojson")
    near, _ = cKDTree(plane.metres(*signals.T)).query(junctions)
    places, given = _points(path / "intersections.geojson")
    counts = np.array(
        [np.nan if row.get("IntersectingStreetCount") is None else row["IntersectingStreetCount"] for row in given]
    )
    meet = _nearest(plane, places, counts, junctions, INTERSECTION_METRES)
    speed = segment_speeds(path, streets, before)["speed_85"].to_numpy()
    ends, both = dataset.edge_index.ravel(), np.tile(speed, 2)
    known = np.isfinite(both)
    total = np.bincount(ends[known], both[known], dataset.num_nodes)
    studies = np.bincount(ends[known], minlength=dataset.num_nodes)
    mean = np.divide(total, studies, out=np.full(dataset.num_nodes, np.nan), where=studies > 0)
    return np.column_stack([near <= SIGNAL_METRES, meet, mean])


def segment_speeds(folder: Any, streets: Streets, before: int | None = None) -> pd.DataFrame:
    """Return what speed studies found on every segment, for use as covariates.

    Parameters
    ----------
    folder : path
        With ``speed_studies.geojson``.
    streets : Streets
    before : int, optional
        Studies from that year on, or without a date, are left out.

    Returns
    -------
    DataFrame, one row per segment
        ``speed_85``: 85th percentile of the speed in km/h, the mean of the studies; ``limit``: km/h, of the last
        study that names one; NaN where nothing was studied. ``studies``: how many.

    Notes
    -----
    A study belongs to the segment within 40 m by street name, then distance. Speeds of 5 mph or less are errors of
    entry.
    """
    places, given = _points(Path(folder) / "speed_studies.geojson")
    names = [str(row.get("STREET") or "") for row in given]
    snapped = snap_points(places[:, 0], places[:, 1], streets, 40.0, names)
    table = pd.DataFrame(
        {
            "segment": snapped.segment,
            "year": [int(str(row.get("DATE") or "9999")[:4]) for row in given],
            "speed_85": [float(row.get("SPEED_85TH") or 0) * KMH_PER_MPH for row in given],
            "limit": pd.to_numeric(pd.Series([row.get("Limit") for row in given]), errors="coerce") * KMH_PER_MPH,
        }
    )
    table = table[(table["segment"] >= 0) & (table["speed_85"] > 5 * KMH_PER_MPH)]
    if before is not None:
        table = table[table["year"] < integer("before", before)]
    grouped = table.sort_values("year", kind="stable").groupby("segment")
    found = pd.DataFrame(
        {"speed_85": grouped["speed_85"].mean(), "limit": grouped["limit"].last(), "studies": grouped.size()}
    ).reindex(range(len(streets)))
    return found.assign(studies=found["studies"].fillna(0).astype(int))


def _points(path: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Places (n, 2) and properties of a file of points."""
    if not path.is_file():
        raise DatasetLayoutError(f"{path.parent.name} must hold {path.name}")
    features = json.loads(path.read_text(encoding="utf-8")).get("features") or []
    kept = [feature for feature in features if (feature.get("geometry") or {}).get("type") == "Point"]
    if not kept:
        raise DatasetLayoutError(f"{path.name} must hold Point features, got none of {len(features)}")
    places = np.array([feature["geometry"]["coordinates"][:2] for feature in kept], dtype=np.float64)
    return places, [feature.get("properties") or {} for feature in kept]


def _nearest(plane: Projection, places: np.ndarray, values: np.ndarray, at: np.ndarray, limit: float) -> np.ndarray:
    distance, index = cKDTree(plane.metres(*places.T)).query(at)
    return np.where(distance <= limit, values[index], np.nan)
