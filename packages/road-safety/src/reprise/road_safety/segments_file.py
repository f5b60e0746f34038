"""The lines and names of segments, which the published layout does not hold, in a GeoJSON file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.errors import DatasetLayoutError

SEGMENTS = "segments.geojson"


def write_segments(dataset: RoadDataset, names: Sequence[str], folder: Any) -> Path:
    """Write the lines of the segments with their names and the rows of their ends."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": np.round(line, 7).tolist()},
            "properties": {"Street": name, "node_1_idx": int(u), "node_2_idx": int(v)},
        }
        for line, name, u, v in zip(dataset.streets, names, *dataset.edge_index)
    ]
    path = Path(folder) / SEGMENTS
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def read_segments(dataset: RoadDataset, folder: Any) -> tuple[RoadDataset, list[str]]:
    """Return the data set with the lines of its segments, and their names, where the file is there.

    Raises
    ------
    DatasetLayoutError
        If the file is not what `write_segments` writes.
    """
    path = Path(folder) / SEGMENTS
    names = [""] * dataset.num_edges
    if not path.is_file():
        return dataset, names
    ends = np.stack([dataset.lon, dataset.lat], axis=1)[dataset.edge_index].transpose(1, 0, 2)
    lines = list(ends)
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        given = [feature["properties"] for feature in features]
        u, v = (np.array([row[key] for row in given], dtype=np.int64) for key in ("node_1_idx", "node_2_idx"))
        edge = np.maximum(dataset.edge_id(u, v), dataset.edge_id(v, u))
        for feature, row in zip(features, edge):
            if row >= 0:
                lines[row] = np.array(feature["geometry"]["coordinates"], dtype=np.float64)
                names[row] = str(feature["properties"]["Street"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{SEGMENTS} must hold lines with Street, node_1_idx and node_2_idx: {error}"
        ) from error
    return replace(dataset, streets=tuple(lines)), names
