"""Networks that read the months before beside those that read one month, on a real city (claim A6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, values, within
from reprise.core.figures import COLOURS, MARKERS
from reprise.road_safety.experiments.data import TEST, TRAIN, VALID, cambridge
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.spatiotemporal import TEMPORAL
from reprise.road_safety.training import train

STATIC = ("gcn", "sage", "gin")
NAMES = {
    "gcn": "GCN",
    "sage": "GraphSAGE",
    "gin": "GIN",
    "gat": "GAT",
    "dcrnn": "DCRNN",
    "stgcn": "STGCN",
    "agcrn": "AGCRN",
    "graph_wavenet": "Graph WaveNet",
}


@dataclass(frozen=True)
class Settings:
    """All networks alike but for what makes them; structural features, no past accidents, as in the paper."""

    networks: tuple[str, ...] = (*STATIC, *TEMPORAL)
    hidden: int = 16
    layers: int = 2  # of the networks that read one month
    input_time_steps: int = 4
    epochs: int = 4
    evaluate_every: int = 4
    lr: float = 1e-2
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One network and seed per cell."""
    for trial in range(settings.trials):
        for network in settings.networks:
            yield {"model": network, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Test metrics of a network."""
    dataset, _ = cambridge(context)
    conv = cell["model"]
    temporal = conv in TEMPORAL

    def made(node: int, edge: int) -> RoadGNN:
        if not temporal:
            return RoadGNN(node, edge, settings.hidden, settings.layers, conv)
        return temporal_network(node, edge, settings.hidden, conv, settings.input_time_steps, dataset.num_nodes)

    found = train(
        dataset,
        made,
        "classification",
        TRAIN,
        VALID,
        TEST,
        settings.epochs,
        settings.lr,
        context.seed,
        history=False,
        evaluate_every=settings.evaluate_every,
        device=context.device,
        progress=context.progress,
    )
    test = found.metrics["test"]
    kind = "months" if temporal else "one month"
    return [{"kind": kind, "auroc": test["auroc"], "ap": test["ap"], "valid_auroc": found.metrics["valid"]["auroc"]}]


def temporal_network(node: int, edge: int, hidden: int, conv: str, steps: int, num_nodes: int) -> RoadGNN:
    """Return a network that reads `steps` months.

    Recurrent ones have one layer, STGCN one block, Graph WaveNet as many dilations 1, 2, 4, … as reach the first month.
    """
    layers = max((steps - 1).bit_length(), 1) if conv == "graph_wavenet" else 1
    return RoadGNN(node, edge, hidden, layers, conv, input_time_steps=steps, num_nodes=num_nodes)


def plot(table: pd.DataFrame) -> Figure:
    """AUROC and average precision of every network."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), sharey=True, layout="constrained")
    names = table.groupby("model")["auroc"].mean().sort_values().index
    for axis, column, label in zip(axes, ("auroc", "ap"), ("AUROC", "average precision")):
        for height, name in enumerate(names):
            rows = table[table["model"] == name]
            style = int((rows["kind"] == "months").iloc[0])
            axis.plot(rows[column] * 100, np.full(len(rows), height), "o", color="#888888", markersize=3)
            axis.plot(
                rows[column].mean() * 100,
                height,
                MARKERS[style],
                color=COLOURS[style],
                markerfacecolor="white" if style else COLOURS[style],
                markersize=7,
            )
        axis.set_xlabel(f"{label} (%), 2014 to 2016")
    axes[0].set_yticks(range(len(names)), labels=[NAMES[name] for name in names])
    for style, label in enumerate(("reads one month", "reads the months before, too")):
        face = "white" if style else COLOURS[style]
        axes[1].plot([], [], MARKERS[style], color=COLOURS[style], markerfacecolor=face, label=label)
    axes[1].legend(loc="lower right", fontsize=7)
    return figure


def pairs_won(static: str = "one month", temporal: str = "months") -> Callable[[pd.DataFrame], pd.Series]:
    """Share of pairs of a network of either kind in which that of one month has the larger AUROC, by seed."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        found = {}
        for trial, rows in table.groupby("trial"):
            first = rows.loc[rows["kind"] == static, "auroc"].to_numpy()
            second = rows.loc[rows["kind"] == temporal, "auroc"].to_numpy()
            if len(first) and len(second):
                found[trial] = float((first[:, None] > second[None]).mean())
        if not found:
            raise RowsMissing("no seed has networks of both kinds")
        return pd.Series(found)

    return quantity


def lead(first: str, second: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Difference of two networks in AUROC, by seed."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        return values("auroc", {"model": first})(table) - values("auroc", {"model": second})(table)

    return quantity


EXPERIMENT = Experiment(
    name="spatio-temporal",
    title="Networks that read the months before, and networks that read one",
    scales={
        "smoke": Settings(("sage", "dcrnn"), hidden=4, input_time_steps=2, epochs=1, trials=1),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "A6",
            "neither kind dominates: of all pairs of a graph and a spatio-temporal network the former wins 10 to 90 %",
            "poster",
            None,
            "direction",
            within(pairs_won(), 0.5, 0.4),
        ),
        Claim(
            "A6b",
            "GraphSAGE has a larger AUROC than DCRNN, by 3.1 to 11.3 points as in the table of states",
            "poster, table: DE, MA, MD",
            "3.1 to 11.3 points",
            "direction",
            within(lead("sage", "dcrnn"), 0.072, 0.041),
        ),
    ],
)
