"""The invariants hold exactly, and the error bounds at all times, through long mixed streams (claims P1 and P2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, at_most
from reprise.core.figures import band
from reprise.dynamic_pagerank.exact import power_iteration
from reprise.dynamic_pagerank.generators import rmat
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank


@dataclass(frozen=True)
class Settings:
    """Sizes of the streams."""

    scale: int = 10  # 2**scale nodes
    edges: int = 10_000  # inserted in random order; every third is deleted again, half of the way later
    every: int = 1000  # events between two comparisons
    epsilons: tuple[float, ...] = (1e-4, 1e-6)
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One stream per cell."""
    for trial in range(settings.trials):
        for epsilon in settings.epsilons:
            for end, directed in (("source", False), ("target", False), ("target", True)):
                for weighted in (False, True):
                    yield {"end": end, "directed": directed, "weighted": weighted, "epsilon": epsilon, "trial": trial}


def mixed_stream(edges: Any, generator: np.random.Generator) -> Any:
    """Insertions in order, with every third edge deleted half a stream after it came, or in the end; (k, 3)."""
    inserted = np.arange(len(edges), dtype=float)
    chosen = generator.random(len(edges)) < 1 / 3
    moments = np.concatenate([inserted, inserted[chosen] + len(edges) / 2])
    signs = np.concatenate([np.ones(len(edges), dtype=np.int64), -np.ones(chosen.sum(), dtype=np.int64)])
    ends = np.concatenate([edges, edges[chosen]])
    return np.column_stack([ends, signs])[np.argsort(moments, kind="stable")]


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Largest violation and error, in units of what is allowed, after every thousand events."""
    directed, weighted = cell["directed"], cell["weighted"]
    edges = rmat(settings.scale, settings.edges, directed=directed, seed=context.seed)
    events: Any = mixed_stream(edges, context.generator).astype(float)
    if weighted:
        events = np.column_stack([events, 10 ** context.generator.uniform(-1, 1, len(events))])
    graph = DynamicGraph(directed=directed, weighted=weighted, nodes=2**settings.scale)
    origin: dict[str, Any] = {cell["end"]: int(edges[0, 0])}
    ranked = DynamicPageRank(graph, **origin, epsilon=cell["epsilon"])
    rows = []
    for begin in range(0, len(events), settings.every):
        ranked.update(events[begin : begin + settings.every])
        truth = power_iteration(graph, **origin, tolerance=1e-12)
        allowed = cell["epsilon"] * (graph.arrays.total if cell["end"] == "source" else 1.0)
        rows.append(
            {
                "events": begin + settings.every,
                "violation": ranked.invariant_violation(),
                "relative_error": float((np.abs(truth - ranked.scores().to_numpy()) / allowed).max()),
            }
        )
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Error in units of the bound, and violation of the invariant, along the stream."""
    figure, (left, right) = plt.subplots(1, 2)
    for (end, directed), rows in table.groupby(["end", "directed"]):
        label = f"{'to a target' if end == 'target' else 'from a source'}, {'directed' if directed else 'undirected'}"
        band(left, rows, "events", "relative_error", label=label)
        worst = rows.groupby("events")["violation"].max()
        right.plot(worst.index, worst, label=label)
    left.axhline(1.0, color="#777777", linestyle=":")
    left.set(xlabel="events", ylabel="largest error / bound", ylim=(0, 1.15))
    left.text(0.02, 1.02, "bound", color="#777777", fontsize=8, transform=left.get_yaxis_transform())
    right.axhline(1e-12, color="#777777", linestyle=":")
    right.text(0.02, 5e-13, "claimed", color="#777777", fontsize=8, transform=right.get_yaxis_transform())
    right.set(xlabel="events", ylabel="largest violation of the invariant", yscale="log")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def largest(column: str, end: str | None = None) -> Callable[[pd.DataFrame], pd.Series]:
    """The largest value of a column over all streams and moments: one number, as what is claimed holds always."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        rows = table if end is None else table[table["end"] == end]
        if rows.empty:
            raise RowsMissing(f"no rows for {end}")
        return pd.Series([rows[column].max()])

    return quantity


EXPERIMENT = Experiment(
    name="invariants",
    title="The invariants hold exactly and the error bounds at all times",
    scales={
        "smoke": Settings(scale=6, edges=400, every=100, epsilons=(1e-5,), trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "P1",
            "the invariants hold exactly after any insertions and deletions: largest violation at most 1e-12",
            "lemmas on insertion and deletion",
            "exact",
            "number",
            at_most(largest("violation"), 1e-12),
        ),
        Claim(
            "P2",
            "from a source the error of every node is at most ε d(v), at all times (error / bound ≤ 1)",
            "definition of the approximation",
            "≤ 1",
            "number",
            at_most(largest("relative_error", "source"), 1.0),
        ),
        Claim(
            "P2b",
            "to a target the error of every node is at most ε, at all times (error / bound ≤ 1)",
            "definition of the approximation",
            "≤ 1",
            "number",
            at_most(largest("relative_error", "target"), 1.0),
        ),
    ],
)
