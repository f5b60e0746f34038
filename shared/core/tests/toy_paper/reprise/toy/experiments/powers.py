"""Noisy powers of numbers, slow on demand: everything that a run of the real papers does, in little."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from reprise.core import Claim, Experiment, at_least, at_most, beats, slope, values


@dataclass(frozen=True)
class Settings:
    sizes: tuple[int, ...] = (2, 4, 8, 16)
    trials: int = 3
    exponent: float = 2  # an int where a float is declared, as people write it
    noise: float = 0.01


def cells(settings):
    for size in settings.sizes:
        for trial in range(settings.trials):
            yield {"size": size, "trial": trial}


def measure(settings, cell, context):
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    common = np.random.default_rng(context.shared_seed("problem", cell["trial"])).standard_normal()
    noise = context.generator.standard_normal()
    matrix = np.random.default_rng(context.seed).standard_normal((60, 60))
    context.progress(1, 1)
    return [
        {
            "value": cell["size"] ** settings.exponent * np.exp(settings.noise * noise),
            "worse": 3.0 * cell["size"] ** settings.exponent,
            "common": common,
            "norm": np.linalg.norm(matrix @ matrix, 2),
            "single": np.float32(noise),
            "seconds": time.perf_counter(),
        }
    ]


def plot(table):
    figure = Figure()
    axes = figure.subplots()
    axes.loglog(table["size"], table["value"], "o")
    axes.set(xlabel="size", ylabel="value")
    return figure


EXPERIMENT = Experiment(
    name="powers",
    title="Values grow as a power of the size <with & markup>",
    scales={"smoke": Settings(sizes=(2, 4), trials=2), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=(
        Claim(
            "T1",
            "values [n] grow as the square [/of it]",
            "Theorem 1",
            2.0,
            "number",
            slope("size", "value", expected=2, tolerance=0.05),
        ),
        Claim("T2", "ours beats theirs", "Table 1", "2×", "direction", beats("value", "worse", factor=2)),
        Claim(
            "T3",
            "nothing is ever above one",
            "Figure 9",
            None,
            "direction",
            at_most("value", 1.0),
            tried="sizes from 2 to 16",
        ),
        Claim("T4", "a huge one", "Table 2", 1e6, "direction", at_least(values("value", {"size": 1000}), 1e5)),
    ),
    timings=("seconds",),
)
