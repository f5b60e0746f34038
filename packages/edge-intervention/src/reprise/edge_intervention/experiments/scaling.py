"""Time and memory of one step, gradient and oracle, from 100,000 edges on (claim C13)."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, slope
from reprise.core.figures import band
from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.objectives import SpectralObjective
from reprise.edge_intervention.synthetic import power_law_graph
from reprise.edge_intervention.weights import as_weights


@dataclass(frozen=True)
class Settings:
    """Directed graphs with a heavy tail, 20 edges per node."""

    edges: tuple[int, ...] = (100_000, 300_000, 1_000_000, 3_000_000)  # drawn, before repeated ones are merged
    rank: int = 5
    budget: float = 0.05
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One graph per cell."""
    for trial in range(settings.trials):
        for edges in settings.edges:
            yield {"drawn": edges, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """CPU seconds of the gradient and of the oracle, and the memory that they take beside the graph."""
    W = as_weights(power_law_graph(cell["drawn"], seed=context.seed))
    objective, region = SpectralObjective(settings.rank), FeasibleSet(W, None, settings.budget)
    # Compile before the clock starts.
    objective.linearise(as_weights(np.eye(3)), 0)
    begin = time.process_time()
    near = objective.linearise(W, 0)
    middle = time.process_time()
    region.minimiser(near.gradient)
    end = time.process_time()
    tracemalloc.start()
    region.minimiser(objective.linearise(W, 0).gradient)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return [
        {
            "edges": W.nnz,
            "gradient_seconds": middle - begin,
            "oracle_seconds": end - middle,
            "seconds": end - begin,
            "bytes": peak,
        }
    ]


def plot(table: pd.DataFrame) -> Figure:
    """Time and memory against the number of edges."""
    figure, (left, right) = plt.subplots(1, 2)
    for column, label in (("seconds", "one step"), ("gradient_seconds", "gradient"), ("oracle_seconds", "oracle")):
        band(left, table, "drawn", column, label=label, log=True, marker="o")
    edges = np.array(sorted(table["drawn"].unique()), dtype=float)
    first = float(table.loc[table["drawn"] == edges[0], "seconds"].mean())
    left.plot(edges, first * edges / edges[0], color="#777777", linestyle=":", linewidth=1, label="linear")
    left.set(xscale="log", yscale="log", xlabel="edges", ylabel="CPU seconds, one thread")
    left.legend()
    band(right, table.assign(mib=table["bytes"] / 2**20), "drawn", "mib", log=True, marker="o")
    right.set(xscale="log", yscale="log", xlabel="edges", ylabel="MiB beside the graph")
    return figure


EXPERIMENT = Experiment(
    name="scaling",
    title="One step is nearly linear in the edges",
    scales={
        "smoke": Settings(edges=(10_000, 30_000, 100_000), trials=1),
        "laptop": Settings(),
        "gpu": Settings(edges=(1_000_000, 10_000_000, 100_000_000)),
        "paper": Settings(edges=(100_000, 1_000_000, 10_000_000, 100_000_000)),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    timings=("gradient_seconds", "oracle_seconds", "seconds", "bytes"),
    claims=[
        Claim(
            "C13",
            "the time of an iteration is nearly linear in the edges, 10⁵ to 3·10⁶ (exponent 1.1)",
            "poster, 10⁵ to 10⁸ edges",
            "near-linear",
            "direction",
            slope("edges", "seconds", expected=1.1, tolerance=0.15),
        ),
        Claim(
            "C13b",
            "and so is the memory (exponent 1)",
            "goal of this reproduction",
            None,
            "direction",
            slope("edges", "bytes", expected=1.0, tolerance=0.1),
        ),
    ],
)
