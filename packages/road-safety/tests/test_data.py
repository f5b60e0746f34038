"""Streets, snapping, the data set, and the published layout with its traps."""

import numpy as np
import pandas as pd
import pytest
import torch

from reprise.road_safety import (
    FLAGS,
    CoordinateError,
    DatasetLayoutError,
    betweenness,
    export_ml4roadsafety,
    from_geojson,
    from_ml4roadsafety,
    from_mmtrace,
    history,
    read_streets,
    snap_points,
    street_graph,
    structural_features,
    walk_embedding,
)
from reprise.road_safety.layout import read_tensors
from reprise.road_safety.streets import normalised
from reprise.road_safety.training import past_of_edges


def test_a_grid_becomes_a_graph(grid):
    streets = read_streets(grid())
    graph = street_graph(streets)
    assert (len(streets), len(graph.lon)) == (24, 16)
    assert graph.length == pytest.approx(
        np.hypot(
            *np.diff(streets.projection.metres(*np.concatenate(streets.lines).T).reshape(-1, 2, 2), axis=1)[:, 0].T
        )
    )
    degree = np.bincount(graph.edge_index.ravel())
    assert sorted(degree) == [2] * 4 + [3] * 8 + [4] * 4


def test_parts_of_a_line_that_meet_are_one_segment(grid):
    collection = grid(2)
    line = [[[-71.0, 42.0], [-71.0, 42.0005]], [[-71.0, 42.0005], [-71.0, 42.001]]]
    collection["features"][0]["geometry"] = {"type": "MultiLineString", "coordinates": line}
    assert len(read_streets(collection)) == 4


def test_names_are_compared_without_their_spelling():
    assert normalised("MASSACHUSETTS AVENUE") == normalised("Mass. Ave") == "MASSACHUSETTS AVE"


def test_points_snap_to_the_nearest_segment_as_brute_force_says(grid):
    streets = read_streets(grid())
    rng = np.random.default_rng(0)
    lon, lat = -71 + 0.003 * rng.random(200), 42 + 0.003 * rng.random(200)
    found = snap_points(lon, lat, streets, 500.0)
    points = streets.projection.metres(lon, lat)
    lines = [streets.projection.metres(*line.T) for line in streets.lines]

    def distance(point, line):
        a, b = line
        t = np.clip(np.dot(point - a, b - a) / np.dot(b - a, b - a), 0, 1)
        return np.linalg.norm(point - a - t * (b - a))

    nearest = np.array([min(distance(point, line) for line in lines) for point in points])
    assert (found.distance <= nearest + 1.0).all() and (found.distance >= nearest - 1e-6).all()
    assert found.rejected == 0


def test_a_name_decides_at_a_junction_and_far_points_are_rejected(grid):
    streets = read_streets(grid())
    lon, lat = [-70.999, -70.99], [42.001, 42.02]
    found = snap_points(lon, lat, streets, 50.0, ["Column 1 Ave", ""])
    assert streets.names[found.segment[0]] == "COLUMN 1 AVE" and found.named[0] and not found.ambiguous[0]
    assert found.segment[1] == -1 and found.rejected == 1
    assert snap_points(lon[:1], lat[:1], streets, 50.0).ambiguous[0]


@pytest.mark.parametrize(
    ("lon", "lat", "said"),
    [([42.0], [-71.0], "swapped"), ([-71.0], [142.0], "±90"), ([10.0], [50.0], "near the streets")],
)
def test_wrong_coordinates_are_named(grid, lon, lat, said):
    with pytest.raises(CoordinateError, match=said):
        snap_points(lon, lat, read_streets(grid()))


def test_the_data_set_counts_every_crash_once(town):
    assert town.counts.sum() == town.report["located"] - town.report["rejected"]
    assert town.months[0] == (2019, 1) and len(town.months) == 36
    assert (town.edge_id(*town.edge_index) == np.arange(24)).all()
    assert (town.edge_id(*town.edge_index[::-1]) == -1).all()


def test_traffic_is_the_last_count_up_to_the_year(town):
    known = {year: values[np.isfinite(values)] for year, values in town.volume.items()}
    assert known[2019].tolist() == [5000.0] and known[2020].tolist() == known[2021].tolist() == [7000.0]


