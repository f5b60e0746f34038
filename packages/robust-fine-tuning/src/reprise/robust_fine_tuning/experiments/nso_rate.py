"""The expected squared gradient of NSO on a quadratic falls like 1/√(kT) (claim N6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, slope
from reprise.core.figures import band


@dataclass(frozen=True)
class Settings:
    """The quadratic f(W) = ‖W‖²/2 in d dimensions, its gradient noise, and the grid."""

    dimension: int = 20
    start: float = 1.0  # ‖W_0‖
    noise: float = 1.0  # E‖stochastic gradient − gradient‖² of one example
    sigma: float = 0.1  # of the injected noise, per coordinate
    steps: tuple[int, ...] = tuple(2**i for i in range(6, 15))  # T
    perturbations: tuple[int, ...] = (1, 2, 4, 8)  # k
    trials: int = 10


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One T and k per cell, all trials at once."""
    for steps in settings.steps:
        for k in settings.perturbations:
            yield {"steps": steps, "k": k}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Mean of ‖∇F(W_t)‖² over t = 1..T, per trial, with the step η = √(k/T) that balances start and noise."""
    found = {}
    for two_point in (True, False):
        found[two_point] = mean_squared_gradient(
            settings, cell["steps"], cell["k"], two_point=two_point, generator=context.generator
        )
    return [
        {"trial": trial, "squared_gradient": float(two), "one_point": float(one)}
        for trial, (two, one) in enumerate(zip(found[True], found[False]))
    ]


def mean_squared_gradient(
    settings: Settings, steps: int, k: int, *, two_point: bool, generator: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Algorithm 1 for many trials at once: gradients at W + U_j and W − U_j of the same example z_j.

    The step is η = ‖W_0‖/s · √(k/T): of all constant steps the one with the least ‖W_0‖²/(2ηT) + ηs²/(2k).
    """
    shape = (settings.trials, k, settings.dimension)
    weights = np.full((settings.trials, 1, settings.dimension), settings.start / settings.dimension**0.5)
    step = settings.start / settings.noise**0.5 * (k / steps) ** 0.5
    deviation = (settings.noise / settings.dimension) ** 0.5
    total = np.zeros(settings.trials)
    for _ in range(steps):
        total += np.square(weights).sum((1, 2))
        example = deviation * generator.standard_normal(shape)
        draw = settings.sigma * generator.standard_normal(shape)
        plus = (weights + draw) + example  # the gradient of ‖W‖²/2 + ⟨z, W⟩ at W + U
        gradient = (plus + ((weights - draw) + example)) / 2 if two_point else plus
        weights = weights - step * gradient.mean(1, keepdims=True)
    return total / steps


def plot(table: pd.DataFrame) -> Figure:
    """Squared gradient against T for every k, and against kT for all."""
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    for k, part in table.groupby("k"):
        band(left, part, "steps", "squared_gradient", label=f"k = {k}", log=True)
    pooled = table.assign(work=table["steps"] * table["k"])
    band(right, pooled, "work", "squared_gradient", label="NSO, all k", log=True)
    band(right, pooled, "work", "one_point", label="one-sided noise", log=True)
    work = np.array([pooled["work"].min(), pooled["work"].max()], dtype=float)
    right.plot(work, work**-0.5, color="#777777", linewidth=1, linestyle=(0, (1, 1)), label="1/√(kT)")
    left.set(xscale="log", yscale="log", xlabel="steps T", ylabel="mean of ‖∇F(W_t)‖²")
    right.set(xscale="log", yscale="log", xlabel="perturbations × steps, kT")
    left.legend()
    right.legend()
    return figure


EXPERIMENT = Experiment(
    name="nso-rate",
    title="The squared gradient of NSO falls like 1/√(kT)",
    scales={
        "smoke": Settings(steps=(64, 128, 256), perturbations=(1, 4), trials=3),
        "laptop": Settings(),
        "gpu": Settings(steps=tuple(2**i for i in range(6, 18)), perturbations=(1, 2, 4, 8, 16)),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "N6",
            "E‖∇F(W_t)‖² falls with the exponent −1/2 in T, at k = 1",
            "TMLR 2024, convergence rate (poster)",
            -0.5,
            "number",
            slope("steps", "squared_gradient", expected=-0.5, tolerance=0.05, where={"k": 1}),
        ),
        Claim(
            "N6b",
            "and with the exponent −1/2 in k, at the largest T",
            "TMLR 2024, convergence rate (poster)",
            -0.5,
            "number",
            slope(
                "k",
                "squared_gradient",
                expected=-0.5,
                tolerance=0.05,
                where={"steps": lambda column: column == column.max()},
            ),
        ),
    ],
)
