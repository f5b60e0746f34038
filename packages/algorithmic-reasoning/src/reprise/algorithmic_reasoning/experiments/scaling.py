"""Claims C8, C13 and C14: groups that were planted, what a search costs, and how its time grows with the tasks.

Planted tasks have synthetic gradients: groups of four share a direction that their predictions follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.metrics import normalized_mutual_info_score

from reprise.algorithmic_reasoning.affinity import estimate_affinity
from reprise.algorithmic_reasoning.autobrane import search
from reprise.algorithmic_reasoning.experiments.networks import seeded
from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.algorithmic_reasoning.sampling import sample
from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, slope, values, within
from reprise.core.figures import COLOURS, MARKERS, band
from reprise.tasks import RandomProjection, TaskFeatures, partition, random_subsets

GROUP = 4  # tasks of a planted group


@dataclass(frozen=True)
class Settings:
    """Sizes of planted problems and of searches."""

    tasks: tuple[int, ...] = (8, 16, 32, 48)  # n
    parameters: int = 20_000  # length of a synthetic gradient
    rows: int = 64  # predictions per task
    dim: int = 100  # of projected gradients
    subsets_per_task: int = 8
    size: int = 4  # tasks of a subset
    ridge: float = 10.0  # of the sum of losses
    searched: tuple[int, ...] = (4, 12)  # algorithms of a whole search
    layers: tuple[int, ...] = (1, 3)
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One planted problem; one search."""
    for trial in range(settings.trials):
        for tasks in settings.tasks:
            yield {"part": "planted", "tasks": tasks, "trial": trial}
    for tasks in settings.searched:
        for layers in settings.layers:
            yield {"part": "search", "tasks": tasks, "layers": layers}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Seconds of computing and whether planted groups are found; or a search's trainings and gradient passes."""
    return [_planted(settings, cell, context) if cell["part"] == "planted" else _search(cell, context)]


def _planted(settings: Settings, cell: Mapping[str, Any], context: Context) -> dict[str, Any]:
    n = cell["tasks"]
    _stages(settings, GROUP * 2, context)  # what libraries load and compile at first use is no part of the method
    return _stages(settings, n, context)


