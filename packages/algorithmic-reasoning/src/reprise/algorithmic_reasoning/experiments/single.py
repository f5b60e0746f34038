"""Claim C9: how well one network per algorithm learns the algorithm's steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.bars import grouped_bars
from reprise.algorithmic_reasoning.experiments.networks import graphs_of, score_sizes, seeded
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.algorithmic_reasoning.training import fit
from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, beats, values, within

# What the authors' overview says of networks trained and tested at N = 16: the share, and whether it is a bound.
PAPER = {
    "bfs": ("above", 0.99),
    "strongly_connected_components": ("above", 0.90),
    "floyd_warshall": ("about", 0.63),
    "dfs": ("below", 0.40),
}


@dataclass(frozen=True)
class Settings:
    """Networks and their training."""

    algorithms: tuple[str, ...] = ("bfs", "bellman_ford", "floyd_warshall", "dfs")
    processors: tuple[str, ...] = ("gmpnn",)
    hidden: int = 32
    layers: int = 1
    heads: int = 12  # of the Edge Transformer
    projection: int | None = None  # width that decoders read; None: states as they are
    steps: int = 400  # updates
    slow_steps: int = 200  # updates of those that take most time: SLOW
    lr: float = 1e-3
    nodes: int = 16  # of training graphs
    sizes: tuple[int, ...] = (16,)  # of test graphs
    graphs: int = 64  # per size
    trials: int = 3


SLOW = ("dfs", "floyd_warshall", "articulation_points", "bridges", "strongly_connected_components", "mst_kruskal")


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One network: a kind, an algorithm and a trial; those that take longest first."""
    for name in sorted(settings.algorithms, key=lambda name: name not in SLOW):
        for kind in settings.processors:
            for trial in range(settings.trials):
                yield {"processor": kind, "algorithm": name, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Scores on test graphs of every size."""
    name = cell["algorithm"]
    model: Reasoner = seeded(
        [name],
        context.seed,
        context.device,
        processor=cell["processor"],
        hidden=settings.hidden,
        layers=settings.layers,
        heads=settings.heads,
        projection=settings.projection,
    )
    history = fit(
        model,
        steps=settings.slow_steps if name in SLOW else settings.steps,
        nodes=settings.nodes,
        lr=settings.lr,
        generator=graphs_of(context.seed),
        progress=context.progress,
    )
    shared = {"layers": settings.layers, "best_step": history.best_step}
    test_seed = context.shared_seed("test", cell["trial"])
    rows = score_sizes(model, name, sizes=settings.sizes, graphs=settings.graphs, seed=test_seed)
    return [{key: value for key, value in (row | shared).items() if key not in cell} for row in rows]


def plot(table: pd.DataFrame) -> Figure:
    """Scores by algorithm, one bar per size, one dot per trial, with what the paper says."""
    figure, axes = plt.subplots(figsize=(7.0, 3.0))
    names = [name for name in ALGORITHMS if name in set(table["algorithm"])]
    scores = table.assign(score=100 * table["score"].astype(float)).groupby(["processor", "nodes", "algorithm"])[
        "score"
    ]
    bars = table[["processor", "nodes"]].drop_duplicates().itertuples(index=False)
    grouped_bars(
        axes,
        {
            f"{kind}, N = {nodes}": [scores.get_group((kind, nodes, name)).tolist() for name in names]
            for kind, nodes in bars
        },
    )
    for place, name in enumerate(names):
        if name in PAPER:
            relation, value = PAPER[name]
            axes.plot([place - 0.45, place + 0.45], [100 * value] * 2, color="black", ls="--", lw=1)
            axes.annotate(f"paper: {relation} {100 * value:.0f}", (place + 0.44, 100 * value + 1.5), ha="right", size=7)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=8)
    axes.set(ylabel="score on new graphs, %", ylim=(0, 112))
    axes.legend(loc="lower left", framealpha=0.9, frameon=True)
    return figure


def of(name: str, **where: Any) -> Any:
    """Score of an algorithm on graphs of 16 nodes, one value per trial."""
    return values("score", {"algorithm": name, "nodes": 16, **where})


def deep(layers: Any) -> Any:
    """Rows of networks of the paper's depth."""
    return layers.astype(int) >= 5


SOURCE = "research overview; N = 16"

EXPERIMENT = Experiment(
    name="single",
    title="What one network per algorithm learns",
    scales={
        "smoke": Settings(
            algorithms=("bfs", "floyd_warshall", "dfs"), steps=2, slow_steps=2, nodes=6, sizes=(16,), graphs=4, trials=2
        ),
        "laptop": Settings(),
        "gpu": Settings(
            algorithms=ALGORITHMS,
            processors=("mpnn", "edge_transformer"),
            hidden=96,
            layers=3,
            projection=16,
            steps=1500,
            slow_steps=1500,
            lr=5e-4,
            sizes=(16, 64),
        ),
        "paper": Settings(
            algorithms=ALGORITHMS,
            processors=("mpnn", "edge_transformer"),
            hidden=192,
            layers=5,
            projection=16,
            steps=10_000,
            slow_steps=10_000,
            lr=2.5e-4,
            sizes=(16, 64),
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "C9",
            "breadth-first search is learned above 99 %",
            SOURCE,
            "> 99 %",
            "direction",
            at_least(of("bfs"), 0.99),
        ),
        Claim(
            "C9b",
            "depth-first search stays below 40 %",
            SOURCE,
            "< 40 %",
            "direction",
            at_most(of("dfs"), 0.40),
        ),
        Claim(
            "C9c",
            "breadth-first search is learned better than Floyd and Warshall's algorithm, and that better than "
            "depth-first "
            "search (shown: ratio of the scores)",
            SOURCE,
            "> 99, 63, < 40 %",
            "direction",
            all_of(
                beats(of("bfs"), of("floyd_warshall"), lower_is_better=False),
                beats(of("floyd_warshall"), of("dfs"), lower_is_better=False),
            ),
        ),
        Claim(
            "C9d",
            "strongly connected components are learned above 90 %",
            SOURCE,
            "> 90 %",
            "direction",
            at_least(of("strongly_connected_components"), 0.90),
        ),
        Claim(
            "C9e",
            "Floyd and Warshall's algorithm reaches 63 %, within five points, with networks of five layers",
            SOURCE,
            0.63,
            "number",
            within(of("floyd_warshall", layers=deep), 0.63, 0.05),
        ),
    ],
)
