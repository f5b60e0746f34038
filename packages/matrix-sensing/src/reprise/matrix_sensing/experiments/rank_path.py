"""Directions are learned one after another, at predictable times (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_most, ratio, values, within
from reprise.core.figures import COLOURS, DASHES, band
from reprise.matrix_sensing.descent import gradient_descent
from reprise.matrix_sensing.incremental import rank_path
from reprise.matrix_sensing.problem import SensingProblem


@dataclass(frozen=True)
class Settings:
    """A truth with unequal eigenvalues, 1 down to 1/κ."""

    dimension: int = 40  # d
    rank: int = 3  # r
    measurements: int = 1200  # m = 10dr
    condition: float = 5.0  # κ
    scale: float = 1e-6  # α
    steps: int = 2500
    record_every: int = 5
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One run per cell."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Eigenvalues of U Uᵀ along the run, and the measured and predicted step of each direction."""
    problem = SensingProblem.gaussian(
        settings.dimension,
        settings.rank,
        settings.measurements,
        condition=settings.condition,
        seed=context.seed,
        device=context.device,
    )
    path = gradient_descent(
        problem,
        scale=settings.scale,
        steps=settings.steps,
        record_every=settings.record_every,
        singular_values=True,
        tolerance=0.0,
    )
    learned = rank_path(path, settings.rank)
    return [
        {
            "direction": direction + 1,
            "step": row["step"],
            "last": row is path.history[-1],
            "eigenvalue": row["singular_values"][direction] ** 2,
            "learned_at": learned.steps[direction],
            "predicted": learned.predicted[direction],
        }
        for direction in range(settings.rank)
        for row in path.history[:: max(1, settings.steps // settings.record_every // 100)] + path.history[-1:]
    ]


def plot(table: pd.DataFrame) -> Figure:
    """Eigenvalues against step, with the predicted steps as vertical lines."""
    figure, axes = plt.subplots()
    for index, (direction, part) in enumerate(table.groupby("direction")):
        style: Any = {"color": COLOURS[index], "linestyle": DASHES[index]}
        band(axes, part, "step", "eigenvalue", label=f"direction {direction}", **style)
        axes.axvline(part["predicted"].mean(), color=COLOURS[index], linewidth=0.8, linestyle=":")
    axes.plot([], [], color="#777777", linewidth=0.8, linestyle=":", label="predicted step")
    axes.set(xlabel="step", ylabel="eigenvalue of U Uᵀ")
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.42))
    return figure


def timing(direction: int) -> Any:
    """Measured over predicted step of a direction."""
    where = {"direction": direction, "last": True}
    return ratio(values("learned_at", where), values("predicted", where))


def order(first: int, second: int) -> Any:
    """Step of the earlier over that of the later direction."""
    return ratio(
        values("learned_at", {"direction": first, "last": True}),
        values("learned_at", {"direction": second, "last": True}),
    )


EXPERIMENT = Experiment(
    name="rank-path",
    title="Directions are learned one after another",
    scales={
        "smoke": Settings(dimension=10, measurements=600, scale=1e-4, steps=1500, record_every=10, trials=2),
        "laptop": Settings(),
        "gpu": Settings(dimension=200, rank=5, measurements=20_000, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "B2",
            "directions are learned largest first, each well after the one before (ratio of steps at most 0.9)",
            "Li, Luo and Lyu (2021); beyond the paper",
            None,
            "direction",
            all_of(at_most(order(1, 2), 0.9), at_most(order(2, 3), 0.9)),
        ),
        Claim(
            "B3",
            "each at the step log(√σ/α)/log(1 + ησ), within 10 %",
            "growth of a direction by 1 + ησ per step",
            1.0,
            "number",
            all_of(*(within(timing(direction), 1.0, 0.1) for direction in (1, 2, 3))),
        ),
    ],
)
