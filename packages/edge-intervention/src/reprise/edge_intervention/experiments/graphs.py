"""Three social and transport graphs with 20 % less weight: σ₁ falls, infections need not (claims C10, C11, B2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import sparse

from reprise.core import Claim, Context, Experiment, all_of, beats, values, within
from reprise.core.checks import select
from reprise.core.figures import COLOURS
from reprise.edge_intervention.experiments.networks import (
    BASELINES,
    FIXED,
    GRAPHS,
    SIMPLE,
    SOCIAL,
    graph,
    top_singular_value,
)
from reprise.edge_intervention.individual import simulate_graph
from reprise.edge_intervention.solver import frank_wolfe

METHODS = ("none", *BASELINES, "water-fill", "FW paper", "FW r=1", "FW fixed", "mean field")
# Read from the bars of the authors' poster, to 1 or 2 %: σ₁ and thousands recovered after 50 steps.
PAPER: dict[str, dict[str, tuple[float, float]]] = {
    "airport": {"FW paper": (60.4, 596), "K-edge": (65.0, 651), "weighted": (80.4, 659), "uniform": (86.6, 683)},
    "advogato": {"FW paper": (20.1, 393), "K-edge": (24.8, 457), "weighted": (37.4, 499), "uniform": (38.4, 551)},
    "bitcoin": {"FW paper": (35.7, 555), "K-edge": (39.0, 609), "weighted": (58.0, 730), "uniform": (62.5, 716)},
}
# Stated before the first run.
SIGMA_TOLERANCE, INFECTION_TOLERANCE = 0.05, 0.10


@dataclass(frozen=True)
class Settings:
    """Which graphs, and how many runs: one run has a standard deviation of about 130, methods differ by 10."""

    graphs: tuple[str, ...] = ("airport", "advogato", "bitcoin")
    methods: tuple[str, ...] = METHODS
    budget: float = 0.2  # share of all weight
    runs: int = 2000
    mean_field_steps: int = 25
    drawn: int = 60  # nodes of largest weight whose edges are drawn
    drawn_graph: str = "airport"


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One graph and method per cell."""
    for name in settings.graphs:
        for method in settings.methods:
            yield {"graph": name, "method": method}


