"""Uniform sampling at C/d, C = 2 to 10: the moment, and the rows recovered with it (claims O7, O8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_most, beats, values
from reprise.core.figures import COLOURS, DASHES, MARKERS, band
from reprise.one_sided_completion.experiments.per_row import METHODS, baselines
from reprise.one_sided_completion.experiments.simulation import long_run, short_run, simulate, worst_factor
from reprise.one_sided_completion.recovery import recover_rows
from reprise.one_sided_completion.sampling import sample


@dataclass(frozen=True)
class Settings:
    """Sizes and rates."""

    n: int = 10_000
    d: int = 1000
    rank: int = 10
    entries: tuple[int, ...] = (2, 4, 6, 8, 10)  # C = p d
    baseline_entries: tuple[int, ...] = (2, 6, 10)
    row_share: float = 0.8  # of each row, from which it is recovered
    ridge: float = 1e-4
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One matrix per trial; all rates see parts of it."""
    for trial in range(settings.trials):
        for entries in settings.entries:
            yield {"entries": entries, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Absolute error of the moment, and root mean squared error of the matrix from 80 % of its entries."""
    seed = context.shared_seed("matrix", cell["trial"])
    run = simulate(settings.n, settings.d, settings.rank, seed=seed, p=cell["entries"] / settings.d)
    factors = {name: f(run.moment, settings.rank, seed) for name, f in (("short", short_run), ("long", long_run))}
    shown = sample(run.M, p=settings.row_share, seed=seed + 2)
    hidden = np.ones(run.M.shape, dtype=bool)
    hidden[np.repeat(np.arange(settings.n), np.diff(shown.indptr)), shown.indices] = False
    row: dict[str, Any] = {}
    for name, factor in factors.items():
        rows = recover_rows(factor, shown, ridge=settings.ridge)
        row[name] = run.error(factor)
        row[f"{name}_rmse"] = float(np.sqrt(np.mean((rows @ factor.T - run.M)[hidden] ** 2)))
    return [row | (baselines(run, settings.rank) if cell["entries"] in settings.baseline_entries else {})]


PAPER = {2: 0.1024, 4: 0.0807, 6: 0.0701, 8: 0.0658, 10: 0.0636}
PAPER_RMSE = {2: 3.42e-4, 4: 1.79e-4, 6: 1.40e-4, 8: 1.27e-4, 10: 1.29e-4}


def plot(table: pd.DataFrame) -> Figure:
    """Error of the moment and of the rows against C."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.6))
    for index, (column, label) in enumerate(METHODS.items()):
        if column in table:
            style: Any = {"marker": MARKERS[index], "color": COLOURS[index], "linestyle": DASHES[index]}
            band(left, table[table[column].notna()], "entries", column, log=True, label=label, **style)
            if f"{column}_rmse" in table:
                band(right, table, "entries", f"{column}_rmse", log=True, **style)
    for panel, points in ((left, PAPER), (right, PAPER_RMSE)):
        panel.plot(list(points), list(points.values()), "x", color="black", ms=7, ls="", label="paper")
        panel.set(yscale="log", xlabel="entries per row on average, C")
    left.set_ylabel("error of the second moment (‖T‖ = 4)")
    right.set_ylabel("RMSE of hidden entries")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def at(column: str, entries: int) -> Any:
    """A column at one rate."""
    return values(column, {"entries": entries})


EXPERIMENT = Experiment(
    name="uniform",
    title="Uniform sampling: the moment, and the rows recovered with it",
    scales={
        "smoke": Settings(n=2000, d=50, rank=2, entries=(2, 4), trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "O7",
            "C = 2 to 10, n = 10,000: error after 1,000 steps of 10⁴ within a factor 2 (shown: the largest factor)",
            "figure on uniform sampling",
            ".1024/.0807/.0701/.0658/.0636",
            "number",
            at_most(worst_factor("short", PAPER, over="entries", where={}), 2.0),
        ),
        Claim(
            "O7b",
            "Algorithm 1 beats the nuclear norm, SoftImpute and alternating descent at C = 2, 6, 10 (shown: the first)",
            "figure on uniform sampling",
            ".1024 < .489, 3.90, 4.20",
            "direction",
            all_of(
                *(
                    beats(at("long", c), at(other, c))
                    for c in (2, 6, 10)
                    for other in ("nuclear", "soft_impute", "alternating")
                )
            ),
        ),
        Claim(
            "O8",
            "root mean squared error of entries recovered by Algorithm 2 within a factor 2 (shown: the largest factor)",
            "figure on uniform sampling",
            "3.42e-4/1.79e-4/1.40e-4/1.27e-4/1.29e-4",
            "number",
            at_most(worst_factor("short_rmse", PAPER_RMSE, over="entries", where={}), 2.0),
        ),
    ],
)
