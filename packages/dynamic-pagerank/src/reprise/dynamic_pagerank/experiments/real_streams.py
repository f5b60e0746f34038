"""Real graphs in the order of time, growing and in a sliding window with deletions (claims P8 and P9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, all_of, at_least, at_most, beats, values
from reprise.dynamic_pagerank.events import EventList
from reprise.dynamic_pagerank.exact import power_iteration
from reprise.dynamic_pagerank.experiments.data_sets import LARGE, SMALL, nodes_of, read_stream
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank
from reprise.dynamic_pagerank.trajectory import Trajectory
from reprise.dynamic_pagerank.window import SlidingWindow


@dataclass(frozen=True)
class Settings:
    """Which graphs, and how exactly."""

    graphs: tuple[str, ...] = ("CollegeMsg", "bitcoin-otc", "facebook")
    epsilon: float = 1e-5
    window: float = 0.2  # share of the whole time for which an edge lives
    sources: int = 5  # random nodes over which work is averaged
    parts: int = 10  # of the stream, after each of which a comparison is made
    followed: int = 10  # nodes whose scores are drawn
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One stream per cell: undirected from sources, and directed to targets where the graph has directions."""
    for trial in range(settings.trials):
        for graph in settings.graphs:
            for end in ("source", "target") if graph not in ("facebook", "Orkut") else ("source",):
                for mode in ("growing", "window"):
                    yield {"graph": graph, "end": end, "mode": mode, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Work per insertion and per deletion, error, and work of a static computation, part by part of the stream."""
    data = LARGE if cell["graph"] in ("LiveJournal", "Orkut", "Pokec") else SMALL
    events = read_stream(context.data(data), cell["graph"], context.generator)
    directed = cell["end"] == "target"
    labels = nodes_of([events])
    chosen = context.generator.choice(labels, settings.sources, replace=False).tolist()
    graph = DynamicGraph(directed=directed)
    ranked = DynamicPageRank(graph, **{cell["end"] + "s": chosen}, epsilon=settings.epsilon)
    span = settings.window * float(np.ptp(events.times))
    window = SlidingWindow(span, directed=directed) if cell["mode"] == "window" else None
    rows = []
    for part, places in enumerate(np.array_split(np.arange(len(events)), settings.parts)):
        arrived = events[slice(places[0], places[-1] + 1)]
        cost = follow(ranked, arrived if window is None else window.advance(arrived))
        static = DynamicPageRank(graph, **{cell["end"] + "s": chosen}, epsilon=settings.epsilon)
        rows.append(
            {
                "share": (part + 1) / settings.parts,
                "edges": graph.number_of_edges(),
                "error": worst_error(ranked, chosen, cell["end"]),
                "static_work": static.stats.work / settings.sources,
                **{name: value / settings.sources for name, value in cost.items() if name.endswith("work")},
                **{name: value for name, value in cost.items() if not name.endswith("work")},
                "update_work": sum(v for k, v in cost.items() if k.endswith("work"))
                / settings.sources
                / max(cost["insertions"] + cost["deletions"], 1),
            }
        )
    followed = trajectory(settings, cell, events) if cell["trial"] == 0 and cell["mode"] == "growing" else []
    return rows + followed


def follow(ranked: DynamicPageRank, events: EventList) -> dict[str, float]:
    """Follow a stream event by event; return how many insertions and deletions there were, and the work of each."""
    cost = {"insertions": 0, "deletions": 0, "insertion_work": 0, "deletion_work": 0}
    changes = np.flatnonzero(np.diff(events.signs)) + 1
    for begin, end in zip([0, *changes], [*changes, len(events)]):
        if begin == end:
            continue
        kind = "insertion" if events.signs[begin] > 0 else "deletion"
        edges, work = ranked.graph.number_of_edges(), ranked.stats.work
        ranked.update(events[slice(begin, end)], multi="ignore")
        cost[f"{kind}s"] += abs(ranked.graph.number_of_edges() - edges)
        cost[f"{kind}_work"] += ranked.stats.work - work
    return dict(cost)


def worst_error(ranked: DynamicPageRank, chosen: list[Any], end: str) -> float:
    """Largest error over nodes, in units of the bound, of one of the sources or targets."""
    truth = power_iteration(ranked.graph, **{end: chosen[0]}, tolerance=1e-12)
    error = np.abs(truth - ranked.scores(of=chosen[0]).to_numpy())
    degrees = ranked.graph.arrays.total[: len(error)] if end == "source" else 1.0
    return float((error / (ranked.epsilon * degrees)).max())


def trajectory(settings: Settings, cell: Mapping[str, Any], events: EventList) -> list[dict[str, Any]]:
    """How the scores of the best nodes move, from the node of most events."""
    if cell["end"] != "source":
        return []
    ends, counts = np.unique(np.concatenate([events.tails, events.heads]), return_counts=True)
    busiest = ends[np.argmax(counts)].item()
    ranked, seen = (
        DynamicPageRank(DynamicGraph(), source=busiest, epsilon=settings.epsilon),
        Trajectory(settings.followed),
    )
    for places in np.array_split(np.arange(len(events)), 5 * settings.parts):
        ranked.update(events[slice(places[0], places[-1] + 1)], multi="ignore")
        seen.record(int(places[-1]) + 1, ranked.scores())
    return [
        {"node": str(label), "events": event, "score": float(score), "rank": rank}
        for rank, (label, path) in enumerate(seen.paths())
        for event, score in zip(seen.events, path)
    ]


def plot(table: pd.DataFrame) -> Figure:
    """Work per update along the streams beside static work, and the trajectories of one node."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4))
    costs = table[table["share"].notna() & (table["mode"] == "growing")]
    for (graph, end), rows in costs.groupby(["graph", "end"]):
        mean = rows.groupby("share")[["update_work", "static_work"]].mean()
        label = f"{graph}, {'to targets' if end == 'target' else 'from sources'}"
        marker = "s" if end == "target" else "o"
        (line,) = left.plot(mean.index, mean["update_work"], label=label, linestyle="-", marker=marker)
        left.plot(mean.index, mean["static_work"], color=line.get_color(), linestyle=":", linewidth=1.0)
    left.set(yscale="log", xlabel="share of the stream", ylabel="edges touched")
    left.text(0.98, 0.62, "dotted: from scratch\nsolid: per update", transform=left.transAxes, ha="right", fontsize=7)
    followed = table[table["node"].notna()] if "node" in table else table.iloc[:0]
    if len(followed):
        first = followed[followed["graph"] == followed["graph"].iloc[0]]
        # As many as there are colours to tell them apart.
        for rank, rows in first[first["rank"] < 6].groupby("rank"):
            right.plot(rows["events"], rows["score"], label=rows["node"].iloc[0], linewidth=1.0 + (rank == 0))
        right.set(yscale="log", xlabel=f"events of {first['graph'].iloc[0]}", ylabel="score from its busiest node")
        right.legend(title="node", ncols=2, fontsize=6, title_fontsize=7, loc=(0.62, 0.5))
    left.set_ylim(1, None)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=7)
    return figure


