"""Rounding errors of the repairs over ten million updates, and what `rebase` leaves of them (claims P1b and P1c)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, at_most, beats, values
from reprise.core.figures import band
from reprise.dynamic_pagerank.experiments.invariants import largest
from reprise.dynamic_pagerank.generators import barabasi_albert
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank


@dataclass(frozen=True)
class Settings:
    """A graph of which a random half of the edges goes and comes again, round after round."""

    nodes: int = 50_000
    edges_per_node: int = 10
    rounds: int = 21  # of as many updates as there are edges: 10⁷ and more in all
    epsilon: float = 1e-6  # from a source, where it is multiplied by the degree
    target_epsilon: float = 1e-4  # to a target
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One stream per cell."""
    for trial in range(settings.trials):
        for end in ("source", "target"):
            for weighted in (False, True):
                yield {"end": end, "weighted": weighted, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Violation of the invariant at every node after each round, and after a rebase in the end."""
    edges = barabasi_albert(settings.nodes, settings.edges_per_node, seed=context.shared_seed("graph", cell["trial"]))
    generator, weighted = context.generator, cell["weighted"]

    def weights(count: int) -> Any:
        return 10 ** generator.uniform(-1, 1, count) if weighted else np.ones(count)

    def events(chosen: Any, sign: int) -> Any:
        return np.column_stack([edges[chosen], np.full(len(chosen), sign), weights(len(chosen))])

    graph = DynamicGraph.from_edges(events(np.arange(len(edges)), 1), weighted=weighted, nodes=settings.nodes)
    origin: dict[str, Any] = {cell["end"]: int(generator.integers(settings.nodes))}
    epsilon = settings.epsilon if cell["end"] == "source" else settings.target_epsilon
    ranked = DynamicPageRank(graph, **origin, epsilon=epsilon)
    rows = []
    for done in range(1, settings.rounds + 1):
        half = generator.permutation(len(edges))[: len(edges) // 2]
        ranked.update(events(half, -1))
        ranked.update(events(generator.permutation(half), 1))
        rows.append({"updates": ranked.stats.updates, "violation": ranked.invariant_violation(), "rebased": np.nan})
        context.progress(done, settings.rounds)
    ranked.rebase()
    rows[-1]["rebased"] = ranked.invariant_violation()
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Largest violation along the stream, and what a rebase leaves."""
    figure, axes = plt.subplots(figsize=(5.6, 3.4))
    for (end, weighted), rows in table.groupby(["end", "weighted"]):
        name = f"{'to a target' if end == 'target' else 'from a source'}, {'weighted' if weighted else 'unweighted'}"
        millions = rows.assign(millions=rows["updates"] / 1e6)
        band(axes, millions, "millions", "violation", log=True, label=name, marker="s" if weighted else "o")
    rebased = table[table["rebased"].notna()]
    axes.plot(rebased["updates"] / 1e6, rebased["rebased"], "k_", markersize=12, label="after rebase()")
    axes.axhline(1e-12, color="#777777", linestyle=":")
    axes.text(
        0.98, 6e-13, "claimed", color="#777777", fontsize=8, ha="right", va="top", transform=axes.get_yaxis_transform()
    )
    axes.set(yscale="log", xlabel="updates, millions", ylabel="largest violation of the invariant")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


def _last(column: str) -> Any:
    return values(column, {"rebased": pd.notna})


EXPERIMENT = Experiment(
    name="drift",
    title="Rounding errors stay small over ten million updates",
    scales={
        "smoke": Settings(nodes=200, edges_per_node=3, rounds=4, trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "P1b",
            "the invariants hold through the whole of a long stream: largest violation at most 1e-12",
            "lemmas on insertion and deletion",
            "exact",
            "number",
            at_most(largest("violation"), 1e-12),
        ),
        Claim(
            "P1c",
            "a rebase at the end of a long stream lowers the largest violation",
            "goal of this reproduction",
            None,
            "direction",
            beats(_last("rebased"), _last("violation")),
        ),
    ],
)
