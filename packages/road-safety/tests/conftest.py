"""A small town with known answers, and the real city where its files are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reprise.core import MissingData


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data():
    """The folder of the real city, or a skip that says what is missing."""
    from reprise.road_safety.experiments.data import CAMBRIDGE

    try:
        return Path(CAMBRIDGE.find())
    except MissingData as error:
        pytest.skip(str(error))


def grid_streets(size: int = 4, step: float = 0.001):
    """A square grid of streets around (−71, 42): every row and column is a street with a name."""
    features = []
    for i in range(size):
        for j in range(size - 1):
            for name, ends in (
                (f"Row {i} Street", ((j, i), (j + 1, i))),
                (f"Column {i} Avenue", ((i, j), (i, j + 1))),
            ):
                line = [[-71 + x * step, 42 + y * step] for x, y in ends]
                features.append(
                    {
                        "type": "Feature",
                        "geometry": {"type": "LineString", "coordinates": line},
                        "properties": {"Street": name, "Direction": "1" if i == 0 else "0"},
                    }
                )
    return {"type": "FeatureCollection", "features": features}


@pytest.fixture
def grid():
    """`grid_streets`, for tests that need streets only."""
    return grid_streets


@pytest.fixture
def town():
    """A grid of 16 junctions and 24 segments with two years of crashes, weather and one traffic count."""
    from reprise.road_safety import from_geojson

    generator = np.random.default_rng(0)
    days = pd.date_range("2019-01-01", "2021-12-31")
    chosen = generator.choice(days, 900)
    crashes = pd.DataFrame(
        {
            "date": chosen,
            "lon": -71 + 0.003 * generator.random(900),
            "lat": 42 + 0.001 * generator.integers(0, 4, 900),
        }
    )
    weather = pd.DataFrame(
        {"date": days, "tavg": 10 + generator.standard_normal(len(days)), "prcp": generator.exponential(2, len(days))}
    )
    volume = pd.DataFrame({"year": [2018, 2020], "lon": [-70.9995] * 2, "lat": [42.0] * 2, "aadt": [5000.0, 7000.0]})
    dataset, _ = from_geojson(grid_streets(), crashes, weather, volume, name="XX")
    return dataset
