"""Features from further files, embeddings of large graphs, and graphs for torch_geometric."""

import json

import numpy as np
import pytest
import torch

from reprise.road_safety import build_cambridge, export_ml4roadsafety, from_ml4roadsafety, walk_embedding
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.junctions import junction_features, segment_speeds
from reprise.road_safety.streets import read_streets


def points(path, places, properties):
    features = [
        {"geometry": {"type": "Point", "coordinates": list(place)}, "properties": given}
        for place, given in zip(places, properties)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.fixture
def files(tmp_path):
    """One signal at the first junction, one intersection, and three studies of Row 0."""
    points(tmp_path / "traffic_signals.geojson", [(-71.0001, 42.0001)], [{"ID": 1}])
    points(tmp_path / "intersections.geojson", [(-70.999, 42.001)], [{"IntersectingStreetCount": 3}])
    studies = [("2005-01-01", 30.0, "25"), ("2007-01-01", 40.0, "U"), ("2019-05-01", 60.0, "30")]
    points(
        tmp_path / "speed_studies.geojson",
        [(-70.9995, 42.0)] * 3,
        [{"STREET": "Row 0 St.", "DATE": d, "SPEED_85TH": s, "Limit": limit} for d, s, limit in studies],
    )
    return tmp_path


def test_speeds_are_those_measured_before_the_year(files, grid):
    streets = read_streets(grid())
    found = segment_speeds(files, streets, 2019)
    studied = found[found["studies"] > 0]
    assert len(found) == 24 and len(studied) == 1 and streets.names[studied.index[0]] == "ROW 0 ST"
    assert studied.iloc[0].tolist() == pytest.approx([35 * 1.609344, 25 * 1.609344, 2])
    assert segment_speeds(files, streets)["speed_85"].max() == pytest.approx(130 / 3 * 1.609344)


def test_junctions_know_signals_streets_and_speeds(files, grid, town):
    found = junction_features(files, town, read_streets(grid()), before=2019)
    assert found.shape == (16, 3) and found[:, 0].sum() == 1
    signal = int(found[:, 0].argmax())
    assert (town.lon[signal], town.lat[signal]) == pytest.approx((-71.0, 42.0))
    assert found[np.isfinite(found[:, 1]), 1].tolist() == [3.0]
    assert found[np.isfinite(found[:, 2]), 2] == pytest.approx([35 * 1.609344] * 2)


def test_a_missing_further_file_is_named(files, grid, town):
    (files / "intersections.geojson").unlink()
    with pytest.raises(DatasetLayoutError, match=r"must hold intersections\.geojson"):
        junction_features(files, town, read_streets(grid()), before=2019)


def test_further_files_of_the_city_add_columns_and_change_nothing_else(data):
    plain, _ = build_cambridge(data)
    more, _ = build_cambridge(data, further=True)
    assert (more.node_static[:, :-3] == plain.node_static).all()
    assert (more.counts != plain.counts).nnz == 0
    signal, streets, speed = more.node_static[:, -3:].T
    # 153 numbers of signals stand in the file, some for several junctions near to one another.
    assert 120 <= signal.sum() <= 300
    assert np.isfinite(streets).sum() > 1400 and np.nanmin(streets) >= 2
    assert 20 < np.nanmedian(speed) < 70
    # Traffic was counted on a tenth of the segments.
    assert np.isfinite(plain.volume[2016]).sum() == 265
    assert np.isfinite(plain.volume[2016]).mean() == pytest.approx(0.1, abs=0.001)


def test_the_sparse_embedding_is_the_dense_one():
    rng = np.random.default_rng(0)
    points = rng.random((60, 2))
    edges = np.array([(i, j) for i in range(60) for j in range(i) if np.hypot(*(points[i] - points[j])) < 0.2]).T
    dense = walk_embedding(edges, 60, 6)
    sparse = walk_embedding(edges, 60, 6, dense_up_to=10)
    # Up to the sign of a column, and the rotation of equal singular values, distances agree.
    apart = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (dense, sparse)]
    assert apart[0] == pytest.approx(apart[1], abs=1e-6)


@pytest.mark.slow
def test_a_state_can_be_embedded():
    side = 220
    i, j = (array.ravel() for array in np.meshgrid(np.arange(side), np.arange(side)))
    index = i * side + j
    edges = np.concatenate(
        [np.stack([index, index + side])[:, i < side - 1], np.stack([index, index + 1])[:, j < side - 1]], 1
    )
    assert walk_embedding(edges, side * side, 128).shape == (48400, 128)


@pytest.mark.parametrize("kind", ["node2vec", "deepwalk"])
def test_published_embeddings_are_read_and_missing_ones_named(town, tmp_path, kind):
    export_ml4roadsafety(town, tmp_path)
    with pytest.raises(DatasetLayoutError, match=f"{kind}.*walk_embedding computes one"):
        from_ml4roadsafety(tmp_path, "XX", kind)
    (tmp_path / "embeddings" / kind).mkdir()
    given = np.random.default_rng(0).random((16, 128), dtype=np.float32)
    np.save(tmp_path / "embeddings" / kind / "XX.npy", given)
    assert (from_ml4roadsafety(tmp_path, "XX", kind).node_static == given).all()


def test_a_month_becomes_a_graph_of_torch_geometric(town):
    graph = town.to_pyg(2020, 5, town.scaler((2019,)))
    graph.validate()
    oneway = int(town.flags[:, 0].sum())
    assert graph.num_nodes == 16 and graph.edge_index.shape == (2, 2 * 24 - oneway)
    assert (graph.edge_label.numpy() == town.month(2020, 5).counts).all()
    u, v = graph.edge_label_index[:, graph.edge_id]
    a, b = graph.edge_index
    assert (((a == u) & (b == v)) | ((a == v) & (b == u))).all()
    assert torch.isfinite(graph.x).all() and torch.isfinite(graph.edge_attr).all()
    with pytest.raises(KeyError, match="1990-01"):
        town.to_pyg(1990, 1)