def test_features_are_scaled_by_the_training_years_only(town):
    scaler = town.scaler((2019,))
    x = np.stack([town.month(2019, month, scaler).x for month in range(1, 13)])
    weather = x[:, 0, -6:]
    assert weather[:, 0].mean() == pytest.approx(0, abs=1e-6) and weather[:, 0].std() == pytest.approx(1, abs=1e-6)
    assert not weather[:, 1].any()  # tmin is unknown everywhere
    assert np.isfinite(town.month(2021, 12, scaler).z).all()
    with pytest.raises(ValueError, match="train_years"):
        town.scaler((1999,))
    with pytest.raises(KeyError, match="2030-01"):
        town.month(2030, 1)


def test_history_reads_the_past_only(town):
    before = past_of_edges(town)
    changed = town.counts.toarray()
    changed[20:] += 5
    from dataclasses import replace

    from scipy import sparse

    after = past_of_edges(replace(town, counts=sparse.csr_array(changed)))
    assert (before[:21] == after[:21]).all() and (before[21:] != after[21:]).any()
    for row in (0, 5, 20):
        assert before[row] == pytest.approx(history(town.counts, town.edge_index, town.num_nodes, row), abs=1e-6)


def test_the_layout_holds_what_was_written(town, tmp_path):
    export_ml4roadsafety(town, tmp_path)
    back = from_ml4roadsafety(tmp_path, "XX")
    edge = back.edge_id(*town.edge_index)
    assert (edge >= 0).all() and (back.counts.toarray()[:, edge] == town.counts.toarray()).all()
    assert back.length[edge] == pytest.approx(town.length, rel=1e-6)
    assert (back.flags[edge] == town.flags).all()
    assert back.lon == pytest.approx(town.lon) and back.report["coordinates_swapped"]
    assert back.weather[:, 0, [0, 3]] == pytest.approx(town.weather[:, 0, [0, 3]], rel=1e-5)
    assert back.node_static == pytest.approx(town.node_static, abs=1e-6)
    assert back.volume[2020][edge] == pytest.approx(town.volume[2020], nan_ok=True)
    # Two-way segments are two edges; the values of the adjacency matrix are sums, not lengths.
    two_way = ~town.flags[:, 0]
    assert back.num_edges == 24 + two_way.sum()
    adjacency = read_tensors(tmp_path / "XX" / "adj_matrix.pt").to_dense().numpy()
    u, v = town.edge_index[:, two_way]
    assert adjacency[u, v] == pytest.approx(2 * town.length[two_way], rel=1e-5)


def test_edges_are_aligned_by_key_when_features_are_fewer_and_in_another_order(town, tmp_path):
    state = export_ml4roadsafety(town, tmp_path)
    path = state / "Edges" / "edge_features.pt"
    table = read_tensors(path)
    indices, values = table["length"]._indices(), table["length"]._values()
    order = torch.randperm(values.numel(), generator=torch.Generator().manual_seed(0))[:-2]
    table["length"] = torch.sparse_coo_tensor(
        indices[:, order], values[order], table["length"].shape, check_invariants=True
    )
    torch.save(table, path)
    back = from_ml4roadsafety(tmp_path, "XX")
    assert back.report["edges_without_features"] == 2
    edge = back.edge_id(*town.edge_index)
    known = np.isfinite(back.length[edge])
    assert back.length[edge][known] == pytest.approx(town.length[known], rel=1e-6)


def test_accidents_on_reversed_and_unknown_edges_are_reported(town, tmp_path):
    state = export_ml4roadsafety(town, tmp_path)
    path = state / "accidents_monthly.csv"
    table = pd.read_csv(path)
    oneway = np.flatnonzero(town.flags[:, 0])[0]
    u, v = town.edge_index[:, oneway]
    on_it = (table["node_1_idx"] == u) & (table["node_2_idx"] == v)
    table.loc[on_it, ["node_1_idx", "node_2_idx"]] = [v, u]
    table.to_csv(path, index=False)
    back = from_ml4roadsafety(tmp_path, "XX")
    assert back.report["accidents_on_reversed_edges"] == on_it.sum() and back.counts.sum() == town.counts.sum()
    table["node_2_idx"] = table["node_1_idx"]
    table.to_csv(path, index=False)
    with pytest.raises(DatasetLayoutError, match="must name edges"):
        from_ml4roadsafety(tmp_path, "XX")


