"""How many accidents a segment will have: errors on segments with accidents and on all (claim A2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from reprise.core import Claim, Context, Experiment, at_most, beats, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.road_safety.baselines import run_baseline
from reprise.road_safety.experiments.data import TEST, TRAIN, VALID, cambridge
from reprise.road_safety.metrics import evaluate, monthly_mean
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.training import train

METRICS = ("mae_pos", "mae_all", "poisson_deviance")


@dataclass(frozen=True)
class Settings:
    """Regression as in the authors' scripts, beside regressions and constants."""

    models: tuple[str, ...] = (
        *("one", "zero", "past_count", "empirical_bayes", "poisson_glm", "negative_binomial"),
        *("none", "gcn", "sage", "gin"),
    )
    hidden: int = 64
    epochs: int = 30
    lr: float = 1e-2
    seeds: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One model and seed per cell."""
    for model in settings.models:
        for seed in range(settings.seeds if model in ("none", "gcn", "sage", "gin") else 1):
            yield {"model": model, "trial": seed}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Test errors, averaged over months by segments with accidents."""
    dataset, _ = cambridge(context)
    model = cell["model"]
    if model in ("one", "zero"):
        rows = []
        for row in dataset.rows_of(TEST):
            counts = dataset.counts[[row]].toarray()[0]
            rows.append(evaluate([float(model == "one")] * len(counts), counts))
        found = {name: monthly_mean(rows, name) for name in METRICS}
    elif model in ("none", "gcn", "sage", "gin"):
        found = train(
            dataset,
            lambda node, edge: RoadGNN(node, edge, settings.hidden, conv=model),
            "regression",
            TRAIN,
            VALID,
            TEST,
            epochs=settings.epochs,
            lr=settings.lr,
            seed=context.seed,
            device=context.device,
            progress=context.progress,
        ).metrics["test"]
    else:
        found = run_baseline(dataset, model, TRAIN, VALID, TEST, seed=context.seed).metrics["test"]
    return [{name: found[name] for name in METRICS}]


def plot(table: pd.DataFrame) -> Figure:
    """Three errors of every model."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    models = list(dict.fromkeys(table["model"]))
    titles = ("error on segments\nwith accidents", "error on all segments", "Poisson deviance\non all segments")
    for axis, metric, title in zip(axes, METRICS, titles):
        for height, model in enumerate(models):
            given = table.loc[table["model"] == model, metric]
            network = model in ("none", "gcn", "sage", "gin")
            axis.plot([given.min(), given.max()], [height] * 2, "-", color=COLOURS[int(network)], linewidth=1.2)
            axis.plot(given.mean(), height, marker=MARKERS[int(network)], color=COLOURS[int(network)], linestyle="")
        axis.set_xlabel(title)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(axis="x", alpha=0.3)
    names = {"one": "always 1", "zero": "always 0", "none": "MLP", "gcn": "GCN", "sage": "GraphSAGE", "gin": "GIN"}
    axes[0].set_yticks(range(len(models)), labels=[names.get(model, model.replace("_", " ")) for model in models])
    return figure


def error(model: str, metric: str) -> Callable[[pd.DataFrame], pd.Series]:
    """An error per seed."""
    return values(metric, {"model": model})


def constant(model: str, metric: str, like: str) -> Callable[[pd.DataFrame], pd.Series]:
    """The error of a model without seeds, once for every seed of another."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        alone = float(error(model, metric)(table).iloc[0])
        return pd.Series(alone, index=error(like, metric)(table).index)

    return quantity


EXPERIMENT = Experiment(
    name="cambridge-count",
    title="Numbers of accidents per segment and month",
    scales={
        "smoke": Settings(("one", "zero", "poisson_glm", "gcn", "sage"), hidden=8, epochs=2, seeds=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "A1",
            "counts of segments with accidents are predicted with an error of at most 22 % of the count, GraphSAGE",
            "abstract",
            "< 22 %",
            "direction",
            at_most(lambda table: error("sage", "mae_pos")(table) / mean_count(table), 0.22),
        ),
        Claim(
            "A2",
            "GraphSAGE errs less on segments with accidents than predicting one accident everywhere",
            "poster, table: constants are not in it",
            None,
            "direction",
            beats(error("sage", "mae_pos"), constant("one", "mae_pos", "sage")),
        ),
        Claim(
            "A2b",
            "and less on all segments than predicting none",
            "poster, table: constants are not in it",
            None,
            "direction",
            beats(error("sage", "mae_all"), constant("zero", "mae_all", "sage")),
        ),
        Claim(
            "A2c",
            "and has a smaller Poisson deviance than a Poisson regression with history",
            "beyond the papers",
            None,
            "direction",
            beats(error("sage", "poisson_deviance"), constant("poisson_glm", "poisson_deviance", "sage")),
        ),
    ],
)


def mean_count(table: pd.DataFrame) -> float:
    """Mean count of segments with accidents: the error of predicting none there."""
    return float(error("zero", "mae_pos")(table).iloc[0])