def deletion_over_insertion(table: pd.DataFrame) -> pd.Series:
    """Work per deletion over work per insertion in the sliding window, geometric mean over the streams, per trial."""
    rows = table[table["mode"].eq("window") & table["share"].notna()]
    sums = rows.groupby(["trial", "graph", "end"])[["insertions", "deletions", "insertion_work", "deletion_work"]].sum()
    if sums.empty or (sums["deletions"] == 0).any():
        raise RowsMissing("a stream without deletions")
    ratio = (sums["deletion_work"] / sums["deletions"]) / (sums["insertion_work"] / sums["insertions"])
    logarithms: pd.Series = np.log(ratio)
    return logarithms.groupby("trial").mean().map(np.exp)


def worst(table: pd.DataFrame) -> pd.Series:
    """Largest error in units of the bound, over all streams and moments."""
    return pd.Series([table["error"].max()])


EXPERIMENT = Experiment(
    name="real-streams",
    title="Real graphs, growing in the order of time and in a sliding window",
    scales={
        "smoke": Settings(graphs=("bitcoin-otc",), epsilon=1e-3, sources=2, parts=4, followed=3, trials=1),
        "laptop": Settings(),
        "paper": Settings(graphs=("LiveJournal", "Orkut", "Pokec"), epsilon=1e-6, sources=20, trials=1),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    data={"smoke": (SMALL,), "laptop": (SMALL,), "paper": (LARGE,)},
    claims=[
        Claim(
            "P8",
            "the error bound holds at all times on real streams (error / bound ≤ 1)",
            "definition of the approximation",
            "≤ 1",
            "direction",
            at_most(worst, 1.0),
        ),
        Claim(
            "P8b",
            "an update touches at least 100 times fewer edges than a computation from scratch on the same graph",
            "experiments on social graphs",
            None,
            "direction",
            beats(
                values("update_work", {"mode": "growing", "share": lambda share: share == 1.0}),
                values("static_work", {"mode": "growing", "share": lambda share: share == 1.0}),
                factor=100,
            ),
        ),
        Claim(
            "P9",
            "deletions cost the same as insertions, within a factor of 2, in a sliding window",
            "theorem, for both kinds of update",
            "1",
            "direction",
            all_of(
                at_most(deletion_over_insertion, 2.0, statistic="geometric mean"),
                at_least(deletion_over_insertion, 0.5, statistic="geometric mean"),
            ),
        ),
    ],
)
