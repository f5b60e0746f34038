"""Crashes to street segments: ours against the published way, one crash at a time over all edges.

The published way, rewritten from its description with pandas, takes the edge (u, v) with the smallest
``|d(p, u) + d(p, v) − d(u, v)|`` in degrees: no polyline, no metres, no limit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd

from reprise.core.ratios import seconds, summary, write
from reprise.road_safety import read_streets, snap_points
from reprise.road_safety.cambridge import cambridge_crashes
from reprise.road_safety.streets import Streets


def published(lon, lat, edges):
    """The nearest edge of every crash."""
    found = np.empty(len(lon), dtype=int)
    for index, (x, y) in enumerate(zip(lon, lat)):
        to_u = np.sqrt((edges["x1"] - x) ** 2 + (edges["y1"] - y) ** 2)
        to_v = np.sqrt((edges["x2"] - x) ** 2 + (edges["y2"] - y) ** 2)
        found[index] = int((to_u + to_v - edges["length"]).abs().idxmin())
    return found


def table(streets):
    """Ends and lengths of all segments, in degrees."""
    ends = np.array([[*line[0], *line[-1]] for line in streets.lines])
    edges = pd.DataFrame(ends, columns=["x1", "y1", "x2", "y2"])
    edges["length"] = np.hypot(edges["x2"] - edges["x1"], edges["y2"] - edges["y1"])
    return edges


def grid(segments, seed=0):
    """A town of about so many straight segments of 100 m, and crashes along them."""
    generator = np.random.default_rng(seed)
    side = int(np.sqrt(segments / 2))
    step = 0.001
    i, j = (array.ravel() for array in np.meshgrid(np.arange(side), np.arange(side)))
    lines = [
        np.array([[a, b], [a + step * dx, b + step * dy]])
        for dx, dy in ((1, 0), (0, 1))
        for a, b in zip(i * step, j * step)
    ]
    chosen = generator.integers(len(lines), size=10_000)
    share = generator.random((10_000, 1))
    ends = np.array(lines)[chosen]
    points = ends[:, 0] + share * (ends[:, 1] - ends[:, 0]) + 1e-5 * generator.standard_normal((10_000, 2))
    return Streets(tuple(lines), ("",) * len(lines), np.zeros(len(lines), dtype=int), ({},) * len(lines)), points


def pair(name, streets, lon, lat, names, sample, goal, repeats=3):
    """Both ways on the same crashes; the published way on every so-maniest, since it takes the same time for each."""
    edges, step = table(streets), len(lon) // sample
    some = slice(None, None, step)

    def ours():
        return snap_points(lon, lat, streets, names=names)

    def peer():
        return published(lon[some], lat[some], edges)

    agree = float((ours().segment[some] == peer()).mean())
    pairs = [
        (seconds(ours, 1, process_time), seconds(peer, 1, process_time) * len(lon) / len(lon[some]))
        for _ in range(repeats)
    ]
    return summary(name, pairs, goal=goal, agree=agree, peer_timed_on=len(lon[some]))


if __name__ == "__main__":
    folder = Path(os.environ.get("REPRISE_DATA", "")) / "road-safety" / "cambridge"
    if not folder.is_dir():
        sys.exit("the city's files are not here: `reprise data road-safety` says where they are from")
    streets = read_streets(folder / "street_centerlines.geojson")
    crashes = cambridge_crashes(folder).dropna(subset=["lon", "lat"])
    results = [
        pair(
            "Cambridge: 9,110 crashes, 2,643 segments",
            streets,
            crashes["lon"].to_numpy(),
            crashes["lat"].to_numpy(),
            crashes["street"].fillna("").tolist(),
            911,
            100,
        )
    ]
    large, points = grid(100_000)
    results.append(pair("10,000 crashes, 100,000 segments", large, points[:, 0], points[:, 1], None, 100, 100))
    write(__file__, results, libraries=("numpy", "pandas", "shapely"))
