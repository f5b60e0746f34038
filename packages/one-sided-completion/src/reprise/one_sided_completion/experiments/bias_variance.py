"""Error and variance of the two estimators over masks, and the Taylor series of a ratio (claims O1, O2, O14)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_most, beats, slope, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.one_sided_completion.experiments.simulation import simulate, worst_factor
from reprise.one_sided_completion.generators import GENERATORS
from reprise.one_sided_completion.moment import second_moment
from reprise.one_sided_completion.ratio import hajek_moments
from reprise.one_sided_completion.sampling import sample


@dataclass(frozen=True)
class Settings:
    """Sizes, rates, and the number of masks at each rate."""

    n: int = 10_000
    d: int = 1000
    rank: int = 10
    per_row: tuple[int, ...] = (10, 50, 100)  # C; also p = C/d
    masks: tuple[int, ...] = (200, 30, 15)  # at each C, over which variances are taken
    mixture_n: int = 20_000
    mixture_per_row: tuple[int, ...] = (2, 5, 10)
    taylor_n: int = 1000
    taylor_d: int = 100
    taylor_rates: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2, 0.25)
    taylor_masks: int = 4000
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One matrix and one rate per cell."""
    for trial in range(settings.trials):
        for entries in settings.per_row:
            for how in ("uniform", "per row"):
                yield {"part": "estimators", "how": how, "entries": entries, "trial": trial}
        for entries in settings.mixture_per_row:
            yield {"part": "mixtures", "how": "per row", "entries": entries, "trial": trial}
        for rate in settings.taylor_rates:
            yield {"part": "taylor", "how": "uniform", "entries": round(rate * settings.taylor_d), "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Errors on one mask, and moments of each estimator over many."""
    seed = context.shared_seed("matrix", cell["part"], cell["trial"])
    if cell["part"] == "taylor":
        return [_taylor(settings, cell, seed)]
    if cell["part"] == "mixtures":
        sizes = (settings.mixture_n, settings.d, settings.rank)
        run = simulate(*sizes, seed=seed, generator="linear-mixtures", per_row=cell["entries"])
        weighted = run.moment.with_estimator("horvitz-thompson", p=cell["entries"] / settings.d)
        seen = np.linalg.norm(run.T[run.moment.counts.toarray() > 0]) / np.linalg.norm(run.T)
        return [{"hajek_error": run.seen_error(run.moment) / seen, "ht_error": run.seen_error(weighted) / seen}]
    return [_over_masks(settings, cell, seed)]


def _over_masks(settings: Settings, cell: Mapping[str, Any], seed: int) -> dict[str, Any]:
    p = cell["entries"] / settings.d
    how: dict[str, Any] = {"p": p} if cell["how"] == "uniform" else {"per_row": cell["entries"]}
    run = simulate(settings.n, settings.d, settings.rank, seed=seed, **how)
    upper = np.triu_indices(settings.d)
    truth = run.T[upper]
    masks = settings.masks[settings.per_row.index(cell["entries"])]
    seen = np.zeros(len(truth))
    # Sums of errors and of their squares, of the seen masks for Hájek, of all for Horvitz-Thompson.
    first, second, other, other_square = np.zeros((4, len(truth)))
    mean_error = []
    place = np.full((settings.d, settings.d), -1)
    place[upper] = np.arange(len(truth))
    for mask in range(masks):
        moment = second_moment(sample(run.M, seed=seed + 1 + mask, **how))
        at = place[moment.pair_rows, moment.indices]
        error = moment.pair_values - truth[at]
        seen[at] += 1
        first[at] += error
        second[at] += error**2
        mean_error.append(float((error / truth[at]).mean()))
        weighted = np.zeros(len(truth))
        weighted[at] = moment.with_estimator("horvitz-thompson", p=p).pair_values
        other += weighted - truth
        other_square += (weighted - truth) ** 2
    kept = seen > 1
    variance = (second[kept] - first[kept] ** 2 / seen[kept]) / (seen[kept] - 1)
    spread = np.std(mean_error, ddof=1) / np.sqrt(masks)
    ht = run.moment.with_estimator("horvitz-thompson", p=p)
    return {
        "hajek_error": run.seen_error(run.moment),
        "ht_error": run.seen_error(ht),
        "hajek_variance": float(variance.mean()),
        "ht_variance": float(((other_square - other**2 / masks) / (masks - 1)).mean()),
        "mean_count": float(run.moment.count.mean()),
        "bias_in_errors": abs(float(np.mean(mean_error))) / spread,
    }


def _taylor(settings: Settings, cell: Mapping[str, Any], seed: int) -> dict[str, Any]:
    d, p = settings.taylor_d, cell["entries"] / settings.taylor_d
    M = GENERATORS["common-means"](settings.taylor_n, d, settings.rank, seed=seed).astype(np.float64)
    upper = np.triu_indices(d, 1)
    predicted = [hajek_moments(M[:, i], M[:, j], p=p) for i, j in zip(*upper)]
    generator = np.random.default_rng(seed)
    # So many that the sampling error of the mean is below what it is compared with.
    seen, first, second = np.zeros((3, d, d))
    for _ in range(settings.taylor_masks):
        mask = (generator.random(M.shape) < p).astype(np.float64)
        part = M * mask
        count = mask.T @ mask
        estimate = np.divide(part.T @ part, count, out=np.zeros((d, d)), where=count > 0)
        seen += count > 0
        first += estimate
        second += estimate**2
    seen, first, second = seen[upper], first[upper], second[upper]
    mean = float(first.sum() / seen.sum()) - float(np.mean([each.mean for each in predicted]))
    spread = (second - first**2 / seen) / (seen - 1)
    variance = float(spread.mean()) - float(np.mean([each.variance for each in predicted]))
    return {
        "taylor_mean_error": abs(mean),
        "taylor_variance_error": abs(variance),
        "taylor_variance": float(np.mean([each.variance for each in predicted])),
    }


def plot(table: pd.DataFrame) -> Figure:
    """Error and variance against C for both estimators, with the authors' values."""
    figure, axes = plt.subplots(1, 2)
    rows = table[(table["part"] == "estimators") & (table["how"] == "uniform")]
    printed = {"error": (HAJEK_P, HT_P), "variance": (HAJEK_VARIANCE, HT_VARIANCE)}
    for panel, (what, values_of) in zip(axes, printed.items()):
        for index, (kind, label, paper) in enumerate(
            (("hajek", "Hájek", values_of[0]), ("ht", "Horvitz–Thompson", values_of[1]))
        ):
            mean = rows.groupby("entries")[f"{kind}_{what}"].mean()
            panel.plot(mean.index, mean, marker=MARKERS[index], color=COLOURS[index], label=label)
            known = {key: value for key, value in paper.items() if key in set(mean.index)}
            panel.plot(
                list(known), list(known.values()), "x", color="black", ms=7, label="paper" if index else None, ls=""
            )
        panel.set(xscale="log", yscale="log", xlabel="entries per row, C")
        panel.set_xticks(sorted(rows["entries"].unique()))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
    axes[0].set_ylabel("error on seen entries (relative)")
    axes[1].set_ylabel("variance of an entry over masks")
    axes[0].legend()
    return figure


HAJEK_P = {10: 2e-3, 50: 6e-4, 100: 3e-4}
HT_P = {10: 7.9e-1, 50: 2e-1, 100: 1e-1}
HAJEK_ROW = {10: 2e-3, 50: 6e-4, 100: 2.7e-4}
HT_ROW = {10: 7.1e-1, 50: 2e-1, 100: 1e-1}
HAJEK_VARIANCE = {10: 1e-10, 50: 5.7e-12, 100: 1.4e-12}
HT_VARIANCE = {10: 1e-5, 50: 6.3e-7, 100: 1.6e-7}


def printed(column: str, values_of: Mapping[int, float], how: str) -> Any:
    """Largest factor between a column and what the authors plot."""
    return worst_factor(column, values_of, over="entries", where={"part": "estimators", "how": how})


def at(column: str, entries: int, part: str = "estimators") -> Any:
    """A column at C entries per row."""
    how = "uniform" if part != "mixtures" else "per row"
    return values(column, {"part": part, "how": how, "entries": entries})


def taylor(column: str, entries: int) -> Any:
    """An error of the series at p = entries/100."""
    return values(column, {"part": "taylor", "entries": entries})


EXPERIMENT = Experiment(
    name="bias-variance",
    title="Dividing by the own count cuts error and variance",
    scales={
        "smoke": Settings(
            n=300,
            d=40,
            rank=2,
            per_row=(4, 8),
            masks=(30, 20),
            mixture_n=500,
            mixture_per_row=(2, 5),
            taylor_n=200,
            taylor_d=20,
            taylor_rates=(0.2, 0.4),
            taylor_masks=60,
            trials=2,
        ),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "O1",
            "the estimate is unbiased at every rate: its mean error over up to 200 masks lies within 4 standard errors",
            "Section 2, estimator figure",
            None,
            "number",
            all_of(
                *(
                    at_most(values("bias_in_errors", {"part": "estimators", "how": how, "entries": entries}), 4.0)
                    for how in ("uniform", "per row")
                    for entries in (10, 50, 100)
                )
            ),
        ),
        Claim(
            "O1b",
            "error on seen entries at p = 0.01, 0.05, 0.1, both estimators, within a factor 2 of what is plotted "
            "(shown: the largest factor)",
            "estimator figure",
            "2e-3/6e-4/3e-4 and 0.79/0.2/0.1",
            "number",
            all_of(
                at_most(printed("hajek_error", HAJEK_P, "uniform"), 2.0),
                at_most(printed("ht_error", HT_P, "uniform"), 2.0),
            ),
        ),
        Claim(
            "O1c",
            "the same with exactly C = 10, 50, 100 entries per row",
            "estimator figure",
            "2e-3/6e-4/2.7e-4 and 0.71/0.2/0.1",
            "number",
            all_of(
                at_most(printed("hajek_error", HAJEK_ROW, "per row"), 2.0),
                at_most(printed("ht_error", HT_ROW, "per row"), 2.0),
            ),
        ),
        Claim(
            "O1d",
            "the error is at least 50 times smaller than Horvitz-Thompson's, at every rate",
            "estimator figure",
            "300 to 400",
            "number",
            all_of(*(beats(at("hajek_error", c), at("ht_error", c), factor=50) for c in (10, 50, 100))),
        ),
        Claim(
            "O1e",
            "also on linear mixtures, whose entries differ in sign, it errs less (shown: how many times, C = 2)",
            "beyond the paper",
            None,
            "direction",
            all_of(*(beats(at("hajek_error", c, "mixtures"), at("ht_error", c, "mixtures")) for c in (2, 5, 10))),
        ),
        Claim(
            "O2",
            "variance of an entry over masks at p = 0.01, 0.05, 0.1, both estimators, within a factor 2 "
            "(shown: the largest factor)",
            "estimator figure",
            "1e-10/5.7e-12/1.4e-12 and 1e-5/6.3e-7/1.6e-7",
            "number",
            all_of(
                at_most(printed("hajek_variance", HAJEK_VARIANCE, "uniform"), 2.0),
                at_most(printed("ht_variance", HT_VARIANCE, "uniform"), 2.0),
            ),
        ),
        Claim(
            "O2b",
            "the variance is at least 1,000 times smaller",
            "estimator figure",
            "1e5",
            "number",
            all_of(*(beats(at("hajek_variance", c), at("ht_variance", c), factor=1000) for c in (10, 50, 100))),
        ),
        Claim(
            "O2c",
            "the variance falls like one over the count",
            "Section 2",
            -1.0,
            "number",
            slope(
                "mean_count",
                "hajek_variance",
                expected=-1.0,
                tolerance=0.1,
                where={"part": "estimators", "how": "uniform"},
            ),
        ),
        Claim(
            "O14",
            "mean of the ratio by Taylor's series: error of at most 10⁻⁶ (n = 1,000, d = 100, p = 0.05 to 0.25)",
            "approximation figure",
            "1e-6 to 1e-7",
            "number",
            all_of(*(at_most(taylor("taylor_mean_error", entries), 1e-6) for entries in (5, 10, 15, 20, 25))),
        ),
        Claim(
            "O14b",
            "its variance: error of at most 10⁻⁸ at the same rates",
            "approximation figure",
            "1e-8 to 1e-10",
            "number",
            all_of(*(at_most(taylor("taylor_variance_error", entries), 1e-8) for entries in (5, 10, 15, 20, 25))),
            tried="the series is one in 1/count: at p = 0.05 a pair is seen by 2.5 rows on average, and the variance "
            "is off by a quarter; from p = 0.15 on (22 rows) the bound holds",
        ),
    ],
)
