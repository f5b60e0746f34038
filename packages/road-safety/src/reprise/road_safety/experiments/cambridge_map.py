"""Where accidents are to be expected, whether the numbers can be trusted, and what holds in a district never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reprise.core import Claim, Context, Experiment, at_least, at_most, values, within
from reprise.core.figures import COLOURS, MARKERS
from reprise.road_safety.budgets import at_budget
from reprise.road_safety.calibration import recalibration, reliability
from reprise.road_safety.dataset import FLAGS, RoadDataset
from reprise.road_safety.experiments.data import TEST, TRAIN, VALID, cambridge
from reprise.road_safety.features import walk_embedding
from reprise.road_safety.holdout import (
    Learner,
    Scorer,
    districts,
    held_out_metrics,
    network_learner,
    past_count_learner,
)
from reprise.road_safety.maps import MapLayer, risk_map
from reprise.road_safety.matched import matched_differences
from reprise.road_safety.metrics import evaluate, monthly_mean
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.shrinkage import segment_features, shrunk_counts

# Convolution, whether the embedding of places is given, whether past accidents are.
NETWORKS = {
    "MLP, structure": ("none", False, False),
    "MLP, embedding": ("none", True, False),
    "GCN, structure": ("gcn", False, False),
    "GCN, embedding": ("gcn", True, False),
    "GCN, embedding and history": ("gcn", True, True),
}
PAST = "past count"
CANDIDATES = ("GCN, embedding and history", "GCN, structure", PAST)


@dataclass(frozen=True)
class Settings:
    """The networks of `cambridge-auroc`, one seed; every district is held out once."""

    models: tuple[str, ...] = (*NETWORKS, PAST)
    hidden: int = 64
    layers: int = 2
    epochs: int = 30
    lr: float = 1e-2
    dimensions: int = 64  # of the embedding
    districts: int = 5
    budgets: tuple[float, ...] = (5.0, 12.5, 25.0, 50.0)  # km of about 251
    bins: int = 10
    worst: int = 100  # segments with the largest past count


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """A model per cell, held out; then the map, and what its numbers are worth."""
    for model in settings.models:
        yield {"part": "districts", "model": model}
    yield {"part": "scores"}
    yield {"part": "map"}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """AUROC of districts seen and not seen; calibration and budgets; values of the segments."""
    dataset, _ = cambridge(context)
    if cell["part"] == "map":
        return segments(dataset)
    if cell["part"] == "scores":
        return [*trusted(settings, dataset, context), *regression_to_the_mean(settings, dataset)]
    district = districts(dataset, settings.districts, context.shared_seed("districts"))
    given = with_embedding(settings, dataset, cell["model"])
    whole = learner(settings, cell["model"], context)
    learnt: dict[int, Scorer] = {}

    def learn(part: RoadDataset) -> Scorer:
        # What learns from the whole city is the same for every district.
        if part is not given:
            return whole(part)
        if not learnt:
            learnt[0] = whole(part)
        return learnt[0]

    rows = []
    for held_out in range(settings.districts):
        found = held_out_metrics(given, learn, district == held_out, TRAIN, TEST)
        rows += [{"trial": held_out, "held_out": kind, **metrics} for kind, metrics in found.items()]
        context.progress(held_out + 1, settings.districts)
    return rows


def with_embedding(settings: Settings, dataset: RoadDataset, model: str) -> RoadDataset:
    """The data set with the features of the nodes that a model reads."""
    if model == PAST or not NETWORKS[model][1]:
        return dataset
    embedded = walk_embedding(dataset.edge_index, dataset.num_nodes, settings.dimensions)
    return dataset.with_node_features(np.concatenate([dataset.node_static, embedded], axis=1))


def learner(settings: Settings, model: str, context: Context) -> Learner:
    """What trains a model on a data set."""
    if model == PAST:
        return past_count_learner
    conv, _, history = NETWORKS[model]
    return network_learner(
        lambda node, edge: RoadGNN(node, edge, settings.hidden, settings.layers, conv),
        TRAIN,
        VALID,
        TEST,
        history=history,
        epochs=settings.epochs,
        lr=settings.lr,
        seed=context.seed,
        device=context.device,
    )


def trusted(settings: Settings, dataset: RoadDataset, context: Context) -> list[dict[str, Any]]:
    """Candidates by validation; reliability of the best network; accidents within budgets, ranked once for 2014 on."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    counts = {
        name: dataset.counts[dataset.rows_of(years)].toarray() for name, years in (("valid", VALID), ("test", TEST))
    }
    rows: list[dict[str, Any]] = []
    for model in CANDIDATES:
        given = with_embedding(settings, dataset, model)
        score = learner(settings, model, context)(given)
        scores[model] = {
            name: np.stack([score(given, int(row)) for row in dataset.rows_of(years)])
            for name, years in (("valid", VALID), ("test", TEST))
        }
        aurocs = {
            f"{name}_auroc": monthly_mean([evaluate(s, y) for s, y in zip(scores[model][name], counts[name])], "auroc")
            for name in counts
        }
        rows.append({"row": "candidate", "model": model, **aurocs})
    best = max(rows, key=lambda row: row["valid_auroc"])["model"]
    network = max((row for row in rows if row["model"] != PAST), key=lambda row: row["valid_auroc"])["model"]
    mend = recalibration(scores[network]["valid"].ravel(), counts["valid"].ravel() > 0)
    for kind, probability in (("as trained", scores[network]["test"]), ("recalibrated", mend(scores[network]["test"]))):
        found = reliability(probability.ravel(), counts["test"].ravel() > 0, settings.bins)
        rows.append({"row": "calibration", "model": network, "kind": kind, "ratio": found.ratio, "skill": found.skill})
        rows += [
            {"row": "bin", "kind": kind, "predicted": p, "observed": o, "low": low, "high": high}
            for p, o, low, high in zip(found.predicted, found.observed, found.low, found.high)
        ]
    later = counts["test"].sum(axis=0)
    before = np.asarray(dataset.counts[dataset.rows_of((*TRAIN, *VALID))].sum(axis=0)).ravel()
    ranked = {
        "past count": before.astype(float),
        "empirical Bayes": shrunk_counts(segment_features(dataset), before).expected,
        "best by validation": scores[best]["test"][0],
    }
    for name, value in ranked.items():
        for km in settings.budgets:
            budget = at_budget(value, later, dataset.length, km)
            rows.append(
                {"row": "budget", "ranked_by": name, "km": km, "recall": budget.recall, "precision": budget.precision}
            )
    whole = dataset.length.sum() / 1e3
    rows += [{"row": "budget", "ranked_by": "any streets", "km": km, "recall": km / whole} for km in settings.budgets]
    return [*rows, {"row": "best", "model": best}]


