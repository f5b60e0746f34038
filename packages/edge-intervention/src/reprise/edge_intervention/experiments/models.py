"""The same interventions under other models of the disease: SIR and SIS beside SEIR (claim C15)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, beats, values
from reprise.edge_intervention.experiments.networks import BASELINES, MOBILITY, city_intervention, city_network
from reprise.edge_intervention.metapopulation import simulate_metapopulation
from reprise.edge_intervention.mobility import CITIES

SHOWN = ("none", "uniform", "weighted", "K-edge", "FW fixed", "next generation")


@dataclass(frozen=True)
class Settings:
    """One city, three models."""

    city: str = "MI"
    models: tuple[str, ...] = ("seir", "sir", "sis")
    methods: tuple[str, ...] = SHOWN
    budget: float = 0.05
    steps: int = 100
    runs: int = 50


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One method per cell; the three models share its weights."""
    for method in settings.methods:
        yield {"method": method}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """One row per model and run."""
    network, given = city_network(context, settings.city), CITIES[settings.city]
    M = city_intervention(network, settings.city, cell["method"], settings.budget)
    rows = []
    for model in settings.models:
        found = simulate_metapopulation(
            M,
            network.beta_poi,
            network.population,
            given.beta_base,
            given.p0,
            model,
            settings.steps,
            settings.runs,
            seed=context.shared_seed("runs", model),
        )
        rows += [
            {"model": model, "trial": run, "infections": count / 1e3} for run, count in enumerate(found.infections)
        ]
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Infections by method, one panel per model."""
    models = list(dict.fromkeys(table["model"]))
    figure, panels = plt.subplots(1, len(models), sharey=True, squeeze=False, figsize=(7.2, 2.6))
    methods = list(dict.fromkeys(table["method"]))
    for axes, model in zip(panels[0], models):
        groups = table[table["model"] == model].groupby("method")["infections"]
        mean, error = groups.mean().reindex(methods), 1.96 * groups.sem().reindex(methods)
        axes.barh(np.arange(len(methods)), mean, xerr=error, color="#bbbbbb", edgecolor="#444444", linewidth=0.6)
        what = "infectious at the end" if model == "sis" else "recovered at the end"
        axes.set(title=model.upper(), xscale="log", xlabel=f"thousand {what}", yticks=range(len(methods)))
        axes.set_yticklabels(methods)
    panels[0][0].invert_yaxis()
    return figure


def _beats_all(model: str) -> list[Any]:
    def infections(method: str) -> Any:
        return values("infections", {"model": model, "method": method})

    return [beats(infections("FW fixed"), infections(method)) for method in BASELINES]


EXPERIMENT = Experiment(
    name="models",
    title="SIR and SIS beside SEIR in one city",
    scales={
        "smoke": Settings(city="WA", methods=("none", "uniform", "FW fixed"), steps=20, runs=3),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    data={"smoke": (MOBILITY["WA"],), "laptop": (MOBILITY["MI"],)},
    claims=[
        Claim(
            "C15",
            "Frank-Wolfe (r = 20, T = 30) has fewer infections than uniform, weighted and K-edge under SIR, MI",
            "poster",
            None,
            "direction",
            all_of(*_beats_all("sir")),
        ),
        Claim(
            "C15b",
            "the same under SIS, MI",
            "poster",
            None,
            "direction",
            all_of(*_beats_all("sis")),
        ),
    ],
)
