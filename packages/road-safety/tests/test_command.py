"""The commands on files of a user's own."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.road_safety import from_ml4roadsafety, without_mirrors
from reprise.road_safety.command import app
from reprise.road_safety.segments_file import read_segments


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Streets, crashes and weather of a grid, as a user has them."""
    folder = tmp_path_factory.mktemp("city")
    rng = np.random.default_rng(0)
    days = pd.date_range("2019-01-01", "2020-12-31")
    step, size = 0.001, 4
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [[-71 + step * x, 42 + step * y] for x, y in (a, b)]},
            "properties": {"Street": name},
        }
        for i in range(size)
        for j in range(size - 1)
        for name, a, b in ((f"Row {i} Street", (j, i), (j + 1, i)), (f"Column {i} Avenue", (i, j), (i, j + 1)))
    ]
    (folder / "streets.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    count = 600
    pd.DataFrame(
        {
            "date": rng.choice(days, count),
            "lon": -71 + 0.003 * rng.random(count) ** 2,
            "lat": 42 + 0.001 * rng.integers(0, 4, count),
        }
    ).to_csv(folder / "crashes.csv", index=False)
    rain = np.where(rng.random(len(days)) < 0.4, rng.exponential(9, len(days)), 0)
    pd.DataFrame({"date": days, "prcp": rain}).to_csv(folder / "weather.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def built(files):
    given = [files / name for name in ("streets.geojson", "crashes.csv")]
    answer = call("build", *given, "--weather", files / "weather.csv", "--out", files / "out", "--json")
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_build_writes_the_layout_and_says_where_crashes_went(files, built):
    assert built["segments"] == 24 and built["junctions"] == 16 and built["crashes"] == 600
    assert built["snapped"] + built["rejected"] == built["located"] == 600
    back = from_ml4roadsafety(files / "out", "city")
    assert back.counts.sum() == built["snapped"] and back.num_edges == 48
    assert json.loads((files / "out" / "city" / "snapping.json").read_text()) == built
    assert np.isfinite(back.weather[:, :, 3]).all()


def test_mirrored_edges_are_joined_and_lines_come_back(files, built):
    back = from_ml4roadsafety(files / "out", "city")
    joined, edge = without_mirrors(back)
    assert joined.num_edges == 24 and joined.counts.sum() == back.counts.sum()
    assert joined.report["mirrored_edges"] == 24 and np.bincount(edge).tolist() == [2] * 24
    assert joined.length.sum() == pytest.approx(back.length.sum() / 2)
    joined, names = read_segments(joined, files / "out" / "city")
    assert sorted(set(names)) == sorted({f"ROW {i} ST" for i in range(4)} | {f"COLUMN {i} AVE" for i in range(4)})
    for line, u, v in zip(joined.streets, *joined.edge_index):
        ends = {tuple(np.round(line[i], 6)) for i in (0, -1)}
        assert ends == {(round(joined.lon[n], 6), round(joined.lat[n], 6)) for n in (u, v)}


def test_one_way_streets_keep_both_edges_and_flags(town):
    joined, _ = without_mirrors(town)  # nothing is mirrored here
    assert joined.num_edges == town.num_edges and (joined.flags == town.flags).all()
    assert (joined.counts != town.counts).nnz == 0


def test_rank_writes_a_table_and_a_map(files, built):
    out, page = files / "ranked.csv", files / "map.html"
    words = ("rank", files / "out" / "city", "--out", out, "--factor", "0.8,0.7,0.9", "--bootstrap", 20, "--map", page)
    answer = call(*words, "--json", "--top", 3)
    assert answer.exit_code == 0, answer.output
    result = json.loads(answer.stdout)
    table = pd.read_csv(out)
    assert result["segments"] == len(table) == 24 and len(result["top"]) == 3
    assert result["top"][0]["name"] == table["name"][0] != ""
    assert table["observed"].sum() == built["snapped"]
    assert "expected accidents" in page.read_text(encoding="utf-8")
    plain = call(*words, "--top", 2)
    assert "24 segments written" in plain.stdout and len(plain.stdout.splitlines()) == 4


def test_rain_takes_crashes_or_counts(files):
    crashes = pd.read_csv(files / "crashes.csv")
    dates = pd.to_datetime(crashes["date"])
    counted = dates.value_counts().reindex(pd.date_range(dates.min(), dates.max()), fill_value=0)
    counted.rename_axis("date").rename("count").to_csv(files / "counts.csv")
    answers = [
        json.loads(call("rain", files / name, files / "weather.csv", "--bootstrap", 50, "--json").stdout)
        for name in ("crashes.csv", "counts.csv")
    ]
    assert answers[0] == answers[1] and answers[0]["ci"][0] < answers[0]["ratio"] < answers[0]["ci"][1]
    assert "wet and" in call("rain", files / "counts.csv", files / "weather.csv", "--bootstrap", 5).stdout


def test_effect_says_balance_and_convergence(files):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1500)
    T = rng.random(1500) < 1 / (1 + np.exp(-x))
    Y = x + 0.5 * T + rng.standard_normal(1500)
    pd.DataFrame({"x": x, "T": T.astype(int), "Y": Y, "id": np.arange(1500) // 5}).to_csv(
        files / "units.csv", index=False
    )
    columns = ("--treatment", "T", "--outcome", "Y", "--covariates", "x")
    words = ("effect", files / "units.csv", *columns, "--bootstrap", 100)
    found = json.loads(call(*words, "--clusters", "id", "--json").stdout)
    assert found["ci"][0] < 0.5 < found["ci"][1] and found["converged"] is True
    assert found["largest_difference_after"] < 0.1 < found["largest_difference_before"]
    assert "standardised difference" in call(*words).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "absent.geojson", "crashes.csv", "--out", "o"], "absent.geojson must be a GeoJSON file"),
        (["build", "streets.geojson", "weather.csv", "--out", "o"], "crashes must have columns date, lon, lat"),
        (["build", "streets.geojson", "crashes.csv", "--out", "o", "--name", "../x"], "--name must be a plain name"),
        (["build", "streets.geojson", "crashes.csv", "--out", "o", "--max-distance", "-1"], "max_distance"),
        (["build", "crashes.csv", "crashes.csv", "--out", "o"], "crashes.csv"),
        (["rank", "absent", "--out", "r.csv"], "adj_matrix.pt"),
        (["rank", "out/city", "--out", "no/folder.csv"], "--out must name a file in a folder that exists"),
        (["rank", "out/city", "--out", "r.csv", "--factor", "much"], "--factor must be a number"),
        (["rank", "out/city", "--out", "r.csv", "--factor", "0.8,0.9"], "factor must be one number or"),
        (["rain", "crashes.csv", "crashes.csv"], "crashes.csv must have the columns date, prcp"),
        (["rain", "crashes.csv", "weather.csv", "--threshold", "0"], "threshold_mm"),
        (["effect", "weather.csv", "--treatment", "T", "--outcome", "Y", "--covariates", "x"], "lacks T, Y, x"),
        (["effect", "empty.csv", "--treatment", "T", "--outcome", "Y", "--covariates", "x"], "empty.csv must be a CSV"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(files, built, monkeypatch, words, said):
    monkeypatch.chdir(files)
    (files / "empty.csv").write_text("")
    answer = call(*words)
    assert isinstance(answer.exception, RepriseError), answer.output
    assert said in str(answer.exception) and "\n" not in str(answer.exception)
    assert not (files / "o").exists()