def regression_to_the_mean(settings: Settings, dataset: RoadDataset) -> list[dict[str, Any]]:
    """Accidents per year of the worst segments: counted until 2013, expected, and counted from 2014 on."""
    rows = dataset.rows_of((*TRAIN, *VALID))
    before = np.asarray(dataset.counts[rows].sum(axis=0)).ravel()
    later_rows = dataset.rows_of(TEST)
    later = np.asarray(dataset.counts[later_rows].sum(axis=0)).ravel() / (len(later_rows) / 12)
    found = shrunk_counts(segment_features(dataset), before)
    worst = np.argsort(-before, kind="stable")[: settings.worst]
    years = len(rows) / 12
    return [
        {
            "row": "worst",
            "past": before[worst].mean() / years,
            "expected": found.expected[worst].mean() / years,
            "later": later[worst].mean(),
            # All accidents became fewer or more by so much.
            "overall": later.sum() / (before.sum() / years),
        }
    ]


def segments(dataset: RoadDataset) -> list[dict[str, Any]]:
    """Expected accidents of every segment from all years, and those of main streets beyond those of their matches."""
    counts = np.asarray(dataset.counts.sum(axis=0)).ravel()
    years, km = len(dataset.months) / 12, dataset.length / 1e3
    found = shrunk_counts(segment_features(dataset), counts)
    low, high = found.interval()
    u, v = dataset.edge_index
    embedded = walk_embedding(dataset.edge_index, dataset.num_nodes, 8)
    node = np.concatenate([dataset.node_static[:, :3], embedded], axis=1)
    X = np.column_stack([np.log(dataset.length), dataset.flags[:, 0], node[u] + node[v]])
    matched = matched_differences(dataset.flags[:, FLAGS.index("primary")], counts, X, years)
    columns = {
        "expected": found.expected / years / km,
        "low": low / years / km,
        "high": high / years / km,
        "observed": counts / years / km,
        "beyond": matched.difference,
        "beyond_low": matched.low,
        "beyond_high": matched.high,
    }
    return [
        {
            "segment": e,
            "path": " ".join(f"{x:.5f},{y:.5f}" for x, y in _thin(dataset.streets[e])),
            **{name: float(f"{column[e]:.4g}") for name, column in columns.items()},
        }
        for e in range(dataset.num_edges)
    ]


