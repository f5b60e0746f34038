"""The lower bound: data on which the gap is F √(2/(πN)) (claim B4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import sparse

from reprise.core import Claim, Context, Experiment, all_of, loglog_slope, slope, values, within
from reprise.core.figures import COLOURS, MARKERS
from reprise.gnn_bounds.experiments.data import TU, graphs_of
from reprise.gnn_bounds.experiments.degree_scaling import regular, star
from reprise.gnn_bounds.lower_bound import LIMIT, lower_bound_gap
from reprise.gnn_bounds.spectral import spectral_norm


@dataclass(frozen=True)
class Settings:
    """Graphs, depths, sizes of the training set, and draws of its labels."""

    graphs: tuple[str, ...] = ("star", "cycle", "IMDB-B 0")
    depths: tuple[int, ...] = (2, 4)
    examples: tuple[int, ...] = tuple(2**power for power in range(4, 13))  # N
    sizes: tuple[int, ...] = (4, 8, 16, 32, 64)  # of regular graphs: ‖A‖ grows while κ‖u‖ is fixed
    draws: int = 2000
    trials: int = 5
    scale: float = 1.3  # s_i


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One graph, depth and trial per cell."""
    for trial in range(settings.trials):
        for depth in settings.depths:
            for graph in settings.graphs:
                yield {"graph": graph, "depth": depth, "size": 0, "trial": trial}
            for size in settings.sizes:
                yield {"graph": "regular", "depth": depth, "size": size, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Gap of the empirical risk minimiser for every N."""
    P = _graph(cell, context)
    norm = spectral_norm(P)
    rows = []
    examples = settings.examples if cell["graph"] != "regular" else (1024,)
    for N in examples:
        scales = [settings.scale] * cell["depth"]
        found = lower_bound_gap(P, cell["depth"], scales, N, settings.draws, context.generator)
        kappa = found.factor / (norm ** (cell["depth"] - 1) * settings.scale ** cell["depth"])
        rows.append(
            {
                "N": N,
                "norm": norm,
                "gap": found.gap,
                "gap_over_kappa": found.gap / kappa,
                "normalised": found.normalised,
            }
        )
    return rows


def _graph(cell: Mapping[str, Any], context: Context) -> sparse.csr_array:
    if cell["graph"] == "star":
        return star(25)
    if cell["graph"] == "cycle":
        return _cycle(20)
    if cell["graph"] == "regular":
        return regular(cell["size"])
    return graphs_of(context.data(TU), "IMDB-B")[0].adjacency


def _cycle(nodes: int) -> sparse.csr_array:
    rows = np.repeat(np.arange(nodes), 2)
    columns = (rows + np.tile([1, -1], nodes)) % nodes
    return sparse.csr_array((np.ones(2 * nodes), (rows, columns)), shape=(nodes, nodes))


def plot(table: pd.DataFrame) -> Figure:
    """gap·√N/F against N, beside the limit."""
    figure, axes = plt.subplots()
    part = table[table["graph"] != "regular"]
    for index, ((graph, depth), rows) in enumerate(part.groupby(["graph", "depth"])):
        mean = rows.groupby("N")["normalised"].agg(["mean", "std", "count"])
        shift = 1.04 ** (index - 2.5)
        axes.errorbar(
            mean.index * shift,
            mean["mean"],
            2.0 * mean["std"] / np.sqrt(mean["count"]),
            label=f"{graph}, l = {depth}",
            color=COLOURS[index],
            marker=MARKERS[index],
            linestyle="none",
            linewidth=1,
        )
    N = np.unique(table["N"])
    axes.plot(N, LIMIT * (1 - 1 / (4 * N)), color="#444444", linewidth=1, linestyle="-", label="E|ȳ|√N, to order 1/N")
    axes.axhline(LIMIT, color="black", linewidth=1, linestyle="--", label="√(2/π) = 0.798")
    axes.axhspan(LIMIT - 0.02, LIMIT + 0.02, color="#999999", alpha=0.2, linewidth=0)
    axes.set(xscale="log", xlabel="training examples N", ylabel="gap · √N / F", ylim=(0.74, 0.86))
    axes.set_xticks(N[::2], [str(value) for value in N[::2]])
    axes.minorticks_off()
    axes.legend(ncols=2)
    return figure


GRAPHS = ("star", "cycle", "IMDB-B 0")

EXPERIMENT = Experiment(
    name="lower-bound",
    title="Data on which the gap is as large as the bound says",
    scales={
        "smoke": Settings(graphs=("star", "cycle"), examples=(64, 256), sizes=(4, 16), draws=2000, trials=2),
        "laptop": Settings(),
    },
    data={"laptop": (TU,)},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "B4",
            "gap·√N/F, averaged over N, is √(2/π) on a star, a cycle and a real graph, l = 2 and 4 (shown: the star)",
            "theorem on the lower bound",
            round(LIMIT, 4),
            "number",
            all_of(
                *[
                    within(values("normalised", {"graph": graph, "depth": depth}), LIMIT, 0.02)
                    for graph in GRAPHS
                    for depth in (2, 4)
                ]
            ),
        ),
        Claim(
            "B4b",
            "the gap falls with N to the power −1/2 on each of these graphs (shown: the star, l = 2)",
            "theorem on the lower bound",
            -0.5,
            "number",
            all_of(
                *[
                    slope("N", "gap", expected=-0.5, tolerance=0.02, where={"graph": graph, "depth": depth})
                    for graph in GRAPHS
                    for depth in (2, 4)
                ]
            ),
        ),
        Claim(
            "B4c",
            "at fixed N the gap over κ grows with ‖P‖ to the power l − 1 on regular graphs (shown: l = 4)",
            "theorem on the lower bound",
            3.0,
            "number",
            all_of(
                *[
                    within(
                        loglog_slope("norm", "gap_over_kappa", {"graph": "regular", "depth": depth}), depth - 1, 0.02
                    )
                    for depth in (4, 2)
                ]
            ),
        ),
    ],
)
