"""The time to recovery grows in proportion to the condition number (claim S12)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, slope
from reprise.core.figures import band
from reprise.matrix_sensing.descent import gradient_descent
from reprise.matrix_sensing.problem import SensingProblem


@dataclass(frozen=True)
class Settings:
    """Sizes and the grid of condition numbers."""

    dimension: int = 40  # d
    rank: int = 2  # r
    measurements: int = 800  # m = 10dr
    conditions: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)  # κ = 1/σ_r(X*)
    scale: float = 1e-5  # α
    step: float = 0.05  # η
    steps: int = 3000
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One run per cell."""
    for trial in range(settings.trials):
        for condition in settings.conditions:
            yield {"condition": condition, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """First step at which the weakest direction has half of its strength, σ_r(Z)² ≥ σ_r(X*)/2."""
    problem = SensingProblem.gaussian(
        settings.dimension,
        settings.rank,
        settings.measurements,
        condition=cell["condition"],
        seed=context.shared_seed("problem", cell["trial"]),
        device=context.device,
    )
    path = gradient_descent(
        problem, scale=settings.scale, step=settings.step, steps=settings.steps, record_every=5, tolerance=1e-6
    )
    weakest = 1 / cell["condition"]
    found = (row["step"] for row in path.history if row["sigma_r"] ** 2 >= weakest / 2)
    predicted = math.log(math.sqrt(weakest) / settings.scale) / math.log1p(settings.step * weakest)
    return [{"steps": next(found, math.nan), "predicted": predicted, "error": path.history[-1]["error"]}]


def plot(table: pd.DataFrame) -> Figure:
    """Time against κ on logarithmic axes, beside the prediction and a line of slope one."""
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    band(axes, table, "condition", "steps", log=True, marker="o", linestyle="-", label="measured")
    band(axes, table, "condition", "predicted", log=True, marker="s", linestyle="--", label="log(√σ/α) / log(1 + ησ)")
    ends = np.array([table["condition"].min(), table["condition"].max()])
    start = table.loc[table["condition"] == ends[0], "steps"].mean()
    axes.plot(ends, start * ends / ends[0], color="#777777", linestyle=":", label="slope 1")
    axes.set(xscale="log", yscale="log", xlabel="condition number κ", ylabel="steps until $σ_r$ is half learned")
    axes.set_xticks(sorted(table["condition"].unique()))
    axes.set_yticks([200, 500, 1000, 2000])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="conditioning",
    title="Time to recovery grows with the condition number",
    scales={
        "smoke": Settings(dimension=10, measurements=400, conditions=(1.0, 3.0), scale=1e-3, steps=600, trials=2),
        "laptop": Settings(),
        "gpu": Settings(dimension=200, rank=5, measurements=20_000, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "S12",
            "the time to recovery is linear in κ: exponent 1",
            "theorem on sensing: κ log(d/α)/η",
            1.0,
            "number",
            slope("condition", "steps", expected=1.0, tolerance=0.15),
        ),
    ],
)
