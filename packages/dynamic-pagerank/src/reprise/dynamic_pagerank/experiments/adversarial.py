"""On directed graphs an adversary's order costs more than a random one (claim P5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, beats, slope, values
from reprise.core.figures import band
from reprise.dynamic_pagerank.generators import rmat
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank


@dataclass(frozen=True)
class Settings:
    """Sizes of the graphs."""

    scale: int = 13  # 2**scale nodes
    edges: int = 100_000
    epsilon: float = 1e-4
    targets: int = 200  # random nodes over which work is averaged
    leaves: tuple[int, ...] = (100, 1000, 10_000)  # of the toggled hub
    toggles: int = 200
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One order of one graph, or one toggled hub, per cell."""
    for trial in range(settings.trials):
        for order in ("random", "hubs first"):
            yield {"order": order, "leaves": 0, "trial": trial}
        for leaves in settings.leaves:
            yield {"order": "toggled", "leaves": leaves, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Edges touched per update and target."""
    if cell["order"] == "toggled":
        return [{"per_update": toggled_hub(cell["leaves"], settings.toggles, settings.epsilon)}]
    edges = rmat(settings.scale, settings.edges, seed=context.shared_seed(cell["trial"]))
    chooser = np.random.default_rng(context.shared_seed("targets", cell["trial"]))
    targets = chooser.choice(2**settings.scale, settings.targets, replace=False).tolist()
    if cell["order"] == "hubs first":
        popularity = np.bincount(edges[:, 1], minlength=2**settings.scale)
        edges = edges[np.argsort(-popularity[edges[:, 1]], kind="stable")]
    graph = DynamicGraph(directed=True, nodes=2**settings.scale)
    ranked = DynamicPageRank(graph, targets=targets, epsilon=settings.epsilon)
    ranked.update(edges)
    return [{"per_update": ranked.stats.work / settings.targets / len(edges)}]


def toggled_hub(leaves: int, toggles: int, epsilon: float) -> float:
    """Edges touched per update when the edge from a hub to the target comes and goes; all leaves point to the hub."""
    hub, target = leaves, leaves + 1
    spokes = np.column_stack([np.arange(leaves), np.full(leaves, hub)])
    graph = DynamicGraph.from_edges(spokes, directed=True, nodes=leaves + 2)
    ranked = DynamicPageRank(graph, target=target, epsilon=epsilon)
    before = ranked.stats.work
    ranked.update([(hub, target, 1 if i % 2 == 0 else -1) for i in range(toggles)])
    return (ranked.stats.work - before) / toggles


def plot(table: pd.DataFrame) -> Figure:
    """Work of both orders, and of the toggled hub against its leaves."""
    figure, (left, right) = plt.subplots(1, 2)
    for place, order in enumerate(("random", "hubs first")):
        work = table.loc[table["order"] == order, "per_update"]
        left.plot(np.full(len(work), place), work, "o", fillstyle="none")
        left.plot([place - 0.2, place + 0.2], [work.mean()] * 2, color="#777777", linestyle="-")
    left.set_xticks([0, 1], ["random order", "edges into hubs first"])
    left.set(xlim=(-0.5, 1.5), ylabel="edges touched per update", ylim=(0, None))
    toggled = table[table["order"] == "toggled"]
    band(right, toggled, "leaves", "per_update", log=True, marker="o", label="toggled edge")
    ends = np.array([toggled["leaves"].min(), toggled["leaves"].max()])
    right.plot(ends, ends, color="#777777", linestyle=":", label="one touch per leaf")
    right.set(xscale="log", yscale="log", xlabel="in-neighbours of the hub", ylabel="edges touched per update")
    right.legend()
    return figure


EXPERIMENT = Experiment(
    name="adversarial",
    title="An adversary's order costs more on directed graphs",
    scales={
        "smoke": Settings(scale=8, edges=2000, epsilon=1e-3, targets=10, leaves=(20, 200), toggles=20, trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "P5",
            "edges into hubs first cost more than the same edges in random order (ratio of edges touched)",
            "discussion of arbitrary orders",
            None,
            "direction",
            beats(values("per_update", {"order": "random"}), values("per_update", {"order": "hubs first"})),
        ),
        Claim(
            "P5b",
            "no bound holds for arbitrary updates of directed graphs: an edge behind a hub that comes and goes costs "
            "as much per update as the hub has in-neighbours (exponent 1)",
            "discussion of arbitrary orders",
            1.0,
            "direction",
            slope("leaves", "per_update", expected=1.0, tolerance=0.1, where={"order": "toggled"}),
        ),
    ],
)
