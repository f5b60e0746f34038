"""Claim C1: graphs and trajectories equal those of CLRS-30, array by array; and how long trajectories are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.data_sets import REFERENCE
from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.algorithmic_reasoning.sampling import FAMILIES, sample
from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, slope, values
from reprise.core.figures import COLOURS, DASHES, MARKERS

# Seed, nodes, graphs and whether chances of edges are those of training, of the keys in the reference.
CONFIGURATIONS = {
    "seed11_n5": (11, 5, 3, False),
    "seed12_n16": (12, 16, 3, False),
    "seed13_n16_trainp": (13, 16, 2, True),
}


@dataclass(frozen=True)
class Settings:
    """Which references, and the sizes at which lengths are measured."""

    configurations: tuple[str, ...] = tuple(CONFIGURATIONS)
    sizes: tuple[int, ...] = (8, 16, 32, 64)
    samples: int = 32  # graphs per size


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One algorithm and reference, or one algorithm and size."""
    for name in ALGORITHMS:
        for configuration in settings.configurations:
            yield {"part": "reference", "algorithm": name, "configuration": configuration}
        for nodes in settings.sizes:
            yield {"part": "length", "algorithm": name, "nodes": nodes}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Arrays of the reference that differ, of how many; or the lengths of trajectories."""
    name = cell["algorithm"]
    if cell["part"] == "length":
        lengths = sample(name, nodes=cell["nodes"], samples=settings.samples, seed=context.seed).lengths.double()
        return [
            {"shortest": float(lengths.min()), "mean_length": float(lengths.mean()), "longest": float(lengths.max())}
        ]
    seed, nodes, samples, training = CONFIGURATIONS[cell["configuration"]]
    p = FAMILIES[name].training_p if training else None
    found = sample(name, nodes=nodes, samples=samples, seed=seed, p=p)
    stages = {"input": found.inputs, "hint": found.hints, "output": found.outputs}
    prefix = f"{name}/{cell['configuration']}/"
    with np.load(context.data(REFERENCE) / "clrs_reference.npz") as file:
        expected = {key.removeprefix(prefix): file[key] for key in file if key.startswith(prefix)}
    differing = int(not np.array_equal(found.lengths, expected.pop("lengths")))
    for key, array in expected.items():
        stage, _, probe = key.partition("_")
        differing += not np.array_equal(stages[stage][probe].numpy(), array)
    missing = sum(map(len, stages.values())) - len(expected)
    return [{"arrays": len(expected) + 1, "differing": differing + abs(missing)}]


def plot(table: pd.DataFrame) -> Figure:
    """Mean length of a trajectory against the number of nodes."""
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    rows = table[table["part"] == "length"]
    for index, (name, part) in enumerate(rows.groupby("algorithm", sort=False)):
        style: Any = {
            "color": COLOURS[index % len(COLOURS)],
            "marker": MARKERS[index % len(MARKERS)],
            "linestyle": DASHES[(index // len(COLOURS)) % len(DASHES)],
        }
        axes.plot(part["nodes"], part["mean_length"], label=str(name).replace("_", " "), **style)
    axes.set(xscale="log", yscale="log", xlabel="nodes, N", ylabel="steps of a trajectory")
    axes.set_xticks(sorted(rows["nodes"].unique()))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.minorticks_off()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def of(column: str, **where: Any) -> Any:
    """A column over all rows that `where` chooses, one value per row."""
    return values(column, where, over="row")


EXPERIMENT = Experiment(
    name="traces",
    title="Twelve algorithms, step by step as in CLRS-30",
    scales={
        "smoke": Settings(configurations=("seed11_n5",), sizes=(4, 8), samples=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "C1",
            "graphs, hints, outputs and lengths of all twelve algorithms equal those of CLRS-30, every array, at every "
            "seed and size of the reference (shown: arrays that differ)",
            "foundation of the paper's experiments",
            "exact equality",
            "number",
            all_of(at_most(of("differing", part="reference"), 0.0), at_least(of("arrays", part="reference"), 4.0)),
        ),
        Claim(
            "C1b",
            "a depth-first search of N nodes takes 3N steps, whatever the graph: slope 1 (shown: the slope)",
            "Section on data; lengths of the official test split",
            1.0,
            "number",
            slope("nodes", "mean_length", expected=1.0, tolerance=1e-6, where={"part": "length", "algorithm": "dfs"}),
        ),
    ],
)
