"""Maps of segments, as figures and as pages."""

import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

from reprise.road_safety import MapLayer, html_map, read_streets, risk_map
from reprise.road_safety.maps import colours, legend_ticks, round_length, segment_lines

mpl.use("agg")


@pytest.fixture
def streets(grid):
    return read_streets(grid())


@pytest.fixture
def layer():
    values = np.linspace(0.0, 23.0, 24)
    values[3] = np.nan
    return MapLayer("risk", values, "per km", low=values - 1, high=values + 1)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_colours_darken_steadily():
    red, green, blue = colours()(np.arange(256))[:, :3].T
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(grey) <= 1e-3).all() and grey[0] > 0.7 and grey[-1] < 0.05


def test_every_segment_is_drawn_once_in_colour_or_in_grey(streets, layer):
    figure = risk_map(streets, layer)
    quiet, drawn = (item for item in figure.axes[0].collections if isinstance(item, LineCollection))
    assert len(quiet.get_paths()) == 2 and len(drawn.get_paths()) == 22  # 0 and NaN have no place on a log scale
    assert (np.diff(drawn.get_array()) >= 0).all() and (np.diff(drawn.get_linewidths()) >= 0).all()
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert "N" in texts and any(text.endswith(" m") for text in texts)
    assert figure.axes[1].get_ylabel() == "risk, per km"


def test_the_scale_bar_has_the_length_that_it_says(streets, layer):
    figure = risk_map(streets, layer)
    (bar,) = figure.axes[0].lines
    label = next(text.get_text() for text in figure.axes[0].texts if text.get_text() != "N")
    assert np.ptp(bar.get_xdata()) == pytest.approx(float(label.split()[0]))
    assert round_length(999.0) == 500.0 and round_length(2500.0) == 2000.0


def test_what_cannot_be_told_from_nothing_is_grey():
    layer = MapLayer(
        "effect", [1.0, 2.0, -3.0], low=[-1.0, 1.0, -4.0], high=[3.0, 3.0, -2.0], reference=0.0, scale="linear"
    )
    assert layer.told.tolist() == [False, True, True]


def test_a_map_of_a_data_set_without_lines_is_straight(town):
    from dataclasses import replace

    bare = segment_lines(replace(town, streets=()))
    assert len(bare) == 24 and bare[0].shape == (2, 2)
    assert {tuple(p) for p in np.round(bare[0], 6)} == {tuple(p) for p in np.round(town.streets[0][[0, -1]], 6)}


def data_of(page):
    return json.loads(re.search(r"const data = (\{.*\});", page)[1])


def test_the_page_holds_everything_and_refers_to_nothing(streets, layer, tmp_path):
    page = html_map(streets, [layer, MapLayer("seen", np.ones(24))], title="A <town>", path=tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text(encoding="utf-8") == page
    assert not re.search(r"https?:|//[a-z]|src=|@import|url\(", page)
    assert "A &lt;town&gt;" in page and "<town>" not in page
    data = data_of(page)
    assert [one["name"] for one in data["layers"]] == ["risk", "seen"]
    assert data["layers"][0]["values"][3] is None and data["layers"][0]["place"][3] == -1
    assert data["layers"][0]["low"][5] == pytest.approx(4.0) and data["names"][0] == "ROW 0 ST"
    x = np.array(data["lines"][0]).reshape(-1, 2)
    assert np.hypot(*(x[-1] - x[0])) == pytest.approx(82.7, abs=0.2)  # a thousandth of a degree at 42° north


def test_names_cannot_break_out_of_the_page(streets, layer):
    page = html_map(streets, layer, names=["</script><b>"] * 24)
    assert "</script><b>" not in page and data_of(page)["names"][0] == "</script><b>"


def test_ticks_are_round_and_inside():
    layer = MapLayer("x", [0.2, 70.0])
    ticks = legend_ticks(layer.norm(), "log")
    assert len(ticks) >= 2 and all(0.2 <= tick <= 70 for tick in ticks)
    assert legend_ticks(MapLayer("x", [0.0, 10.0], scale="linear", limits=(0, 10)).norm(), "linear") == [
        0,
        2,
        4,
        6,
        8,
        10,
    ]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: MapLayer("x", ["a"]), TypeError, "values must hold real numbers"),
        (lambda: MapLayer("x", [[1.0]]), ValueError, r"values must have shape \(E,\)"),
        (lambda: MapLayer("x", [np.inf]), ValueError, "values must be finite or NaN"),
        (lambda: MapLayer("x", [1.0], low=[1.0]), ValueError, "low and high must be given together"),
        (lambda: MapLayer("x", [1.0], low=[1.0, 2.0], high=[1.0, 2.0]), ValueError, "low and high must have shape"),
        (lambda: MapLayer("x", [1.0], scale="root"), ValueError, "scale must be one of"),
        (lambda: MapLayer("x", [1.0], limits=(2, 1)), ValueError, "limits"),
        (
            lambda: risk_map([[[0, 0], [1, 1]]], MapLayer("x", [1.0, 2.0])),
            ValueError,
            "one value per segment, 1, got 2",
        ),
        (lambda: risk_map("streets", MapLayer("x", [1.0])), TypeError, "streets must be a RoadDataset"),
        (lambda: risk_map([[[0, 0]]], MapLayer("x", [1.0])), ValueError, "streets must be finite lines"),
        (lambda: html_map([[[0, 0], [1, 1]]], "risk"), TypeError, "layers must be a MapLayer"),
        (lambda: html_map([[[0, 0], [1, 1]]], MapLayer("x", [1.0]), names=[]), ValueError, "names must have one name"),
    ],
)
def test_bad_input_is_named(make, error, said):
    with pytest.raises(error, match=said):
        make()
