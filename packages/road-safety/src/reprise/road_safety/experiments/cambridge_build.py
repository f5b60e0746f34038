"""From raw files to a street graph with monthly accidents, and through the published layout and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_most, values, within
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.experiments.data import cambridge
from reprise.road_safety.export import export_ml4roadsafety
from reprise.road_safety.layout import from_ml4roadsafety
from reprise.road_safety.snapping import SnapResult


@dataclass(frozen=True)
class Settings:
    """The whole city."""

    parts: tuple[str, ...] = ("facts", "roundtrip", "map")


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One part per cell."""
    for part in settings.parts:
        yield {"part": part}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Facts of the data set; what the published layout changes; crashes of every segment."""
    dataset, snapped = cambridge(context)
    if cell["part"] == "facts":
        return [{"fact": name, "value": float(value)} for name, value in facts(dataset, snapped).items()]
    if cell["part"] == "roundtrip":
        return [{"fact": name, "value": float(value)} for name, value in roundtrip(dataset).items()]
    return segments(dataset)


def facts(dataset: RoadDataset, snapped: SnapResult) -> dict[str, float]:
    """What can be counted."""
    ends = np.bincount(dataset.edge_index.ravel(), minlength=dataset.num_nodes)
    last = dataset.volume[dataset.years[-1]]
    return {
        "junctions": dataset.num_nodes,
        "segments": dataset.num_edges,
        "kilometres": dataset.length.sum() / 1e3,
        "mean degree": ends.mean(),
        "crashes": dataset.report["crashes"],
        "located": dataset.report["located"],
        "snapped": float(dataset.counts.sum()),
        "share within 20 m": float((snapped.distance <= 20).mean()),
        "share within 50 m": float((snapped.distance <= 50).mean()),
        "share by street name": float(snapped.named.mean()),
        "positive rate": dataset.counts.nnz / np.prod(dataset.counts.shape),
        "share with traffic counts": float(np.isfinite(last).mean()),
    }


def roundtrip(dataset: RoadDataset) -> dict[str, float]:
    """Differences after writing the published layout and reading it again."""
    with tempfile.TemporaryDirectory() as folder:
        export_ml4roadsafety(dataset, folder)
        back = from_ml4roadsafety(folder, dataset.name)
    edge = back.edge_id(*dataset.edge_index)
    found = np.zeros_like(back.counts.toarray())
    for column in range(dataset.num_edges):
        found[:, edge[column]] += dataset.counts[:, [column]].toarray()[:, 0]
    unique = np.unique(dataset.edge_id(*dataset.edge_index))
    metres = np.abs(back.length[edge[unique]] - dataset.length[unique])
    return {
        "roundtrip: counts that differ": float((found != back.counts.toarray()).sum()),
        "roundtrip: largest difference of a length (m)": float(metres.max()),
        "roundtrip: largest difference of a place (degrees)": float(
            max(np.abs(back.lon - dataset.lon).max(), np.abs(back.lat - dataset.lat).max())
        ),
        "roundtrip: edges that differ": float((edge < 0).sum()),
    }


def segments(dataset: RoadDataset) -> list[dict[str, Any]]:
    """Crashes per kilometre and year of every segment, with its line for the map (at most five points of it)."""
    total = np.asarray(dataset.counts.sum(axis=0)).ravel()
    years = len(dataset.months) / 12
    rows = []
    for edge, line in enumerate(dataset.streets):
        chosen = line[np.unique(np.linspace(0, len(line) - 1, 5).round().astype(int))]
        path = " ".join(f"{x:.5f},{y:.5f}" for x, y in chosen)
        rate = total[edge] / years / max(dataset.length[edge] / 1e3, 0.05)
        rows.append({"fact": "segment", "value": float(rate), "crashes": int(total[edge]), "path": path})
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """A map: crashes per kilometre and year."""
    rows = table[table["fact"] == "segment"]
    lines = [np.array([point.split(",") for point in path.split()], dtype=float) for path in rows["path"]]
    figure, axes = plt.subplots(figsize=(7.0, 5.2), layout="constrained")
    rate = rows["value"].to_numpy()
    quiet = LineCollection([line for line, r in zip(lines, rate) if r == 0], colors="#cccccc", linewidths=0.6)
    order = np.argsort(rate)
    busy = [index for index in order if rate[index] > 0]
    drawn = LineCollection(
        [lines[index] for index in busy],
        array=rate[busy],
        cmap="inferno_r",
        norm=LogNorm(0.5, 100),
        linewidths=0.8 + 1.6 * np.clip(np.log10(np.maximum(rate[busy], 0.5)) / 2, 0, 1),
    )
    axes.add_collection(quiet)
    axes.add_collection(drawn)
    axes.autoscale()
    middle = np.concatenate(lines)[:, 1].mean()
    axes.set_aspect(1 / np.cos(np.radians(middle)))
    axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, label="crashes per kilometre and year, 2010 to 2016")
    bar.set_ticks([1, 10, 100], labels=["1", "10", "100"])
    # One kilometre, for scale.
    west, south = np.concatenate(lines).min(axis=0)
    width = 1000 / (111_320 * np.cos(np.radians(middle)))
    axes.plot([west, west + width], [south, south], color="black", linewidth=2)
    axes.text(west + width / 2, south + 0.0008, "1 km", ha="center", va="bottom", fontsize=8)
    return figure


def fact(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    """One number of the table."""
    return values("value", {"fact": name}, over="fact")


EXPERIMENT = Experiment(
    name="cambridge-build",
    title="A city from raw files: streets, crashes, weather and traffic",
    scales={"smoke": Settings(("facts", "roundtrip", "map")), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "D1",
            "the street graph has 1,871 junctions and 2,643 segments",
            "counted from the city's files",
            "1,871 and 2,643",
            "number",
            all_of(within(fact("junctions"), 1871, tolerance=0.5), within(fact("segments"), 2643, tolerance=0.5)),
        ),
        Claim(
            "D2",
            "8,982 of 9,110 located crashes lie within 50 m of a segment",
            "counted from the city's files",
            8982,
            "number",
            within(fact("snapped"), 8982, tolerance=9),
        ),
        Claim(
            "D3",
            "3.9 % of all segments and months have an accident",
            "counted from the city's files",
            0.039,
            "number",
            within(fact("positive rate"), 0.039, tolerance=0.0005),
        ),
        Claim(
            "D4",
            "through the published layout and back no count changes, and no length by a millimetre",
            "layout of ML4RoadSafety",
            "exact",
            "number",
            all_of(
                at_most(fact("roundtrip: counts that differ"), 0.0),
                at_most(fact("roundtrip: edges that differ"), 0.0),
                at_most(fact("roundtrip: largest difference of a length (m)"), 1e-3),
            ),
        ),
    ],
)