def intervention(W: sparse.csr_array, name: str, method: str, settings: Settings, device: str) -> sparse.csr_array:
    """Return the weights of a method."""
    budget: dict[str, Any] = {"budget_fraction": settings.budget}
    _, _, rank, steps = GRAPHS[name]
    if method == "none":
        return W
    if method == "FW paper":
        return frank_wolfe(W, rank=rank, steps=steps, mode="paper", **budget).weights
    if method == "FW r=1":
        return frank_wolfe(W, rank=1, steps=FIXED[1], **budget).weights
    if method == "FW fixed":
        return frank_wolfe(W, rank=FIXED[0], steps=FIXED[1], smoothing=0.0, **budget).weights
    if method == "mean field":
        made = frank_wolfe(W, objective="mean_field", steps=settings.mean_field_steps, device=device, **budget)
        return made.weights
    return SIMPLE[method](W, **budget)


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Means over batches of runs (a trial each) and σ₁; the edges of the largest nodes."""
    name, method = cell["graph"], cell["method"]
    W = graph(context, name)
    M = intervention(W, name, method, settings, context.device)
    found = simulate_graph(M, runs=settings.runs, seed=context.shared_seed("runs", name))
    sigma, removed = top_singular_value(M), float(1 - M.sum() / W.sum())
    # Batches of runs keep the table small; they are independent, so that intervals stay what they are.
    batches = min(40, settings.runs)
    rows = [
        {
            "kind": "run",
            "trial": batch,
            "sigma": sigma,
            "removed": removed,
            "infections": float(found.infections[chosen].mean()),
            "ever_infected": float(found.ever_infected[chosen].mean()),
            "peak": float(found.peak[chosen].mean()),
        }
        for batch, chosen in enumerate(np.array_split(np.arange(settings.runs), batches))
    ]
    if name == settings.drawn_graph and method in ("K-edge", "FW paper", "mean field"):
        rows += cut_edges(W, M, settings.drawn)
    return rows


def cut_edges(W: sparse.csr_array, M: sparse.csr_array, count: int) -> list[dict[str, Any]]:
    """The edges among the largest nodes, largest first, with the share of each that is cut."""
    largest = np.argsort(-(W.sum(axis=0) + W.sum(axis=1)), kind="stable")[:count]
    before, after = W[largest][:, largest].toarray(), M[largest][:, largest].toarray()
    return [
        {
            "kind": "edge",
            "from": int(i),
            "to": int(j),
            "weight": float(before[i, j]),
            "cut": float(1 - after[i, j] / before[i, j]),
        }
        for i, j in np.argwhere(before > 0)
    ]


def plot(table: pd.DataFrame) -> Figure:
    """σ₁ and infections of every method beside the paper's; which edges among the largest nodes are cut."""
    figure = plt.figure(figsize=(8.0, 6.2))
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.5, 1.0])
    above, below = parts
    names = list(dict.fromkeys(table["graph"]))
    runs = table[table["kind"] == "run"]
    panels = above.subplots(2, len(names), sharey=True, squeeze=False)
    for column, name in enumerate(names):
        for line, (what, label) in enumerate((("sigma", "σ₁"), ("infections", "recovered after 50 steps"))):
            _bars(panels[line][column], runs[runs["graph"] == name], name, what, line)
            panels[line][column].set(xlabel=label, title=name if line == 0 else "")
    edges = table[table["kind"] == "edge"]
    drawn = [method for method in ("K-edge", "FW paper", "mean field") if (edges["method"] == method).any()]
    lower = below.subplots(1, max(len(drawn), 1), squeeze=False)[0]
    for axes, method in zip(lower, drawn):
        image = _network(axes, edges[edges["method"] == method])
        axes.set_title(f"{edges['graph'].iloc[0]}, cut by {method}")
    if drawn:
        lower[0].set_ylabel("source, by weight")
        bar = below.colorbar(image, ax=list(lower), label="share of edge cut", ticks=[0, 0.5, 1])
        bar.ax.set_ylim(0, 1)
    return figure


def _bars(axes: Axes, rows: pd.DataFrame, name: str, what: str, which: int) -> None:
    methods = list(dict.fromkeys(rows["method"]))
    groups = rows.groupby("method")[what]
    mean, error = groups.mean().reindex(methods), 1.96 * groups.sem().reindex(methods).fillna(0.0)
    axes.barh(np.arange(len(methods)), mean, xerr=error, color="#bbbbbb", edgecolor="#444444", linewidth=0.6)
    for place, method in enumerate(methods):
        if method in PAPER[name]:
            axes.plot(PAPER[name][method][which], place, marker="D", color=COLOURS[1], linestyle="none", markersize=4)
    axes.set_yticks(range(len(methods)), methods, fontsize=7)
    axes.set_ylim(len(methods) - 0.4, -0.6)


def _network(axes: Axes, edges: pd.DataFrame) -> Any:
    """The edges among the largest nodes as a matrix: white none, light kept, dark cut."""
    count = int(max(edges["from"].max(), edges["to"].max())) + 1
    grid = np.full((count, count), np.nan)
    grid[edges["from"].to_numpy(dtype=int), edges["to"].to_numpy(dtype=int)] = edges["cut"]
    image = axes.imshow(grid, cmap="Greys", vmin=-0.25, vmax=1.0, interpolation="nearest")
    axes.set(xlabel="target, by weight", xticks=[0, count - 1], yticks=[0, count - 1])
    axes.set_xticklabels(["1", str(count)])
    axes.set_yticklabels(["1", str(count)])
    axes.grid(False)
    return image


def _of(column: str, name: str, method: str) -> Callable[[pd.DataFrame], pd.Series]:
    return values(column, {"kind": "run", "graph": name, "method": method})


def sigma(name: str, method: str) -> Callable[[pd.DataFrame], pd.Series]:
    """σ₁ of a method: one number."""
    quantity = _of("sigma", name, method)
    return lambda table: quantity(table).iloc[:1]