def _thin(line: np.ndarray) -> np.ndarray:
    """At most five points of a line."""
    return np.asarray(line[np.unique(np.linspace(0, len(line) - 1, 5).round().astype(int))])


def plot(table: pd.DataFrame) -> Figure:
    """Two maps above; districts, calibration and budgets below."""
    figure = plt.figure(figsize=(7.4, 5.8), layout="constrained")
    parts: Any = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.1, 1])
    upper, lower = parts[:, 0]
    maps = upper.subplots(1, 2)
    rows = table[table["part"] == "map"]
    lines = [np.array([point.split(",") for point in path.split()], dtype=float) for path in rows["path"]]
    for axis, layer in zip(
        maps,
        (
            MapLayer("accidents per km and year", rows["expected"]),
            MapLayer(
                "accidents a year beyond matches",
                rows["beyond"],
                low=rows["beyond_low"],
                high=rows["beyond_high"],
                reference=0.0,
                scale="linear",
            ),
        ),
    ):
        risk_map(lines, layer, axes=axis, width=0.55)
    maps[0].set_title("expected of all segments (empirical Bayes)", fontsize=8)
    maps[1].set_title("main streets, where it can be told from 0", fontsize=8)
    axes = lower.subplots(1, 3, width_ratios=[1.5, 1, 1])
    _plot_districts(axes[0], table[table["part"] == "districts"])
    _plot_calibration(axes[1], table[table["row"] == "bin"])
    _plot_budgets(axes[2], table[table["row"] == "budget"])
    return figure


def _plot_districts(axis: Any, rows: pd.DataFrame) -> None:
    models = list(dict.fromkeys(rows["model"]))
    for style, (kind, label) in enumerate((("time", "known district"), ("space", "never seen"))):
        for height, model in enumerate(models):
            found = rows.loc[(rows["model"] == model) & (rows["held_out"] == kind), "auroc"] * 100
            at = height + 0.16 * (1 - 2 * style)
            axis.plot([found.min(), found.max()], [at, at], color=COLOURS[style], linestyle="-", linewidth=1.2)
            axis.plot(
                found.mean(),
                at,
                MARKERS[style],
                color=COLOURS[style],
                markerfacecolor="white" if style else COLOURS[style],
                label=label if not height else None,
            )
    axis.set_yticks(range(len(models)), labels=[model.replace(" and ", "\nand ") for model in models], fontsize=7)
    axis.set(xlabel="AUROC (%), mean and range of districts", ylim=(-0.6, len(models) + 0.5))
    axis.legend(fontsize=7, loc="upper left", ncols=2, columnspacing=0.8, handletextpad=0.2)


def _plot_calibration(axis: Any, rows: pd.DataFrame) -> None:
    for style, kind in enumerate(dict.fromkeys(rows["kind"])):
        part = rows[(rows["kind"] == kind) & (rows["predicted"] > 0)]
        error = np.maximum([part["observed"] - part["low"], part["high"] - part["observed"]], 0.0)
        axis.errorbar(
            part["predicted"],
            part["observed"],
            error,
            fmt=MARKERS[style],
            color=COLOURS[style],
            label=kind,
            capsize=1.5,
        )
    axis.plot([2e-3, 1], [2e-3, 1], color="black", linestyle="-", linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="predicted", ylabel="observed share", xlim=(2e-3, 1), ylim=(2e-3, 1))
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend(fontsize=7, loc="upper left")


