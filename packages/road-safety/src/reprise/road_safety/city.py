"""Any city from its own files: centrelines, crashes, and weather and traffic counts if there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reprise.road_safety.dataset import FLAGS, WEATHER, Month, RoadDataset, monthly_counts
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.features import structural_features
from reprise.road_safety.snapping import SnapResult, snap_points
from reprise.road_safety.streets import Streets, read_streets, street_graph


def from_geojson(
    segments: Any,
    crashes: Any,
    weather: Any = None,
    volume: Any = None,
    *,
    name: str = "city",
    classes: Sequence[str] | None = None,
    max_distance: float = 50.0,
) -> tuple[RoadDataset, SnapResult]:
    """Build a data set from centrelines and crash records.

    Parameters
    ----------
    segments : path of a GeoJSON file, FeatureCollection, or Streets
    crashes : pandas.DataFrame
        Columns ``date`` (anything pandas reads as dates), ``lon``, ``lat``, and optionally ``street``. Rows without a
        place are left out and counted.
    weather : pandas.DataFrame, optional
        Daily values with columns among tavg, tmin, tmax, prcp, wspd, pres, by date.
    volume : pandas.DataFrame, optional
        Traffic counts: columns ``year``, ``lon``, ``lat``, ``aadt``, and optionally ``street``. A segment has the last
        count up to the year; of several of one year the mean.
    name : str
    classes : sequence of str, optional
        Road class of every segment, among the names of `FLAGS`; "residential" by default.
    max_distance : float
        Metres beyond which a crash belongs to no segment.

    Returns
    -------
    dataset : RoadDataset
        With one edge per segment; months from the first crash to the last.
    snapped : SnapResult
        Where the located crashes went. `dataset.report` sums it up.

    Raises
    ------
    DatasetLayoutError, CoordinateError, ValueError
    """
    streets = segments if isinstance(segments, Streets) else read_streets(segments)
    graph = street_graph(streets)
    edges = len(streets)
    _need(crashes, ("date", "lon", "lat"), "crashes")
    dates = pd.to_datetime(crashes["date"])
    located = (crashes[["lon", "lat"]].notna().all(axis=1) & dates.notna()).to_numpy()
    # Unknown places are often written as (0, 0).
    located = located & ~((crashes["lon"] == 0) & (crashes["lat"] == 0)).to_numpy()
    rows = crashes[located]
    if not len(rows):
        raise DatasetLayoutError(f"crashes must have rows with a date and a place, got none of {len(crashes)}")
    names = rows["street"].fillna("").astype(str).tolist() if "street" in rows else None
    snapped = snap_points(rows["lon"].to_numpy(float), rows["lat"].to_numpy(float), streets, max_distance, names)
    ordinal = (dates.dt.year * 12 + dates.dt.month - 1).to_numpy()
    first, last = int(np.nanmin(ordinal)), int(np.nanmax(ordinal))
    months: tuple[Month, ...] = tuple((m // 12, m % 12 + 1) for m in range(first, last + 1))
    kept = snapped.segment >= 0
    counts = monthly_counts(
        months, edges, ordinal[located][kept].astype(int) - first, snapped.segment[kept], np.ones(int(kept.sum()))
    )
    flags = np.zeros((edges, len(FLAGS)), dtype=bool)
    flags[:, 0] = graph.oneway
    chosen = ["residential"] * edges if classes is None else list(classes)
    unknown = sorted(set(chosen) - set(FLAGS))
    if len(chosen) != edges or unknown:
        raise ValueError(
            f"classes must name one of FLAGS for each of {edges} segments, got {len(chosen)} with {unknown}"
        )
    flags[np.arange(edges), [FLAGS.index(kind) for kind in chosen]] = True
    dataset = RoadDataset(
        name=name,
        node_id=np.arange(len(graph.lon)),
        lon=graph.lon,
        lat=graph.lat,
        edge_index=graph.edge_index,
        flags=flags,
        length=graph.length,
        months=months,
        counts=counts,
        weather=monthly_weather(weather, months)[:, None, :],
        volume={} if volume is None else _volume(volume, streets, sorted({year for year, _ in months})),
        node_static=structural_features(graph.edge_index, len(graph.lon)),
        observed=np.ones(len(months), dtype=bool),
        streets=streets.lines,
        report={
            "crashes": len(crashes),
            "located": int(located.sum()),
            "rejected": snapped.rejected,
            "median_metres": float(np.median(snapped.distance)),
            "named": float(snapped.named.mean()),
            "ambiguous": int(snapped.ambiguous.sum()),
        },
    )
    return dataset, snapped


def monthly_weather(weather: Any, months: Sequence[Month]) -> np.ndarray:
    """Return monthly means of daily weather, shape (months, 6), NaN where nothing is known."""
    found = np.full((len(months), len(WEATHER)), np.nan)
    if weather is None:
        return found
    columns = [column for column in WEATHER if column in weather]
    if not columns:
        raise DatasetLayoutError(f"weather must have columns among {', '.join(WEATHER)}, got {list(weather.columns)}")
    days = pd.DatetimeIndex(pd.to_datetime(weather.get("date", weather.index)))
    means = weather[columns].groupby([days.year, days.month]).mean()
    for row, month in enumerate(months):
        if month in means.index:
            found[row, [WEATHER.index(column) for column in columns]] = means.loc[month].to_numpy(float)
    return found


def _volume(volume: Any, streets: Streets, years: Sequence[int]) -> dict[int, np.ndarray]:
    """Traffic of each year: of every segment the last count up to then."""
    _need(volume, ("year", "lon", "lat", "aadt"), "volume")
    rows = volume.dropna(subset=["year", "lon", "lat", "aadt"])
    names = rows["street"].fillna("").astype(str).tolist() if "street" in rows else None
    place = snap_points(rows["lon"].to_numpy(float), rows["lat"].to_numpy(float), streets, 40.0, names)
    table = pd.DataFrame(
        {"segment": place.segment, "year": rows["year"].to_numpy(int), "aadt": rows["aadt"].to_numpy(float)}
    )
    table = table[table["segment"] >= 0].groupby(["segment", "year"])["aadt"].mean().reset_index()
    table = table.sort_values("year")
    found = {}
    for year in years:
        latest = table[table["year"] <= year].groupby("segment")["aadt"].last()
        found[year] = np.full(len(streets), np.nan)
        found[year][latest.index.to_numpy(int)] = latest.to_numpy(float)
    return found


def _need(table: Any, columns: Sequence[str], what: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{what} must be a pandas DataFrame, got {type(table).__name__}")
    missing = [column for column in columns if column not in table]
    if missing:
        raise DatasetLayoutError(f"{what} must have columns {', '.join(columns)}, got {list(table.columns)[:8]}")
