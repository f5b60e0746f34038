"""Cambridge, Massachusetts: streets, police crash records, weather and traffic counts, as one data set.

The files are public (see `SOURCES`); none is part of this package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.road_safety.city import from_geojson
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.snapping import SnapResult
from reprise.road_safety.streets import read_streets

SOURCES = {
    "street_centerlines.geojson": "github.com/cambridgegis/cambridgegis_data (public domain)",
    "police_crash_data_2010_2016.csv": "github.com/acmeyer/cambridge-street-safety (public domain)",
    "average_daily_traffic.csv": "github.com/sunnyyy/cambridge_traffic_data (public domain)",
    "boston_logan_daily_weather.csv": "Meteostat, station 72509 (CC BY-NC 4.0: not for commercial use)",
}
# Of use beside them, and needed only where they are asked for.
_CITY = "github.com/cambridgegis/cambridgegis_data (public domain)"
FURTHER = dict.fromkeys(("traffic_signals.geojson", "speed_studies.geojson", "intersections.geojson"), _CITY)
# The city's class of a street, as the road class of the authors' files that comes nearest.
CLASSES = {1: "primary", 2: "secondary"}


def build_cambridge(folder: Any, *, further: bool = False) -> tuple[RoadDataset, SnapResult]:
    """Build the data set from a folder that holds the files of `SOURCES`.

    Parameters
    ----------
    folder : path
    further : bool
        Add what the files of `FURTHER` say to the features of the junctions: the columns of
        `junctions.FURTHER_COLUMNS`.

    Returns
    -------
    dataset : RoadDataset
        1871 junctions, 2643 segments, 78 months from January 2010 to June 2016.
    snapped : SnapResult
        Of the 9,110 crashes with a place.

    Raises
    ------
    DatasetLayoutError
        Naming the missing file and where it is from.
    """
    path = Path(folder)
    for name, source in (SOURCES | (FURTHER if further else {})).items():
        if not (path / name).is_file():
            raise DatasetLayoutError(f"{path.name} must hold {name}, from {source}")
    streets = read_streets(path / "street_centerlines.geojson")
    classes = [CLASSES.get(int(given.get("MajorRoad") or 0), "residential") for given in streets.properties]
    dataset, snapped = from_geojson(
        streets,
        cambridge_crashes(path),
        cambridge_weather(path),
        _traffic(path),
        name="Cambridge",
        classes=classes,
    )
    if further:
        from reprise.road_safety.junctions import junction_features

        # Speeds that were measured before the first crash: later ones may follow from the crashes.
        added = junction_features(path, dataset, streets, before=dataset.years[0])
        dataset = dataset.with_node_features(np.concatenate([dataset.node_static, added], axis=1))
    return dataset, snapped


def cambridge_crashes(folder: Any) -> pd.DataFrame:
    """Read the 10,335 crash records: ``date``, ``lon``, ``lat`` (NaN where unknown) and ``street``."""
    table = pd.read_csv(Path(folder) / "police_crash_data_2010_2016.csv")
    # The column is spelt so.
    _columns(table, ("Date Time", "Longitude", "Latitude", "Steet Name"), "police_crash_data_2010_2016.csv")
    return pd.DataFrame(
        {
            "date": pd.to_datetime(table["Date Time"], format="%m/%d/%Y %I:%M:%S %p"),
            "lon": table["Longitude"],
            "lat": table["Latitude"],
            "street": table["Steet Name"],
        }
    )


def cambridge_weather(folder: Any) -> pd.DataFrame:
    """Read the daily weather by date: °C, mm, km/h, hPa."""
    table = pd.read_csv(Path(folder) / "boston_logan_daily_weather.csv", parse_dates=["time"])
    return table.set_index("time")


def _traffic(folder: Path) -> pd.DataFrame:
    """Traffic counts of all stations and years, one per row."""
    table = pd.read_csv(folder / "average_daily_traffic.csv")
    _columns(table, ("PrimaryStreet", "Latitude", "Longitude"), "average_daily_traffic.csv")
    years = [column for column in table.columns if column.isdigit()]
    long = table.melt(["PrimaryStreet", "Latitude", "Longitude"], years, "year", "aadt")
    aadt = pd.to_numeric(long["aadt"].astype(str).str.replace(",", ""), errors="coerce")
    found = pd.DataFrame(
        {
            "year": long["year"].astype(int),
            "lon": pd.to_numeric(long["Longitude"], errors="coerce"),
            "lat": pd.to_numeric(long["Latitude"], errors="coerce"),
            "street": long["PrimaryStreet"],
            "aadt": aadt.where(aadt > 0),
        }
    )
    return found.dropna(subset=["lon", "lat", "aadt"])


def _columns(table: pd.DataFrame, names: tuple[str, ...], file: str) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        raise DatasetLayoutError(f"{file} must have the columns {', '.join(names)}, but lacks {', '.join(missing)}")
