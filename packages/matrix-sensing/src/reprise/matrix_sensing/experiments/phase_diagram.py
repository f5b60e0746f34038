"""Where gradient descent and the minimum nuclear norm part: who recovers with fewer measurements (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, at_least
from reprise.matrix_sensing.descent import gradient_descent
from reprise.matrix_sensing.diagnostics import recovery_error
from reprise.matrix_sensing.nuclear_norm import minimum_nuclear_norm
from reprise.matrix_sensing.problem import SensingProblem

RECOVERED = 0.05


@dataclass(frozen=True)
class Settings:
    """The grid of ranks and measurements; both methods solve the same problems."""

    dimension: int = 16  # d
    ranks: tuple[int, ...] = (1, 2, 3, 4)  # r
    ratios: tuple[float, ...] = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)  # m/(dr)
    scale: float = 1e-6  # α
    steps: int = 2000
    trials: int = 10


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One problem per cell."""
    for trial in range(settings.trials):
        for rank in settings.ranks:
            for ratio in settings.ratios:
                yield {"rank": rank, "ratio": ratio, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Recovery error of both methods on one problem."""
    problem = SensingProblem.gaussian(
        settings.dimension,
        cell["rank"],
        round(cell["ratio"] * settings.dimension * cell["rank"]),
        seed=context.seed,
    )
    path = gradient_descent(problem, scale=settings.scale, steps=settings.steps, record_every=50, tolerance=1e-8)
    factor = path.history[-1]["error"]
    convex = float(recovery_error(minimum_nuclear_norm(problem), problem.known_truth))
    return [
        {
            "measurements": problem.count,
            "error_descent": factor,
            "error_nuclear": convex,
            "descent_recovers": float(factor < RECOVERED),
            "nuclear_recovers": float(convex < RECOVERED),
        }
    ]


def advantage(table: pd.DataFrame) -> pd.Series[float]:
    """One value per trial: share of problems that only descent recovers less that which only the nuclear norm does."""
    if "descent_recovers" not in table:
        raise RowsMissing("no problem was solved")
    return (table["descent_recovers"] - table["nuclear_recovers"]).groupby(table["trial"]).mean()


def plot(table: pd.DataFrame) -> Figure:
    """Two maps of the share of trials recovered, over rank and m/(dr), and their difference."""
    figure, panels = plt.subplots(1, 3, figsize=(7.0, 2.8), sharey=True)
    maps = [
        table.pivot_table(index="rank", columns="ratio", values=column)
        for column in ("descent_recovers", "nuclear_recovers")
    ]
    maps.append(maps[0] - maps[1])
    titles = ("gradient descent", "minimum nuclear norm", "difference")
    for axes, share, title in zip(panels, maps, titles):
        difference = title == "difference"
        axes.imshow(
            share,
            origin="lower",
            aspect="auto",
            cmap="RdBu" if difference else "Greys",
            vmin=-1.0 if difference else 0.0,
            vmax=1.0,
        )
        for (row, column), value in np.ndenumerate(share.to_numpy()):
            dark = abs(value) > 0.6
            axes.text(
                column, row, f"{value:.1f}", ha="center", va="center", fontsize=6, color="white" if dark else "black"
            )
        axes.set_xticks(range(share.shape[1]), [f"{ratio:g}" for ratio in share.columns], fontsize=7)
        axes.set_yticks(range(share.shape[0]), list(share.index))
        axes.set(title=title, xlabel="m / (d r)")
        axes.grid(visible=False)
    panels[0].set_ylabel("rank r")
    return figure


EXPERIMENT = Experiment(
    name="phase-diagram",
    title="Who recovers with fewer measurements",
    scales={
        "smoke": Settings(dimension=8, ranks=(1, 2), ratios=(1.5, 3.0), steps=600, trials=2),
        "laptop": Settings(),
        "gpu": Settings(dimension=30, ranks=(1, 2, 3, 5), trials=20),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "B1",
            "gradient descent recovers more of these problems than the minimum nuclear norm "
            "(shown: the difference of the shares recovered)",
            "beyond the paper",
            None,
            "direction",
            at_least(advantage, 0.0),
        ),
    ],
)
