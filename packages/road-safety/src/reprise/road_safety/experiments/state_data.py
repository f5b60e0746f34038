"""The states of the papers: their files, the years of their splits, and a miniature of one for trying things out."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from reprise.core import Context, DataSet, RemoteFile
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.export import export_ml4roadsafety
from reprise.road_safety.images import image_features
from reprise.road_safety.layout import from_ml4roadsafety, from_mmtrace
from reprise.road_safety.synthetic import synthetic_city

Split = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _years(*parts: tuple[int, int]) -> Split:
    train, valid, test = (tuple(range(first, last + 1)) for first, last in parts)
    return train, valid, test


# Training, validation and test years, first and last of each (scripts of ML4RoadSafety).
YEARS: dict[str, Split] = {
    "DE": _years((2009, 2012), (2013, 2017), (2018, 2022)),
    "IA": _years((2013, 2016), (2017, 2019), (2020, 2022)),
    "IL": _years((2012, 2014), (2015, 2017), (2018, 2021)),
    "MA": _years((2002, 2008), (2009, 2015), (2016, 2022)),
    "MD": _years((2015, 2017), (2018, 2019), (2020, 2022)),
    "MN": _years((2015, 2017), (2018, 2019), (2020, 2022)),
    "MT": _years((2016, 2017), (2018, 2018), (2019, 2020)),
    "NV": _years((2016, 2017), (2018, 2018), (2019, 2020)),
}
# Of MMTraCE; the paper prints the years of this state only.
IMAGE_YEARS: dict[str, Split] = {"DE": _years((2009, 2013), (2014, 2018), (2019, 2024))}

_FILES = ("adj_matrix.pt", "Edges/edge_features.pt", "accidents_monthly.csv")


def graphs(state: str) -> DataSet:
    """Where a state of ML4RoadSafety lies."""
    return DataSet(
        name=f"road-safety/ml4roadsafety/{state}",
        files=tuple(RemoteFile(name) for name in _FILES),
        source=f"Harvard Dataverse, doi:10.7910/DVN/V71K5R, {state}.zip; `fetch_state` gets it",
        size="0.1 to 5 GB",
        licence="as stated there",
    )


def graphs_with_images(state: str) -> DataSet:
    """Where a state of MMTraCE lies; its loader says where it looks for the embedding of the images."""
    return DataSet(
        name=f"road-safety/mmtrace/{state}",
        files=tuple(RemoteFile(name) for name in _FILES),
        source=f"Harvard Dataverse, doi:10.7910/DVN/YDP6KQ, {state}.zip",
        size="0.5 to 10 GB",
        licence="as stated there",
    )


def load(state: str, images: bool, miniature: int, context: Context) -> RoadDataset:
    """Read a state, or write a miniature of it in the published layout and read that.

    Raises
    ------
    MissingData
        Naming the folder that is missing.
    """
    if miniature:
        return _miniature(state, images, miniature)
    return _read(context.data(graphs_with_images(state) if images else graphs(state)).parent, state, images)


@lru_cache(maxsize=2)
def _read(root: Path, state: str, images: bool) -> RoadDataset:
    return from_mmtrace(root, state) if images else from_ml4roadsafety(root, state)


@lru_cache(maxsize=4)
def _miniature(state: str, images: bool, nodes: int) -> RoadDataset:
    with tempfile.TemporaryDirectory() as folder:
        write_miniature(Path(folder), state, images, nodes)
        return _read.__wrapped__(Path(folder), state, images)


def write_miniature(root: Path, state: str, images: bool, nodes: int) -> Path:
    """Write a synthetic city in the published layout under the name and with the years of a state."""
    first, last = YEARS[state][0][0], YEARS[state][2][-1]
    if images:
        last = max(last, IMAGE_YEARS[state][2][-1])
    seed = sorted(YEARS).index(state)
    city = synthetic_city(nodes, tuple(range(first, last + 1)), name=state, volume_share=0.2, seed=seed)
    folder = export_ml4roadsafety(city.dataset, root)
    if images:
        place = folder / "embeddings" / "vit_image"
        place.mkdir(parents=True)
        np.save(place / f"{state}.npy", image_features(city.tiles).astype(np.float32))
    return folder