def saving(table: pd.DataFrame) -> pd.Series:
    """How much smaller σ₁ is than with the best of the three baselines, as a share; one value per graph."""
    shares = []
    for name in PAPER:
        rows = select(table, {"kind": "run", "graph": name})
        top = {method: select(rows, {"method": method})["sigma"].iloc[0] for method in ("FW paper", *BASELINES)}
        shares.append(1 - top["FW paper"] / min(top[method] for method in BASELINES))
    return pd.Series(shares)


def _sigma_claims() -> Iterator[Claim]:
    names = {"FW paper": "Frank-Wolfe", "K-edge": "K-edge deletion", "weighted": "weighted", "uniform": "uniform"}
    for letter, name in zip("abc", PAPER):
        _, _, rank, steps = GRAPHS[name]
        for place, (method, title) in enumerate(names.items()):
            value = PAPER[name][method][0]
            note = (
                "the figure must come from another map of ratings to weights than the code's exp(rating/5): even "
                "uniform scaling, which is 0.8 σ₁ of the graph, does not match"
                if name == "bitcoin"
                else ""
            )
            if name == "advogato" and method == "FW paper":
                note = "with T = 12 steps of the published rules; r = 1 and 30 open-loop steps reach 19.1"
            if name == "airport" and method == "FW paper":
                note = "ours is lower than the paper's, in as many steps"
            more = f", r = {rank}, T = {steps}" if method == "FW paper" else ""
            yield Claim(
                f"C10{letter}{place or ''}",
                f"σ₁ after the intervention, {name}, 20 %: {title}{more}",
                "poster, bars",
                value,
                "number",
                within(sigma(name, method), value, SIGMA_TOLERANCE, relative=True),
                tried=note,
            )


EXPERIMENT = Experiment(
    name="graphs",
    title="Airports, Advogato and Bitcoin Alpha with 20 % less weight",
    scales={
        "smoke": Settings(
            graphs=("airport",),
            methods=("none", "uniform", "K-edge", "FW paper", "mean field"),
            runs=40,
            mean_field_steps=1,
        ),
        "laptop": Settings(),
        "paper": Settings(runs=40_000),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    data={"smoke": (SOCIAL,), "laptop": (SOCIAL,), "paper": (SOCIAL,)},
    claims=[
        *_sigma_claims(),
        *(
            Claim(
                f"C11{letter}",
                f"Frank-Wolfe leaves fewer recovered after 50 steps than uniform, weighted and K-edge deletion, {name}",
                "poster, bars",
                f"{PAPER[name]['FW paper'][1]} against {PAPER[name]['K-edge'][1]} or more",
                "direction",
                all_of(
                    *(
                        beats(_of("infections", name, "FW paper"), _of("infections", name, method))
                        for method in BASELINES
                    )
                ),
                tried="one run has a standard deviation of about 130, so that the paper's 50 runs cannot tell the "
                "methods apart; 2000 coupled runs can",
            )
            for letter, name in zip("abc", PAPER)
        ),
        *(
            Claim(
                f"C11{letter}1",
                f"recovered after 50 steps with Frank-Wolfe, {name}",
                "poster, bars",
                PAPER[name]["FW paper"][1],
                "number",
                within(
                    _of("infections", name, "FW paper"), PAPER[name]["FW paper"][1], INFECTION_TOLERANCE, relative=True
                ),
            )
            for letter, name in zip("abc", PAPER)
        ),
        Claim(
            "C12e",
            "σ₁ is 25.1 % lower than that of existing methods: mean over three graphs, against the best of three",
            "poster, average over 11 networks",
            0.251,
            "direction",
            within(saving, 0.251, 0.1),
        ),
        Claim(
            "B2",
            "the mean-field objective leaves at most half as many ever infected as K-edge deletion, uniform and the "
            "paper's method at the same budget, on all three",
            "beyond the paper",
            None,
            "direction",
            all_of(
                *(
                    beats(_of("ever_infected", name, "mean field"), _of("ever_infected", name, method), factor=2)
                    for name in PAPER
                    for method in ("K-edge", "uniform", "FW paper")
                )
            ),
        ),
    ],
)
