"""What makes the difference between 0.5 and 0.01: the matrices, the number of steps, and how the error is measured.

The same algorithm on the three generators of the authors' program, after 400 steps and at convergence, with relative
and with absolute errors. The plotted values of claims O4 to O8 are absolute errors on common means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, beats, ratio, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.one_sided_completion.experiments.simulation import simulate
from reprise.one_sided_completion.imputation import impute
from reprise.one_sided_completion.mixture import mixture_moment


@dataclass(frozen=True)
class Settings:
    """Sizes, and the two lengths of a run."""

    n: int = 20_000
    d: int = 1000
    rank: int = 10
    entries: tuple[int, ...] = (2, 5, 10)
    generators: tuple[str, ...] = ("linear-mixtures", "noisy-mixtures", "common-means")
    few_steps: int = 400
    many_steps: int = 3000
    regularization: float = 1e-3  # beside the default of 1e-4: its bias is the floor of the plotted curves
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One matrix per cell, seen once."""
    for trial in range(settings.trials):
        for generator in settings.generators:
            for entries in settings.entries:
                yield {"generator": generator, "entries": entries, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Errors of the estimate where it was seen, and of the completed moment everywhere."""
    run = simulate(
        settings.n,
        settings.d,
        settings.rank,
        seed=context.seed,
        generator=cell["generator"],
        per_row=cell["entries"],
    )
    norm = float(np.linalg.norm(run.T))
    few = impute(run.moment, settings.rank, max_iter=settings.few_steps, tol=0.0)
    many = impute(run.moment, settings.rank, init=few.factor, max_iter=settings.many_steps)
    held = impute(run.moment, settings.rank, init=few.factor, max_iter=settings.many_steps,
                  regularization=settings.regularization)  # fmt: skip
    row = {
        "norm": norm,
        "seen_error": run.seen_error(run.moment) / np.sqrt(run.moment.seen_fraction),
        "few": run.relative_error(few.factor),
        "many": run.relative_error(many.factor),
        "many_absolute": run.error(many.factor),
        "held_absolute": run.error(held.factor),
        "first_share": float(np.linalg.eigvalsh(run.T)[-1] / np.trace(run.T)),
    }
    # Profiles can be told apart on mixtures of profiles alone, and from enough entries.
    if cell["generator"] == "noisy-mixtures" and settings.n * cell["entries"] >= 5 * settings.d * settings.rank:
        found = mixture_moment(run.seen, settings.rank, restarts=1)
        row["mixture"] = run.relative_error(impute(found.moment, settings.rank).factor)
    return [row]


def plot(table: pd.DataFrame) -> Figure:
    """Relative error after few steps and at convergence, by generator."""
    figure, axes = plt.subplots(1, 3, sharey=True)
    columns = {"seen_error": "estimate, seen entries", "few": "imputed, 400 steps", "many": "imputed, converged",
               "mixture": "mixture variant"}  # fmt: skip
    for panel, (generator, rows) in zip(axes, table.groupby("generator", sort=False)):
        for index, (column, label) in enumerate(columns.items()):
            mean = rows.groupby("entries")[column].mean().dropna() if column in rows else pd.Series(dtype=float)
            if len(mean) or panel is axes[0]:
                panel.plot(mean.index, mean, marker=MARKERS[index], color=COLOURS[index], label=label)
        panel.set(yscale="log", xlabel="entries per row, C", title=str(generator).replace("-", " "))
        panel.set_xticks(sorted(table["entries"].unique()))
    axes[0].set_ylabel("relative error of the second moment")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def at(column: str, generator: str, entries: int) -> Any:
    """A column for one generator and number of entries."""
    return values(column, {"generator": generator, "entries": entries})


EXPERIMENT = Experiment(
    name="gap",
    title="Why errors of 0.5 and of 0.01 are both right",
    scales={
        "smoke": Settings(n=2000, d=50, rank=2, entries=(2, 5), few_steps=50, many_steps=300, trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "G1",
            "the matrices make the difference: on common means the relative error at convergence is at least 20 times "
            "smaller than on linear mixtures, at every C (shown: how many times, C = 2)",
            "beyond the paper",
            None,
            "direction",
            all_of(
                *(beats(at("many", "common-means", c), at("many", "linear-mixtures", c), factor=20) for c in (2, 5, 10))
            ),
        ),
        Claim(
            "G2",
            "common means are one direction: its share of the trace is at least 99.9 %",
            "beyond the paper",
            None,
            "direction",
            at_least(at("first_share", "common-means", 2), 0.999),
        ),
        Claim(
            "G3",
            "‖T‖_F is 4 on common means, so that plotted absolute errors are four times the relative ones",
            "authors' program: errors are not divided by ‖T‖_F",
            4.0,
            "number",
            all_of(at_least(at("norm", "common-means", 2), 3.9), at_most(at("norm", "common-means", 2), 4.1)),
        ),
        Claim(
            "G4",
            "the plateau near 0.0075 is the bias of the penalty: at λ = 10⁻³ the error is 8 λ (1 − α/‖x‖)³ "
            "within 15 %, at C = 10",
            "derived here from the stationarity of Algorithm 1",
            0.0076,
            "number",
            all_of(
                at_least(at("held_absolute", "common-means", 10), 0.85 * 0.0076),
                at_most(at("held_absolute", "common-means", 10), 1.15 * 0.0076),
            ),
        ),
        Claim(
            "G5",
            "more steps do not close the gap on linear mixtures: from 400 steps to convergence the error changes "
            "by less than a factor 1.5",
            "beyond the paper",
            None,
            "direction",
            all_of(
                *(
                    part
                    for c in (2, 5, 10)
                    for part in (
                        at_most(ratio(at("many", "linear-mixtures", c), at("few", "linear-mixtures", c)), 1.5),
                        at_most(ratio(at("few", "linear-mixtures", c), at("many", "linear-mixtures", c)), 1.5),
                    )
                )
            ),
        ),
        Claim(
            "G6",
            "the mixture variant closes it on mixtures of profiles: ten times below the plain estimate, C = 10",
            "authors' program, mixture-hajek",
            None,
            "direction",
            beats(at("mixture", "noisy-mixtures", 10), at("many", "noisy-mixtures", 10), factor=10),
        ),
    ],
)
