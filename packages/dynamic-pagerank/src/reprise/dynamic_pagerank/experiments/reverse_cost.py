"""Reverse push to a random target costs O(k + d̄/ε): undirected, or directed in random order (claim P4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_most, loglog_slope, slope
from reprise.core.figures import band
from reprise.dynamic_pagerank.generators import barabasi_albert, erdos_renyi
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank


@dataclass(frozen=True)
class Settings:
    """Sizes of the graphs, which grow edge by edge."""

    edges: int = 80_000  # k
    degrees: tuple[int, ...] = (4, 8, 16, 32)  # d̄ = 2k/n, or k/n if directed
    degree: int = 8  # of the other slopes
    epsilons: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    fixed: float = 1e-2  # ε of the slopes in k and d̄, so that k ≫ d̄/(αε)
    first: int = 10_000  # k from which the slope in k is taken
    targets: int = 50  # random nodes over which work is averaged
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One growing graph with all its targets per cell."""
    for trial in range(settings.trials):
        for directed in (False, True):
            for degree in settings.degrees:
                for epsilon in settings.epsilons if degree == settings.degree else (settings.fixed,):
                    yield {"directed": directed, "degree": degree, "epsilon": epsilon, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Edges touched and updates, mean over the targets, as the graph grows."""
    seed = context.shared_seed(cell["directed"], cell["degree"], cell["trial"])
    if cell["directed"]:
        nodes = settings.edges // cell["degree"]
        edges = erdos_renyi(nodes, settings.edges, directed=True, seed=seed)
    else:
        nodes = 2 * settings.edges // cell["degree"]
        edges = barabasi_albert(nodes, cell["degree"] // 2, seed=seed)
    targets = context.generator.choice(nodes, settings.targets, replace=False).tolist()
    graph = DynamicGraph(directed=cell["directed"], nodes=nodes)
    ranked = DynamicPageRank(graph, targets=targets, epsilon=cell["epsilon"])
    rows, done, updates = [], 0, 1000
    while done < len(edges):
        updates = min(updates, len(edges))
        ranked.update(edges[done:updates])
        touched = ranked.stats.work / settings.targets
        rows.append(
            {
                "updates": updates,
                "inverse_epsilon": 1 / cell["epsilon"],
                "touched": touched,
                "total": updates + touched,
                "late": settings.first <= updates,
                "complete": updates == len(edges),
                "fixed": cell["epsilon"] == settings.fixed,
                "usual_degree": cell["degree"] == settings.degree,
            }
        )
        done, updates = updates, 2 * updates
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Work against the number of updates, 1/ε and the average degree."""
    figure, panels = plt.subplots(1, 3, figsize=(8.4, 3.0))
    usual, complete, fixed = table["usual_degree"], table["complete"], table["fixed"]
    views = (
        ("updates", "total", usual & fixed, "updates k", "updates + edges touched"),
        ("inverse_epsilon", "touched", usual & complete, "1/ε", "edges touched in all"),
        ("degree", "touched", fixed & complete, "average degree d̄", "edges touched in all"),
    )
    for axes, (x, y, chosen, xlabel, ylabel) in zip(panels, views):
        for directed, rows in table[chosen].groupby("directed"):
            label = "directed, random order" if directed else "undirected"
            band(axes, rows, x, y, log=True, label=label, marker="o")
        ends = table.loc[chosen, x].min(), table.loc[chosen, x].max()
        start = table.loc[chosen & (table[x] == ends[0]), y].mean()
        axes.plot(ends, (start, start * ends[1] / ends[0]), color="#777777", linestyle=":", label="slope 1")
        axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    degrees = sorted(table["degree"].unique())
    panels[2].set_xticks(degrees, [str(degree) for degree in degrees])
    panels[2].minorticks_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


_BOTH = (False, True)
EXPERIMENT = Experiment(
    name="reverse-cost",
    title="Reverse push costs O(k + d̄/ε) to a random target",
    scales={
        "smoke": Settings(
            edges=4000, degrees=(4, 8), epsilons=(1e-1, 1e-2), fixed=1e-2, first=1000, targets=3, trials=2
        ),
        "laptop": Settings(),
        "paper": Settings(edges=16_000_000, targets=100, first=100_000),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "P4",
            "the work of k updates to a random target is linear in k at fixed ε (exponent 1), on undirected graphs and "
            "on directed ones in random order",
            "theorem: O(k + d̄/ε)",
            1.0,
            "number",
            all_of(
                *(
                    slope(
                        "updates",
                        "total",
                        expected=1.0,
                        tolerance=0.1,
                        where={"directed": directed, "fixed": True, "usual_degree": True, "late": True},
                    )
                    for directed in _BOTH
                )
            ),
        ),
        Claim(
            "P4b",
            "the edges touched grow at most like 1/ε, on both (exponent ≤ 1)",
            "theorem: O(k + d̄/ε)",
            "≤ 1",
            "number",
            all_of(
                *(
                    at_most(
                        loglog_slope(
                            "inverse_epsilon", "touched", {"directed": d, "usual_degree": True, "complete": True}
                        ),
                        1.0,
                    )
                    for d in _BOTH
                )
            ),
            tried="from ε = 0.01 to 0.001 the exponent is above 1, as many targets hardly push at 0.01, and from 0.001 "
            "to 0.0001 below 1; the slope over all three lies between, and its interval reaches above 1",
        ),
        Claim(
            "P4c",
            "the edges touched grow at most like the average degree, on both (exponent ≤ 1)",
            "theorem: O(k + d̄/ε)",
            "≤ 1",
            "number",
            all_of(
                *(
                    at_most(loglog_slope("degree", "touched", {"directed": d, "fixed": True, "complete": True}), 1.0)
                    for d in _BOTH
                )
            ),
            tried="it holds on directed graphs; on undirected ones the mean is below 1, but with 50 random targets of "
            "preferential-attachment graphs the interval over five graphs reaches above 1",
        ),
    ],
)
