"""A network with quadratic activations learns its teacher from a small start as well (claim S8)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, ratio, values
from reprise.core.figures import COLOURS, DASHES, band
from reprise.matrix_sensing.loop import DivergenceError, Row
from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.truncated import truncated_gradient_descent

VARIANTS: dict[str, tuple[bool, bool | Literal["matched"]]] = {
    "plain": (False, False),
    "truncated": (True, False),
    "rescaled": (False, True),
    "truncated and rescaled": (True, True),  # Algorithm 1
    "truncated and matched": (True, "matched"),  # beyond the paper
}


@dataclass(frozen=True)
class Settings:
    """Sizes of teacher and sample; all starts run for the same time, step size times steps."""

    dimension: int = 50  # d, inputs
    rank: int = 3  # r, hidden units of the teacher
    measurements: int = 750  # m = 5dr examples
    scales: tuple[float, ...] = (1.0, 0.1, 1e-2, 1e-3)  # α
    step: float = 0.02  # η
    large_scale_step: float = 0.002  # η for α > 0.1, where ‖U‖ is α√d
    time: float = 20.0  # η × steps
    records: int = 20
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One run per cell."""
    for trial in range(settings.trials):
        for variant in VARIANTS:
            for scale in settings.scales:
                yield {"variant": variant, "scale": scale, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Error and loss along the run; a run that diverges is recorded with an infinite last error."""
    problem = SensingProblem.quadratic_network(
        settings.dimension,
        settings.rank,
        settings.measurements,
        seed=context.shared_seed("problem", cell["trial"]),
        device=context.device,
    )
    truncate, rescale = VARIANTS[cell["variant"]]
    step = settings.large_scale_step if cell["scale"] > 0.1 else settings.step
    steps = round(settings.time / step)
    history: list[Row] = []
    diverged = False
    try:
        truncated_gradient_descent(
            problem,
            scale=cell["scale"],
            step=step,
            steps=steps,
            truncate=truncate,
            rescale=rescale,
            tolerance=0.0,
            record_every=math.ceil(steps / settings.records),
            callback=history.append,
        )
    except DivergenceError:
        diverged = True
    rows = [
        {"time": row["step"] * step, "last": False, "diverged": diverged, "error": row["error"], "loss": row["loss"]}
        for row in history
    ]
    last = dict(rows[-1], last=True) | ({"error": math.inf, "loss": math.inf} if diverged else {})
    return [*rows, last]


def final_error(variant: str, scale: float) -> Any:
    """Error at the end of the runs of a variant from a start."""
    return values("error", {"variant": variant, "scale": scale, "last": True})


def smaller_is_better(variant: str) -> Any:
    """Check the order in α: each step down from 1 to 10⁻³ lowers the error."""
    end = [final_error(variant, scale) for scale in (1.0, 0.1, 1e-2, 1e-3)]
    mean: Any = "geometric mean"
    return all_of(*(at_least(ratio(large, small), 1.0, statistic=mean) for large, small in pairwise(end)))


def plot(table: pd.DataFrame) -> Figure:
    """Error against time: plain descent from every start; every trial of three variants from the smallest."""
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    table = table[~table["last"]]
    plain = table[table["variant"] == "plain"]
    for index, scale in enumerate(sorted(plain["scale"].unique(), reverse=True)):
        style: Any = {"color": COLOURS[index], "linestyle": DASHES[index]}
        band(left, plain[plain["scale"] == scale], "time", "error", log=True, label=f"α = {scale:g}", **style)
    left.set(yscale="log", xlabel="time η·t", ylabel="recovery error (relative)", title="plain gradient descent")
    smallest = table["scale"].min()
    curves = {
        "plain": "plain",
        "truncated and rescaled": "Algorithm 1: truncated and rescaled",
        "truncated and matched": "rescaled by the same sample",
    }
    for index, (variant, label) in enumerate(curves.items()):
        style = {"color": COLOURS[index], "linestyle": DASHES[index], "linewidth": 1.0}
        runs = table[(table["variant"] == variant) & (table["scale"] == smallest)]
        for number, (_, run) in enumerate(runs.groupby("trial")):
            right.plot(run["time"], run["error"], label=label if number == 0 else None, **style)
    right.set(xlabel="time η·t", title=f"each trial, α = {smallest:g}")
    for axes in (left, right):
        axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="quadratic-network",
    title="A network with quadratic activations learns its teacher",
    scales={
        "smoke": Settings(dimension=12, rank=1, measurements=120, time=8.0, trials=2),
        "laptop": Settings(),
        "gpu": Settings(dimension=200, rank=5, measurements=20_000, step=0.004, large_scale_step=0.0004, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "S8",
            "with rank-one measurements, too, a smaller start leaves a smaller error: plain gradient descent",
            "theorem on quadratic networks; simulations",
            None,
            "direction",
            smaller_is_better("plain"),
        ),
        Claim(
            "S8b",
            "the same with truncation",
            "theorem on quadratic networks",
            None,
            "direction",
            smaller_is_better("truncated"),
        ),
        Claim(
            "S8c",
            "the paper's Algorithm 1, truncation and rescaling, recovers the teacher from α = 10⁻³ (error below 0.1)",
            "Algorithm 1 and its theorem",
            None,
            "direction",
            at_most(final_error("truncated and rescaled", 1e-3), 0.1),
            tried="four of five trials come as near as 0.04 between the times 9 and 15 and then drift away, two of "
            "them past all bounds: τ = mean(y) misses ‖U*‖² by O(1/√m), and ‖U‖² has no such error to match it. "
            "B4 removes the cause",
        ),
        Claim(
            "S8d",
            "rescaling helps: Algorithm 1 ends with a smaller error than the same without rescaling (α = 10⁻³)",
            "role of the rescaling in Algorithm 1",
            None,
            "direction",
            at_least(
                ratio(final_error("truncated", 1e-3), final_error("truncated and rescaled", 1e-3)),
                1.0,
                statistic="geometric mean",
            ),
            tried="no: from time 15 on the error grows again, and two of five trials are lost; see S8c",
        ),
        Claim(
            "B4",
            "rescaled by the residuals of the same sample, Algorithm 1 ends with a smaller error than without "
            "rescaling (α = 10⁻³; shown: how many times smaller)",
            "beyond the paper",
            None,
            "direction",
            at_least(
                ratio(final_error("truncated", 1e-3), final_error("truncated and matched", 1e-3)),
                1.0,
                statistic="geometric mean",
            ),
        ),
    ],
)
