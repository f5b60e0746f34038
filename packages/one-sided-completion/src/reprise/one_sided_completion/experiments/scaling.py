"""Time of the estimate in the number of rows, and of a step of the imputation in the number of pairs (claim O13)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import sparse

from reprise.core import Claim, Context, Experiment, slope
from reprise.core.figures import COLOURS, DASHES, MARKERS, band
from reprise.one_sided_completion.imputation import impute
from reprise.one_sided_completion.moment import SecondMoment, second_moment, second_moment_from
from reprise.one_sided_completion.sampling import sample_positions


@dataclass(frozen=True)
class Settings:
    """Sizes; blocks of rows are made as they are needed, and nothing of size n × d."""

    rows: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000, 1_000_000)
    d: int = 1000
    entries: int = 10
    block: int = 50_000
    dimensions: tuple[int, ...] = (1000, 1400, 2000, 2800, 4000)  # of the imputation, all pairs in pair form
    step_rows: int = 20_000
    steps: int = 20
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One timing per cell."""
    for trial in range(settings.trials):
        for n in settings.rows:
            yield {"part": "estimate", "n": n, "d": settings.d, "trial": trial}
        for d in settings.dimensions:
            yield {"part": "step", "n": settings.step_rows, "d": d, "trial": trial}


def blocks(n: int, d: int, entries: int, size: int, seed: int) -> Iterator[sparse.csr_array]:
    """Rows of Gaussian entries, `size` at a time, shown at random positions."""
    generator = np.random.default_rng(seed)
    for start in range(0, n, size):
        rows = min(size, n - start)
        indptr, indices = sample_positions(rows, d, per_row=entries, seed=int(generator.integers(2**31)))
        yield sparse.csr_array((generator.standard_normal(len(indices)), indices, indptr), shape=(rows, d))


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Seconds, with the blocks made beforehand or not counted."""
    warm = second_moment(next(blocks(100, cell["d"], 4, 100, 0)))
    if cell["part"] == "estimate":
        second_moment_from([_first(settings, cell, context.seed)])
        seconds, pairs = 0.0, 0
        moment: SecondMoment | None = None
        for block in blocks(cell["n"], cell["d"], settings.entries, settings.block, context.seed):
            begin = time.perf_counter()
            part = second_moment(block)
            moment = part if moment is None else moment + part
            seconds += time.perf_counter() - begin
            pairs += int(sum(np.diff(block.indptr).astype(np.int64) ** 2))
        return [{"seconds": seconds, "pairs": pairs}]
    impute(warm, 10, max_iter=2, form="pairs")
    moment = second_moment(_first(settings, cell, context.seed))
    begin = time.perf_counter()
    impute(moment, 10, init="random", max_iter=settings.steps, tol=0.0, step_size=1.0, form="pairs")
    return [{"seconds": (time.perf_counter() - begin) / settings.steps, "pairs": len(moment.indices)}]


def _first(settings: Settings, cell: Mapping[str, Any], seed: int) -> sparse.csr_array:
    # Enough entries per row for a fifth of all pairs to be seen, at every d.
    entries = (
        settings.entries if cell["part"] == "estimate" else int(cell["d"] * np.sqrt(0.22 / settings.step_rows)) + 1
    )
    size = min(cell["n"], settings.block)
    return next(blocks(cell["n"], cell["d"], entries, size, seed))


def plot(table: pd.DataFrame) -> Figure:
    """Seconds against rows, and against pairs."""
    figure, axes = plt.subplots(1, 2)
    for index, (panel, (part, rows)) in enumerate(zip(axes, table.groupby("part", sort=False))):
        style: Any = {"marker": MARKERS[index], "color": COLOURS[index], "linestyle": DASHES[index]}
        x = "n" if part == "estimate" else "pairs"
        if x == "pairs":
            rows = rows.assign(pairs=rows.groupby("d")["pairs"].transform("mean"))
        band(panel, rows, x, "seconds", log=True, **style)
        first = rows.groupby(x)["seconds"].mean()
        panel.plot(
            first.index, first.iloc[0] * first.index / first.index[0], color="#777777", lw=0.8, ls=":", label="slope 1"
        )
        panel.set(xscale="log", yscale="log")
        panel.legend()
    axes[0].set(xlabel="rows, n (C = 10, d = 1,000)", ylabel="seconds for the estimate")
    axes[1].set(xlabel="pairs seen, |Ω| (r = 10)", ylabel="seconds per step of the imputation")
    return figure


EXPERIMENT = Experiment(
    name="scaling",
    title="Time is linear in rows and in pairs",
    scales={
        "smoke": Settings(
            rows=(2000, 8000, 20_000), d=100, block=5000, dimensions=(100, 200), step_rows=2000, steps=5, trials=2
        ),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    timings=("seconds",),
    claims=[
        Claim(
            "O13",
            "a step of the imputation takes time linear in the pairs seen: slope 1 ± 0.15",
            "figure on run time",
            1.0,
            "number",
            slope("pairs", "seconds", expected=1.0, tolerance=0.15, where={"part": "step"}),
        ),
        Claim(
            "O13b",
            "the estimate takes time linear in the rows: slope 1 ± 0.15, n = 10,000 to 1,000,000",
            "Section 2",
            1.0,
            "number",
            slope("n", "seconds", expected=1.0, tolerance=0.15, where={"part": "estimate"}),
        ),
    ],
)