def _plot_budgets(axis: Any, rows: pd.DataFrame) -> None:
    for style, name in enumerate(dict.fromkeys(rows["ranked_by"])):
        part = rows[rows["ranked_by"] == name].sort_values("km")
        axis.plot(part["km"], part["recall"] * 100, marker=MARKERS[style], color=COLOURS[style], label=name)
    axis.set(xlabel="budget (km)", ylabel="accidents reached (%)", ylim=(0, 145 * rows["recall"].max()))
    axis.legend(fontsize=6.5, loc="upper left")


def loss(model: str) -> Callable[[pd.DataFrame], pd.Series]:
    """AUROC lost in a district that was never seen, per district."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        return auroc(model, "time")(table) - auroc(model, "space")(table)

    return quantity


def auroc(model: str, held_out: str) -> Callable[[pd.DataFrame], pd.Series]:
    """AUROC per district."""
    return values("auroc", {"part": "districts", "model": model, "held_out": held_out})


def single(row: str, column: str, where: Mapping[str, Any] | None = None) -> Callable[[pd.DataFrame], pd.Series]:
    """One number of the table."""
    return values(column, {"row": row, **(where or {})}, over="row")


def nearer(table: pd.DataFrame) -> pd.Series:
    """Error of the expectation over that of the past count, of the worst segments' later accidents."""
    past, expected, later = (single("worst", name)(table) for name in ("past", "expected", "later"))
    return (expected - later).abs() / (past - later).abs()


def gain(km: float) -> Callable[[pd.DataFrame], pd.Series]:
    """Share of accidents that empirical Bayes reaches beyond the past count."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        reached = [
            single("budget", "recall", {"ranked_by": name, "km": km})(table)
            for name in ("empirical Bayes", "past count")
        ]
        return reached[0] - reached[1]

    return quantity


EXPERIMENT = Experiment(
    name="cambridge-map",
    title="Where accidents are to be expected, and what holds in a district never seen",
    scales={
        "smoke": Settings(
            ("MLP, structure", "GCN, structure", "GCN, embedding", PAST), hidden=8, epochs=2, dimensions=4, districts=2
        ),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "M1",
            "what knows places by heart loses most in a district never seen: a graph network with the embedding of "
            "places loses more AUROC than the same network on structure",
            "beyond the papers",
            None,
            "direction",
            at_least(lambda table: loss("GCN, embedding")(table) - loss("GCN, structure")(table), 0.0),
        ),
        Claim(
            "M2",
            "a network that learns from as many segments with an accident as without announces at least five times "
            "too many",
            "beyond the papers",
            None,
            "direction",
            at_least(single("calibration", "ratio", {"kind": "as trained"}), 5.0),
        ),
        Claim(
            "M2b",
            "recalibrated on the year 2013 it announces the right number of 2014 to 2016 within a fifth",
            "beyond the papers",
            None,
            "direction",
            within(single("calibration", "ratio", {"kind": "recalibrated"}), 1.0, 0.2),
        ),
        Claim(
            "M2c",
            "and says more than the overall share does (Brier skill above 0)",
            "beyond the papers",
            None,
            "direction",
            at_least(single("calibration", "skill", {"kind": "recalibrated"}), 0.0),
        ),
        Claim(
            "M3",
            "of the hundred segments with most accidents until 2013, empirical Bayes expects a number nearer to the "
            "later one than the past count is",
            "Hauer 1997",
            None,
            "direction",
            at_most(nearer, 1.0),
        ),
        Claim(
            "M4",
            "with a budget of 25 km, empirical Bayes reaches at least as many later accidents as the past count",
            "Hauer 1997",
            None,
            "direction",
            at_least(gain(25.0), 0.0),
        ),
    ],
)
