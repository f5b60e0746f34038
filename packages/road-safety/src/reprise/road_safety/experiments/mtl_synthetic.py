"""One network for five cities, and traffic volume besides, against one network for each (claim A4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, beats, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.multitask import train_multitask
from reprise.road_safety.synthetic import synthetic_states

YEARS = ((2018,), (2019,), (2020,))
MODES = ("single", "multitask", "with volume")
MEASURES = {"classification": "auroc", "regression": "mae_pos"}


@dataclass(frozen=True)
class Settings:
    """Five cities per trial."""

    nodes: int = 400  # of each city
    hidden: int = 64
    layers: int = 2
    epochs: int = 20
    lr: float = 5e-3
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One way of training on one kind of task per cell."""
    for trial in range(settings.trials):
        for task in MEASURES:
            for mode in MODES:
                yield {"task": task, "mode": mode, "trial": trial}


@lru_cache(maxsize=1)
def _states(nodes: int, seed: int) -> tuple[RoadDataset, ...]:
    years = tuple(year for part in YEARS for year in part)
    return tuple(state.dataset for state in synthetic_states(nodes, years, seed=seed))


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Test metrics of every city."""
    seed = context.shared_seed("cities", cell["trial"])
    states = _states(settings.nodes, seed)
    names = {state.name: f"{state.name}_accident_{cell['task']}" for state in states}

    def run(chosen: tuple[RoadDataset, ...], tasks: list[str]) -> dict[str, dict[str, dict[str, float]]]:
        return train_multitask(
            chosen,
            tasks,
            lambda node, edge: RoadGNN(node, edge, settings.hidden, settings.layers, "sage"),
            *YEARS,
            settings.epochs,
            settings.lr,
            seed,
            history=False,
            device=context.device,
            progress=context.progress,
        ).metrics

    if cell["mode"] == "single":
        found = {names[state.name]: run((state,), [names[state.name]])[names[state.name]] for state in states}
    else:
        volumes = [f"{state.name}_volume_regression" for state in states] if cell["mode"] == "with volume" else []
        found = run(states, [*names.values(), *volumes])
    return [
        {"city": state.name, **{key: found[names[state.name]]["test"][key] for key in ("auroc", "ap", "mae_pos")}}
        for state in states
    ]


def plot(table: pd.DataFrame) -> Figure:
    """AUROC and error on crash edges of every city, by the way of training."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    labels = ("AUROC, accident or not (%)", "error on segments with accidents (accidents)")
    cities = list(dict.fromkeys(table["city"]))
    for axis, (task, column), label in zip(axes, MEASURES.items(), labels):
        for index, mode in enumerate(MODES):
            rows = table[(table["task"] == task) & (table["mode"] == mode)]
            shown = rows.groupby("city")[column].agg(["mean", "std", "count"]).reindex(cities)
            scale = 100 if column == "auroc" else 1
            axis.errorbar(
                np.arange(len(cities)) + (index - 1) * 0.22,
                shown["mean"] * scale,
                1.96 * shown["std"].fillna(0) / np.sqrt(shown["count"]) * scale,
                marker=MARKERS[index],
                color=COLOURS[index],
                linestyle="",
                capsize=2,
                markersize=5,
                label={"single": "each city alone", "multitask": "five cities", "with volume": "and traffic"}[mode],
            )
        axis.set_xticks(range(len(cities)), labels=cities)
        axis.set_ylabel(label)
    axes[0].legend(fontsize=7)
    return figure


def mean_over_cities(task: str, mode: str) -> Callable[[pd.DataFrame], pd.Series]:
    """The measure of a task, mean over the cities, per trial."""
    return values(MEASURES[task], {"task": task, "mode": mode})


def against_single(task: str, mode: str) -> Any:
    """Check that a way of training is better than one network per city."""
    lower = task == "regression"
    return beats(mean_over_cities(task, mode), mean_over_cities(task, "single"), lower_is_better=lower)


EXPERIMENT = Experiment(
    name="mtl-synthetic",
    title="One network for five cities, and for traffic",
    scales={"smoke": Settings(nodes=60, hidden=8, epochs=2, trials=2), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "A4",
            "one network for five cities has a larger AUROC than one for each (mean over cities)",
            "abstract: 0.9 % over eight states",
            "1.009 times",
            "direction",
            against_single("classification", "multitask"),
        ),
        Claim(
            "A4b",
            "and a smaller error on segments with accidents",
            "abstract: 8.4 % over eight states",
            "8.4 % less",
            "direction",
            against_single("regression", "multitask"),
        ),
        Claim(
            "A4c",
            "with traffic volume as a task besides it has a larger AUROC than one network for each",
            "abstract: 1.1 % over eight states",
            "1.011 times",
            "direction",
            against_single("classification", "with volume"),
        ),
        Claim(
            "A4d",
            "and a smaller error on segments with accidents",
            "abstract: 7.9 % over eight states",
            "7.9 % less",
            "direction",
            against_single("regression", "with volume"),
        ),
    ],
)