def test_images_and_published_node_files(town, tmp_path):
    state = export_ml4roadsafety(town, tmp_path)
    pd.DataFrame({"node_id": town.node_id, "x": town.lon, "y": town.lat}).to_csv(
        state / "Road_Network_Nodes_XX.csv", index=False
    )
    with pytest.raises(DatasetLayoutError, match="vit_image"):
        from_mmtrace(tmp_path, "XX")
    (tmp_path / "embeddings" / "vit_image").mkdir()
    np.save(tmp_path / "embeddings" / "vit_image" / "XX.npy", np.ones((16, 8), dtype=np.float32))
    back = from_mmtrace(tmp_path, "XX")
    assert back.images.shape == (16, 8) and not back.report["coordinates_swapped"]


@pytest.mark.parametrize("missing", ["adj_matrix.pt", "accidents_monthly.csv", "Edges/edge_features.pt"])
def test_a_missing_file_is_named(town, tmp_path, missing):
    state = export_ml4roadsafety(town, tmp_path)
    (state / missing).unlink()
    with pytest.raises(DatasetLayoutError, match=missing.split("/")[-1].split(".")[0]):
        from_ml4roadsafety(tmp_path, "XX")


def test_the_authors_centrality_file_is_what_we_compute(data):
    path = data.parent / "ml4roadsafety" / "centrality_DE.npy"
    if not path.is_file():
        pytest.skip("centrality_DE.npy of the authors is not here")
    theirs = np.load(path)
    assert theirs.shape == (49023, 17)
    one_hot = np.eye(7)
    assert (theirs[:, 3:10] == one_hot[theirs[:, 0].astype(int)]).all()
    assert (theirs[:, 10:17] == one_hot[theirs[:, 1].astype(int)]).all()


def test_structural_features_have_the_published_form(town):
    features = structural_features(town.edge_index, town.num_nodes)
    assert features.shape == (16, 17)
    assert (features[:, 3:10].argmax(axis=1) == features[:, 0]).all()
    assert (features[:, 10:17].argmax(axis=1) == features[:, 1]).all()


def test_sampled_betweenness_is_right_on_average():
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 40, (2, 90))
    exact = betweenness(edges, 40)
    mean = np.mean([betweenness(edges, 40, sources=20, seed=seed) for seed in range(400)], axis=0)
    assert mean == pytest.approx(exact, abs=0.01)


def test_the_embedding_tells_clusters_apart():
    left = [(i, j) for i in range(6) for j in range(i)]
    edges = np.array([*left, *[(i + 6, j + 6) for i, j in left], (0, 6)]).T
    found = walk_embedding(edges, 12, 4)
    distance = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert distance[:6, :6].max() < distance[:6, 6:].min()


@pytest.mark.parametrize(
    ("crashes", "error", "said"),
    [
        (pd.DataFrame({"lon": [1.0]}), DatasetLayoutError, "columns date, lon, lat"),
        ([1], TypeError, "DataFrame"),
        (
            pd.DataFrame({"date": ["2020-01-01"], "lon": [0.0], "lat": [0.0]}),
            DatasetLayoutError,
            "with a date and a place",
        ),
    ],
)
def test_bad_crashes_are_named(grid, crashes, error, said):
    with pytest.raises(error, match=said):
        from_geojson(grid(), crashes)


def test_the_flags_are_the_published_ones():
    assert len(FLAGS) == 24 and FLAGS[0] == "oneway" and FLAGS[-1] == "unsurfaced"


def test_a_file_that_is_no_geojson_is_named(tmp_path):
    path = tmp_path / "streets.geojson"
    path.write_text("{}")
    with pytest.raises(DatasetLayoutError, match=r"streets\.geojson must be a GeoJSON FeatureCollection"):
        read_streets(path)
