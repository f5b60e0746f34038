"""The list of section 8: what can be wrong with a user's data, and what is said of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from reprise.road_safety import (
    CoordinateError,
    DatasetLayoutError,
    LeakageError,
    effect,
    evaluate,
    export_ml4roadsafety,
    from_geojson,
    from_ml4roadsafety,
    run_baseline,
)

YEARS = {"train_years": (2019,), "valid_years": (2020,), "test_years": (2021,)}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A written state that tests copy and spoil."""
    from reprise.road_safety import from_geojson

    folder = tmp_path_factory.mktemp("state")
    lines = [[[-71.0, 42.0], [-70.999, 42.0]], [[-70.999, 42.0], [-70.999, 42.001]]]
    streets = {
        "type": "FeatureCollection",
        "features": [{"geometry": {"type": "LineString", "coordinates": line}, "properties": {}} for line in lines],
    }
    days = pd.date_range("2019-01-01", periods=60)
    crashes = pd.DataFrame({"date": days, "lon": -70.9995, "lat": 42.0})
    weather = pd.DataFrame({"date": days, "prcp": 1.0, "tavg": 2.0})
    dataset, _ = from_geojson(streets, crashes, weather, name="XX")
    return export_ml4roadsafety(dataset, folder)


@pytest.fixture
def copied(state, tmp_path):
    from shutil import copytree

    return copytree(state, tmp_path / "XX")


def accidents(folder, **columns):
    path = folder / "accidents_monthly.csv"
    table = pd.read_csv(path)
    for name, value in columns.items():
        table[name] = table[name].astype(float)
        table.loc[0, name] = value
    table.to_csv(path, index=False)


def test_a_missing_file_is_listed_with_what_is_there(copied):
    (copied / "accidents_monthly.csv").unlink()
    with pytest.raises(DatasetLayoutError, match=r"must hold accidents_monthly\.csv, found \['Edges', 'Nodes', 'adj"):
        from_ml4roadsafety(copied.parent, "XX")


@pytest.mark.parametrize("count", [-1, 0.5, np.nan])
def test_a_count_that_is_no_count_is_refused(copied, count):
    accidents(copied, acc_count=count)
    with pytest.raises(ValueError, match="whole numbers of at least 0"):
        from_ml4roadsafety(copied.parent, "XX")


def test_coordinates_out_of_range_or_swapped_are_named():
    street = {"geometry": {"type": "LineString", "coordinates": [[42.0, -95.0], [42.1, -95.0]]}, "properties": {}}
    with pytest.raises(CoordinateError, match="swapped"):
        from_geojson({"type": "FeatureCollection", "features": [street]}, pd.DataFrame())


def test_missing_weather_is_imputed_by_the_mean_and_reported(copied):
    path = next((copied / "Nodes").glob("node_features_2019_1.csv"))
    table = pd.read_csv(path)
    table.loc[0, "prcp"] = np.nan
    table.to_csv(path, index=False)
    back = from_ml4roadsafety(copied.parent, "XX")
    months, nodes = len(back.months), back.num_nodes
    # One value, and the four columns that nobody measured.
    assert back.report["weather_missing"] == 1 + 4 * months * nodes
    assert np.isfinite(back.month(2019, 1, back.scaler((2019,))).x).all()


def test_overlapping_years_leak(town):
    with pytest.raises(LeakageError, match="train_years must lie before valid_years"):
        run_baseline(town, "past_count", (2019, 2020), (2020,), (2021,))


def test_a_month_with_one_class_is_skipped_and_reported(town):
    counts = town.counts.toarray()
    counts[-1] = 0
    counts[-2] = 1
    found = run_baseline(replace(town, counts=sparse.csr_array(counts)), "past_count", **YEARS)
    assert found.skipped == [(2021, 11), (2021, 12)]
    assert np.isfinite(found.metrics["test"]["auroc"])


def test_sizes_that_differ_are_named_with_both(town):
    with pytest.raises(ValueError, match=r"length must have shape \(24,\), got \(3,\)"):
        replace(town, length=np.ones(3))
    with pytest.raises(ValueError, match=r"counts must have shape \(n,\) with n = 3, got \(2,\)"):
        evaluate([0.1, 0.2, 0.3], [0, 1])
    with pytest.raises(ValueError, match=r"Y must have shape \(n,\) with n = 2, got \(1,\)"):
        effect([0, 1], [1.0], [[0.0], [1.0]])


def test_negative_counts_are_refused_by_metrics_and_data_set(town):
    with pytest.raises(ValueError, match="counts must be whole numbers of at least 0, got -1"):
        evaluate([0.1, 0.2], [-1, 1])
    with pytest.raises(ValueError, match="counts must be whole numbers of at least 0"):
        replace(town, counts=sparse.csr_array(town.counts.toarray() - 5))


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda x: np.array(x, dtype=">f8"), lambda x: np.array(x, dtype=np.float16)]
)
def test_lists_and_arrays_of_any_kind_are_taken(kind):
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal(200), 1)
    T = (rng.random(200) < 0.5).astype(float)
    Y = np.round(x + T, 1)
    want = effect(T, Y, x[:, None], "ipw", bootstrap=5).estimate
    reversed_ = effect(kind(T[::-1])[::-1], kind(Y), kind(x[:, None]), "ipw", bootstrap=np.int64(5), seed=np.int32(0))
    assert reversed_.estimate == pytest.approx(want, rel=2e-3)
