"""Claim C7: first-order predictions of a network near the one whose gradients were taken, by distance.

A trained network is moved along the way that fine-tuning on a pair of algorithms takes it, by 0.1 to 10 % of the norm
of its processor's weights, and its margins are compared with those that gradients predict.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.networks import graphs_of, seeded
from reprise.algorithmic_reasoning.linearisation import first_order, moved, names_of
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.sampling import sample
from reprise.algorithmic_reasoning.training import evaluate, fit
from reprise.core import Claim, Context, Experiment, at_most, slope, values
from reprise.core.figures import COLOURS, DASHES, MARKERS, band

NEAR, ALLOWED = 0.01, 0.05  # relative distance up to which the paper's relative error is claimed


@dataclass(frozen=True)
class Settings:
    """The network, how it is trained, and how far it is moved."""

    algorithms: tuple[str, ...] = ("bfs", "bellman_ford", "mst_prim", "dfs")
    hidden: int = 32
    layers: int = 2
    nodes: int = 8
    rounds: int = 200  # of one update for each algorithm
    tuning: int = 5  # rounds that give the direction
    lr: float = 1e-3
    distances: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)  # ‖W − θ‖ / ‖θ‖
    graphs: int = 16  # whose margins are compared
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One network."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Relative error Σ (f_W − f̂_W)² / Σ f_W² of each algorithm's margins, at every distance; and its score at θ."""
    options: dict[str, Any] = {"nodes": settings.nodes, "lr": settings.lr, "validate_every": 0}
    model: Reasoner = seeded(
        settings.algorithms,
        context.seed,
        context.device,
        processor="gmpnn",
        hidden=settings.hidden,
        layers=settings.layers,
        projection=None,
    )
    fit(model, steps=settings.rounds, generator=graphs_of(context.seed), progress=context.progress, **options)
    rows = []
    around = [*settings.algorithms, settings.algorithms[0]]
    for name, partner in pairwise(around):
        direction = _way(model, [name, partner], steps=settings.tuning, seed=context.seed + 1, options=options)
        exact = copy.deepcopy(model).double()
        norm = torch.cat([dict(exact.named_parameters())[key].flatten() for key in direction]).norm()
        paths = sample(name, nodes=settings.nodes, samples=settings.graphs, seed=context.shared_seed("graphs", name))
        paths = paths.to(context.device)
        score = evaluate(model, paths)  # whether the network has learned anything that could be moved
        for distance in settings.distances:
            changes = {key: value * distance * norm for key, value in direction.items()}
            true, predicted = moved(exact, changes, paths), first_order(exact, changes, paths)
            error = float((true - predicted).square().sum() / true.square().sum())
            rows.append({"algorithm": name, "distance": distance, "error": error, "score": score})
    return rows


def _way(
    model: Reasoner, pair: list[str], *, steps: int, seed: int, options: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """Unit vector, in double precision, along which fine-tuning on a pair moves the processor's weights."""
    tuned = copy.deepcopy(model)
    names = names_of(model, pair)
    fit(tuned, steps=steps, tasks=pair, parameters=names, generator=graphs_of(seed), **options)
    before, after = dict(model.named_parameters()), dict(tuned.named_parameters())
    changes = {name: (after[name] - before[name]).detach().double() for name in names}
    norm = torch.cat([value.flatten() for value in changes.values()]).norm()
    return {name: value / norm for name, value in changes.items()}


def plot(table: pd.DataFrame) -> Figure:
    """Relative error against distance, by algorithm."""
    figure, axes = plt.subplots(figsize=(7.0, 3.2))
    for index, (name, part) in enumerate(table.groupby("algorithm", sort=False)):
        style: Any = {"color": COLOURS[index], "marker": MARKERS[index], "linestyle": DASHES[index]}
        band(axes, part, "distance", "error", label=str(name).replace("_", " "), log=True, **style)
    low, high = table["distance"].min(), table["distance"].max()
    axes.plot([low, NEAR], [ALLOWED] * 2, color="black", ls="-", lw=1, label="paper: 5 % when near")
    anchor = table.loc[table["distance"] == high, "error"].median()
    axes.plot([low, high], [anchor * (low / high) ** 4, anchor], color="#777777", ls=":", lw=1, label="slope 4")
    axes.set(
        xscale="log", yscale="log", xlabel="distance ‖W − θ‖ / ‖θ‖", ylabel="relative error |f − f̂|² / |f|² of margins"
    )
    axes.set_xticks(sorted(table["distance"].unique()))
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:g} %")
    axes.xaxis.minorticks_off()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def near(distance: Any) -> Any:
    """Rows up to 1 %."""
    return distance.astype(float) <= NEAR * (1 + 1e-9)


def largest(table: pd.DataFrame, *, of: str) -> pd.Series[float]:
    """Largest error within 1 % of the mean over algorithms, or of any of them, per trial."""
    values("error", {"distance": near})(table)  # raises where such rows are missing
    errors = table[near(table["distance"])].astype({"error": float}).groupby(["trial", "distance"])["error"]
    found: pd.Series[float] = (errors.mean() if of == "mean" else errors.max()).groupby("trial").max()
    return found


EXPERIMENT = Experiment(
    name="linearisation",
    title="First-order predictions of fine-tuned networks",
    scales={
        "smoke": Settings(
            algorithms=("bfs", "bellman_ford"), hidden=8, nodes=5, rounds=3, tuning=1, graphs=4, trials=2
        ),
        "laptop": Settings(),
        "gpu": Settings(hidden=96, layers=3, nodes=16, rounds=400),
        "paper": Settings(hidden=192, layers=5, nodes=16, rounds=10_000, tuning=50, lr=2.5e-4, graphs=50),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "C7",
            "gradients predict what fine-tuned networks say within 5 % up to a distance of 1 % (N = 8; shown: largest "
            "relative error, mean over algorithms)",
            "abstract; relative errors of the estimate",
            "≤ 5 %",
            "direction",
            at_most(partial(largest, of="mean"), ALLOWED),
        ),
        Claim(
            "C7c",
            "and that for every algorithm (N = 8; shown: largest relative error of all algorithms)",
            "abstract; relative errors of the estimate",
            "≤ 5 %",
            "direction",
            at_most(partial(largest, of="every"), ALLOWED),
        ),
        Claim(
            "C7b",
            "the error is that of a first-order expansion, and grows with the fourth power of the distance when "
            "squared",
            "Taylor's theorem, of which the estimate is an instance",
            4.0,
            "direction",
            slope("distance", "error", expected=4.0, tolerance=1.0),
        ),
    ],
)
