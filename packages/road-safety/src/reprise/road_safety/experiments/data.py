"""The real city of the experiments, and its years."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reprise.core import Context, DataSet, RemoteFile
from reprise.road_safety.cambridge import SOURCES, build_cambridge
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.snapping import SnapResult

CAMBRIDGE = DataSet(
    name="road-safety/cambridge",
    files=tuple(RemoteFile(name) for name in SOURCES),
    source="; ".join(f"{name}: {source}" for name, source in SOURCES.items()),
    size="4 MB",
    licence="public domain, the weather CC BY-NC 4.0",
)
TRAIN, VALID, TEST = (2010, 2011, 2012), (2013,), (2014, 2015, 2016)


def cambridge(context: Context) -> tuple[RoadDataset, SnapResult]:
    """The city as a data set, built once per process."""
    return _build(context.data(CAMBRIDGE))


@cache
def _build(folder: Path) -> tuple[RoadDataset, SnapResult]:
    return build_cambridge(folder)