def _stages(settings: Settings, n: int, context: Context) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(context.seed)
    directions = torch.randn(n // GROUP, settings.parameters, generator=generator)
    projection = RandomProjection(settings.parameters, settings.dim, seed=0)
    start = process_time()
    features = {}
    for task in range(n):
        gradients = torch.randn(settings.rows, settings.parameters, generator=generator)
        # Gradients of one group lie along its direction, which they all want to follow.
        along = torch.randn(settings.rows, 1, generator=generator)
        way = directions[task // GROUP]
        gradients = gradients / settings.parameters**0.5 + along * way / way.norm()
        features[str(task)] = TaskFeatures(projection.project(gradients), labels=along[:, 0].sign())
    projected = process_time()
    subsets = random_subsets(
        list(features), count=settings.subsets_per_task * n, size=settings.size, seed=context.shared_seed("subsets", n)
    )
    affinity = estimate_affinity(features, subsets=subsets, ridge=settings.ridge)
    fitted = process_time()
    found = partition(affinity, k=n // GROUP)
    done = process_time()
    truth = [task // GROUP for task in range(n)]
    return {
        "subsets": len(subsets),
        "agreement": float(normalized_mutual_info_score(truth, found.labels)),
        "gradient_seconds": projected - start,
        "fit_seconds": fitted - projected,
        "estimate_seconds": fitted - start,
        "split_seconds": done - fitted,
    }


def _search(cell: Mapping[str, Any], context: Context) -> dict[str, Any]:
    names = ALGORITHMS[: cell["tasks"]]
    layers, trained = cell["layers"], [0]

    def train(model: Any, layer: int) -> None:
        # What is counted here is asked for; how long it takes is another experiment's.
        trained[0] += len(model.routes)

    found = search(
        names,
        lambda tasks: seeded(
            tasks, context.seed, context.device, processor="mpnn", hidden=4, layers=layers, projection=4
        ),
        train,
        lambda name: sample(name, nodes=4, samples=1, seed=0),
        features={"dim": 10, "rows": 4, "hints": False},
        affinity={"subsets": 20, "size": 3, "ridge": 1.0},
        gains=True,
    )
    return {
        "trained": trained[0],
        "gradient_passes": found.gradient_passes,
        "share_of_bound": max(trained[0], found.gradient_passes) / (len(names) * layers),
        "modules": found.structure.num_modules,
    }


def plot(table: pd.DataFrame) -> Figure:
    """Seconds of the stages against the number of tasks, and task-level steps against their bound."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.1), width_ratios=(1.25, 1))
    planted = table[table["part"] == "planted"]
    stages = {"gradient_seconds": "gradients", "fit_seconds": "fits", "split_seconds": "semidefinite program"}
    for index, (column, label) in enumerate(stages.items()):
        style: Any = {"marker": MARKERS[index], "color": COLOURS[index]}
        band(left, planted, "tasks", column, label=label, log=True, **style)
    sizes = np.array(sorted(planted["tasks"].astype(int).unique()))
    anchor = planted.loc[planted["tasks"] == sizes[0], "gradient_seconds"].astype(float).mean()
    left.plot(sizes, anchor * sizes / sizes[0], color="black", ls=":", lw=1, label="slope 1")
    left.set(xscale="log", yscale="log", xlabel="tasks, n", ylabel="seconds of computing")
    left.set_xticks(sizes, [str(n) for n in sizes])
    left.xaxis.minorticks_off()
    left.legend()
    searches = table[table["part"] == "search"]
    bound = searches["tasks"].astype(int) * searches["layers"].astype(int)
    right.plot(bound, searches["trained"], "o", ls="", label="trainings of a task")
    right.plot(bound, searches["gradient_passes"], "x", ls="", color=COLOURS[1], label="gradient passes")
    right.axline((0, 0), slope=1, color="black", lw=1, ls="--", label="n L")
    right.set(xlabel="tasks times layers, n L", ylabel="task-level steps of the search")
    right.legend()
    return figure


def largest_share(table: pd.DataFrame) -> pd.Series[float]:
    """Largest share of n L over all searches."""
    return pd.Series([values("share_of_bound", {"part": "search"}, over="row")(table).max()])


def slope_with_the_program(table: pd.DataFrame) -> pd.Series[float]:
    """Slope of all seconds of a layer's search against the tasks, on log-log axes, one value per trial."""
    planted = table[table["part"] == "planted"]
    columns = ["tasks", "trial", "estimate_seconds", "split_seconds"]
    logs = (
        planted[columns]
        .astype(float)
        .assign(
            seconds=lambda rows: np.log(rows["estimate_seconds"] + rows["split_seconds"]),
            n=lambda rows: np.log(rows["tasks"]),
        )
    )
    found: pd.Series[float] = logs.groupby("trial")[["n", "seconds"]].apply(
        lambda rows: float(np.polyfit(rows["n"], rows["seconds"], 1)[0])
    )
    return found


EXPERIMENT = Experiment(
    name="scaling",
    title="What a search costs",
    scales={
        "smoke": Settings(
            tasks=(8, 12), parameters=300, rows=24, dim=20, searched=(3,), layers=(1,), trials=2, subsets_per_task=4
        ),
        "laptop": Settings(),
        "gpu": Settings(tasks=(8, 16, 32, 64, 128), parameters=200_000, dim=400),
        "paper": Settings(tasks=(8, 16, 32, 64, 128, 256, 500), parameters=2_000_000, dim=400),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    timings=("gradient_seconds", "fit_seconds", "estimate_seconds", "split_seconds"),
    claims=[
        Claim(
            "C8d",
            "the estimate and the semidefinite program find planted groups, every one (shown: normalised mutual "
            "information)",
            "Section 3",
            1.0,
            "direction",
            at_least(values("agreement", {"part": "planted"}, over="row"), 1.0 - 1e-9),
        ),
        Claim(
            "C13",
            "the computing time of estimating affinities grows linearly with the number of tasks (shown: slope)",
            "abstract: 500 tasks",
            1.0,
            "direction",
            slope("tasks", "estimate_seconds", expected=1.0, tolerance=0.25, where={"part": "planted"}),
        ),
        Claim(
            "C13b",
            "and so does that of a layer's whole search, with the semidefinite program (shown: slope)",
            "abstract: 500 tasks",
            1.0,
            "direction",
            within(slope_with_the_program, 1.0, 0.25),
        ),
        Claim(
            "C14",
            "a search over L layers trains tasks and takes their gradients at most n L times each (shown: share of n "
            "L)",
            "Section 3",
            "O(n L)",
            "number",
            all_of(
                at_most(largest_share, 1.0),
                at_least(values("trained", {"part": "search"}, over="part"), 1.0),
            ),
        ),
    ],
)
