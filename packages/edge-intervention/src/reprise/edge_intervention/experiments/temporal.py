"""Ten weeks of one city under one budget: over all weeks together, week by week, or at once (claim C14)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, beats, values
from reprise.core.checks import select
from reprise.edge_intervention import baselines
from reprise.edge_intervention.experiments.networks import WEEKLY
from reprise.edge_intervention.metapopulation import simulate_metapopulation
from reprise.edge_intervention.mobility import CITIES, load_weekly
from reprise.edge_intervention.temporal import SPLITS, frank_wolfe_temporal, frank_wolfe_weekly, product_top

METHODS = ("none", "uniform", "weighted", "greedy", *(f"weekly, {how}" for how in SPLITS), "global")


@dataclass(frozen=True)
class Settings:
    """Washington, ten weeks of seven steps."""

    weeks: int = 10
    methods: tuple[str, ...] = METHODS
    budget: float = 0.05  # share of all visits of all weeks
    rank: int = CITIES["WA"].rank
    steps: int = 20
    runs: int = 30


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One method per cell."""
    for method in settings.methods:
        yield {"method": method}


def intervention(weeks: list[Any], method: str, settings: Settings) -> list[Any]:
    """Return the weights of every week."""
    budget = {"budget_fraction": settings.budget}
    if method == "none":
        return weeks
    if method == "greedy":
        return frank_wolfe_temporal(weeks, rank=settings.rank, steps=1, **budget).weights
    if method == "global":
        return frank_wolfe_temporal(weeks, rank=settings.rank, steps=settings.steps, **budget).weights
    if method.startswith("weekly, "):
        how = method.removeprefix("weekly, ")
        return frank_wolfe_weekly(weeks, rank=settings.rank, steps=settings.steps, how=how, **budget).weights
    return [getattr(baselines, method)(week, **budget) for week in weeks]


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """One row per run with the growth over all weeks; the budget spent on each week."""
    folder = context.data(WEEKLY) / "mobility" / "WA"
    weeks, given = load_weekly(folder / "weekly_networks.npz")[: settings.weeks], CITIES["WA"]
    new = intervention(weeks, cell["method"], settings)
    found = simulate_metapopulation(
        new,
        np.load(folder / "beta_poi.npy") * given.psi,
        np.load(folder / "cbg_population.npy"),
        given.beta_base,
        given.p0,
        steps=7 * len(weeks),
        runs=settings.runs,
        seed=context.shared_seed("runs"),
    )
    total = sum(float(week.sum()) for week in weeks)
    growth = product_top(new)
    rows: list[dict[str, Any]] = [
        {"kind": "run", "trial": run, "growth": growth, "infections": r / 1e3, "ever_infected": ever / 1e3}
        for run, (r, ever) in enumerate(zip(found.infections, found.ever_infected))
    ]
    rows += [
        {"kind": "week", "week": t + 1, "share": float(old.sum() - kept.sum()) / total}
        for t, (old, kept) in enumerate(zip(weeks, new))
    ]
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Growth and infections of every method, and when the budget is spent."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.2, 3.2), width_ratios=[1, 1, 1.1])
    runs, weeks = table[table["kind"] == "run"], table[table["kind"] == "week"]
    methods = list(dict.fromkeys(runs["method"]))
    groups = runs.groupby("method")
    style: dict[str, Any] = {"color": "#bbbbbb", "edgecolor": "#444444", "linewidth": 0.6}
    left.barh(range(len(methods)), groups["growth"].first().reindex(methods), **style)
    left.set_yticks(range(len(methods)), methods)
    left.set(xlabel="log₁₀ σ₁ of the product")
    mean, half = groups["infections"].mean().reindex(methods), 1.96 * groups["infections"].sem().reindex(methods)
    middle.barh(range(len(methods)), mean, xerr=half, **style)
    middle.set_yticks(range(len(methods)), [])
    middle.set(xlabel="infections, thousands")
    for axes in (left, middle):
        axes.invert_yaxis()
    for method, marker in (("uniform", "s"), ("weekly, weight", "^"), ("global", "o")):
        part = weeks[weeks["method"] == method]
        right.plot(part["week"], 100 * part["share"], marker=marker, label=method)
    right.set(xlabel="week", ylabel="visits removed, % of all weeks", ylim=(0, None))
    right.legend()
    return figure


def growth(method: str) -> Any:
    """log₁₀ σ₁ of the product: one number, positive here, so that ratios mean something."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        return select(table, {"kind": "run", "method": method})["growth"].iloc[:1].reset_index(drop=True)

    return quantity


def _infections(method: str) -> Any:
    return values("infections", {"kind": "run", "method": method})


EXPERIMENT = Experiment(
    name="temporal",
    title="One budget over ten weeks",
    scales={
        "smoke": Settings(weeks=2, methods=("none", "uniform", "weekly, weight", "global"), rank=2, steps=2, runs=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    data={"smoke": (WEEKLY,), "laptop": (WEEKLY,)},
    claims=[
        Claim(
            "C14",
            "Frank-Wolfe over all weeks lowers log₁₀ σ₁ of their product below uniform, weighted and every split of "
            "the budget by weeks, WA",
            "poster, for Chicago and Houston",
            None,
            "direction",
            all_of(
                *(
                    beats(growth("global"), growth(method))
                    for method in ("uniform", "weighted", *(f"weekly, {how}" for how in SPLITS))
                )
            ),
        ),
        Claim(
            "C14b",
            "and leaves fewer infections than uniform and week by week, WA",
            "poster, for Chicago and Houston",
            None,
            "direction",
            all_of(*(beats(_infections("global"), _infections(method)) for method in ("uniform", "weekly, weight"))),
        ),
    ],
)
