"""More columns than the rank do no harm, and neither do mini-batches (claims S5, S11)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, all_of, at_most, ratio, values
from reprise.core.figures import COLOURS
from reprise.matrix_sensing.descent import gradient_descent
from reprise.matrix_sensing.problem import SensingProblem

RECOVERED = 0.05


@dataclass(frozen=True)
class Settings:
    """Sizes; both methods run for the same time, step size times steps."""

    dimension: int = 40  # d
    rank: int = 2  # r
    measurements: int = 400  # m = 5dr
    scale: float = 1e-3  # α
    step: float = 0.05  # η of gradient descent
    steps: int = 1500
    batch: int = 40  # m/10 measurements per stochastic step
    stochastic_step: float = 0.01  # smaller: the operator of a batch has a larger norm
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One run per cell."""
    for trial in range(settings.trials):
        for label in ("r", "2r", "d/2", "d"):
            for method in ("gradient descent", "stochastic"):
                yield {"columns": label, "method": method, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Error at the end, and the time η·t at which it falls below 0.05."""
    d, r = settings.dimension, settings.rank
    problem = SensingProblem.gaussian(
        d, r, settings.measurements, seed=context.shared_seed("problem", cell["trial"]), device=context.device
    )
    stochastic = cell["method"] == "stochastic"
    step = settings.stochastic_step if stochastic else settings.step
    path = gradient_descent(
        problem,
        scale=settings.scale,
        factor_rank={"r": r, "2r": 2 * r, "d/2": d // 2, "d": d}[cell["columns"]],
        step=step,
        steps=round(settings.steps * settings.step / step),
        batch=settings.batch if stochastic else None,
        tolerance=0.0,
        record_every=round(10 * settings.step / step),
        seed=context.shared_seed("start", cell["trial"]) % 2**31,
    )
    reached = next((row["step"] for row in path.history if row["error"] < RECOVERED), math.nan)
    return [{"error": path.history[-1]["error"], "time_to_recovery": reached * step}]


def spread(column: str, labels: tuple[str, ...]) -> Any:
    """One value per trial: largest over smallest of a column among factors with these numbers of columns."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        rows = table[(table["method"] == "gradient descent") & table["columns"].isin(labels)]
        if rows["columns"].nunique() < len(labels):
            raise RowsMissing("not all numbers of columns were run")
        return rows.groupby("trial")[column].agg(lambda part: part.max(skipna=False) / part.min(skipna=False))

    return quantity


def stochastic_over_plain(label: str) -> Any:
    """Error of stochastic over plain gradient descent, per trial."""
    return ratio(
        values("error", {"method": "stochastic", "columns": label}),
        values("error", {"method": "gradient descent", "columns": label}),
    )


def plot(table: pd.DataFrame) -> Figure:
    """Bars of the last error and of the time to recovery, per number of columns, for both methods."""
    labels = ["r", "2r", "d/2", "d"]
    figure, (left, right) = plt.subplots(1, 2)
    for index, (method, part) in enumerate(table.groupby("method")):
        places = [place + 0.4 * (index - 0.5) for place in range(len(labels))]
        for axes, column in ((left, "error"), (right, "time_to_recovery")):
            groups = part.groupby("columns")[column]
            middle = groups.median().loc[labels]
            reach = [middle - groups.min().loc[labels], groups.max().loc[labels] - middle]
            style: Any = {"color": COLOURS[index], "hatch": "//" * index, "alpha": 0.8, "edgecolor": "white"}
            axes.bar(places, middle, width=0.38, yerr=reach, capsize=2, label=method, **style)
    left.set(yscale="log", ylabel="recovery error at the end")
    right.set(ylabel="time η·t to error 0.05")
    for axes in (left, right):
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlabel("columns of the factor")
        axes.grid(axis="x", visible=False)
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="overparameterisation",
    title="More columns than the rank do no harm",
    scales={
        "smoke": Settings(dimension=12, rank=1, measurements=60, batch=6, steps=300, stochastic_step=0.005, trials=2),
        "laptop": Settings(),
        "gpu": Settings(dimension=300, rank=10, measurements=15_000, batch=1500, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "S5",
            "factors with r, 2r, d/2 and d columns end with equal errors, within a factor of 3 of one another",
            "text: no knowledge of the rank is needed",
            None,
            "direction",
            at_most(spread("error", ("r", "2r", "d/2", "d")), 3.0, statistic="geometric mean"),
            tried="with exactly r columns gradient descent converges linearly to the truth itself, while with more an "
            "error of the order of α remains, which grows with the columns: from 2r to d by factors of 2 to 7",
        ),
        Claim(
            "S5b",
            "all four recover (error 0.05) in the same time, within a factor of 1.5",
            "text: no knowledge of the rank is needed",
            None,
            "direction",
            at_most(spread("time_to_recovery", ("r", "2r", "d/2", "d")), 1.5, statistic="geometric mean"),
            tried="the factor with r columns is late, as fewer random columns catch less of the signal at the start; "
            "more columns are not slower",
        ),
        Claim(
            "S11",
            "stochastic gradient descent with batches of m/10 ends within a factor of 3 of gradient descent",
            "abstract of the third arXiv version",
            None,
            "direction",
            all_of(
                *(
                    at_most(stochastic_over_plain(label), 3.0, statistic="geometric mean")
                    for label in ("d", "d/2", "2r", "r")
                )
            ),
        ),
    ],
)
