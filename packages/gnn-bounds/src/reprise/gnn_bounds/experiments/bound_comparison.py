"""All bounds on trained networks of two, four and six layers (claim B2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, ratio, values
from reprise.core.figures import COLOURS
from reprise.gnn_bounds.batch import prepare
from reprise.gnn_bounds.bounds import garg2020, ju2023, liao2021
from reprise.gnn_bounds.experiments.data import LARGE, TU, data_of, graphs_of
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.per_graph import tightenings
from reprise.gnn_bounds.statistics import graph_statistics
from reprise.gnn_bounds.training import evaluate, split, train
from reprise.gnn_bounds.unified import UnifiedGNN


@dataclass(frozen=True)
class Settings:
    """Sets, networks and their training, as in the paper's appendix."""

    sets: tuple[str, ...] = ("IMDB-B", "IMDB-M")
    kinds: tuple[str, ...] = ("gcn", "mpgnn")
    depths: tuple[int, ...] = (2, 4, 6)  # l
    width: int = 128
    epochs: int = 50
    learning_rate: float = 0.01
    batch_size: int = 128
    loss_bound: float = 5.4  # B
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One trained network per cell."""
    for trial in range(settings.trials):
        for name in settings.sets:
            for kind in settings.kinds:
                for depth in settings.depths:
                    yield {"set": name, "kind": kind, "depth": depth, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Train, and evaluate every bound: with the constants of the theorems, without, and with a bounded activation."""
    kind, depth = cell["kind"], cell["depth"]
    graphs = graphs_of(context.data(data_of(cell["set"])), cell["set"])
    generator = torch.Generator().manual_seed(context.seed)
    training, test = split(len(graphs), generator)
    classes = max(graph.label for graph in graphs) + 1
    features = graphs[0].features
    assert features is not None
    model = UnifiedGNN(features.shape[1], settings.width, classes, depth, kind, generator=generator)
    model.to(context.device)
    data = prepare(graphs, kind=model.diffusion)
    train(
        model,
        data,
        training,
        epochs=settings.epochs,
        generator=generator,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        progress=context.progress,
    )
    fit = evaluate(model, data, training, test)
    norms = LayerNorms.from_model(model)
    stats = graph_statistics([graphs[i] for i in training], model.diffusion)
    shared: Any = {"n": len(training), "depth": depth}
    rival: Literal["gcn", "mpgnn"] = "gcn" if kind == "gcn" else "mpgnn"
    ours = ju2023(norms, stats, loss_bound=settings.loss_bound, **shared)
    liao = liao2021(norms, stats, model=rival, **shared)
    liao_spectral = liao2021(norms, stats, model=rival, feature_norm="spectral", **shared)
    garg, bounded = garg2020(norms, stats, **shared), garg2020(norms, stats, activation_bound=1.0, **shared)
    bare = ju2023(norms, stats, loss_bound=1.0, **shared).log10
    steps = tightenings(norms, stats, loss_bound=settings.loss_bound, zero_start=kind == "mpgnn", **shared)
    row = {
        "gap": fit.gap,
        "test_accuracy": fit.test_accuracy,
        "ours": ours.log10,
        "liao": liao.log10,
        "liao_spectral": liao_spectral.log10,
        "garg": garg.log10,
        "garg_bounded": bounded.log10,
        "liao_over_ours": 10 ** (liao.log10 - ours.log10),
        "best_rival_over_ours": 10 ** (min(liao.log10, garg.log10) - ours.log10),
        "rates_liao_over_ours": 10 ** (liao2021(norms, stats, model=rival, constant=1.0, **shared).log10 - bare),
        "garg_bounded_over_ours": 10 ** (bounded.log10 - ours.log10),
        "tightest": steps[-1].bound.log10,
        "tightest_over_gap": 10 ** steps[-1].bound.log10 / abs(fit.gap),
    }
    return [row | {f"gain_{step.step.replace(' ', '_')}": step.gain for step in steps[1:]}]


def plot(table: pd.DataFrame) -> Figure:
    """Bars of all bounds on a logarithmic axis, the observed gap as a line."""
    sets, kinds = list(dict.fromkeys(table["set"])), list(dict.fromkeys(table["kind"]))
    figure, axes = plt.subplots(len(sets), len(kinds), figsize=(7.0, 2.2 * len(sets) + 0.5), sharex=True, squeeze=False)
    bars = [
        ("tightest", "Ju et al., tightened per graph", "", COLOURS[6]),
        ("ours", "Ju et al.", "//", COLOURS[0]),
        ("liao", "Liao et al.", "..", COLOURS[1]),
        ("garg", "Garg et al.", "xx", "#444444"),
        ("garg_bounded", "Garg et al., if φ were bounded by 1", "\\\\", COLOURS[5]),
    ]
    depths = sorted(table["depth"].unique())
    for row, name in enumerate(sets):
        for column, kind in enumerate(kinds):
            axis = axes[row][column]
            part = table[(table["set"] == name) & (table["kind"] == kind)]
            means = part.groupby("depth")
            for index, (key, label, hatch, colour) in enumerate(bars):
                height = 10 ** means[key].mean()
                axis.bar(
                    np.arange(len(depths)) + 0.16 * (index - 2),
                    height - 1e-2,
                    0.15,
                    bottom=1e-2,
                    label=label,
                    hatch=hatch,
                    color=colour,
                    edgecolor="white",
                    linewidth=0.3,
                )
            gaps = means["gap"].mean().clip(lower=1e-2)
            for place, gap in enumerate(gaps):
                axis.plot([place - 0.42, place + 0.42], [gap, gap], color="#009E73", linewidth=2, linestyle="-")
            axis.plot([], [], color="#009E73", linewidth=2, linestyle="-", label="observed gap")
            axis.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
            axis.set(yscale="log", ylim=(1e-2, 1e23), title=f"{name}, {kind.upper()}")
            axis.set_xticks(np.arange(len(depths)), [f"l = {depth}" for depth in depths])
            axis.set_yticks([1e-2, 1e2, 1e6, 1e10, 1e14, 1e18, 1e22])
            axis.grid(axis="x", visible=False)
    figure.supylabel("bound on the gap (nats)", fontsize=9)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


CELLS = [(name, kind, depth) for name in ("IMDB-B", "IMDB-M") for kind in ("gcn", "mpgnn") for depth in (2, 4, 6)]


def _per_trial(column: str, statistic: str) -> Any:
    return lambda table: table.groupby("trial")[column].agg(statistic)


def _in_every_cell(column: str, least: float) -> Any:
    """Every single network, not a mean: the smallest over seeds in each cell."""

    def smallest(key: tuple[Any, ...]) -> Any:
        return lambda table: pd.Series([values(column, dict(zip(("set", "kind", "depth"), key)))(table).min()])

    return all_of(*[at_least(smallest(key), least) for key in CELLS])


def _growth(name: str) -> Any:
    """Liao et al. over ours for a GCN, at l = 6 over l = 2, per trial."""
    deep, shallow = (values("liao_over_ours", {"set": name, "kind": "gcn", "depth": depth}) for depth in (6, 2))
    return ratio(deep, shallow)


EXPERIMENT = Experiment(
    name="bound-comparison",
    title="Bounds on trained networks of two, four and six layers",
    scales={
        "smoke": Settings(sets=("MUTAG",), depths=(2, 4), width=16, epochs=3, trials=2),
        "laptop": Settings(),
        "gpu": Settings(trials=10),
        "paper": Settings(sets=("IMDB-B", "IMDB-M", "COLLAB"), trials=10),
    },
    data={"smoke": (TU,), "laptop": (TU,), "gpu": (TU,), "paper": (TU, LARGE["COLLAB"])},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "B2",
            "ours is below Liao et al. and Garg et al. in all 12 cells and for every seed "
            "(shown: the smaller of the two over ours, IMDB-B, GCN, l = 2)",
            "figure on the comparison of bounds",
            None,
            "direction",
            _in_every_cell("best_rival_over_ours", 1.0),
        ),
        Claim(
            "B2b",
            "the median over all cells of the smaller of the two over ours is at least 10",
            "figure on the comparison of bounds",
            None,
            "direction",
            # a bound is a product of norms, whose seeds differ by factors: the interval is that of the logarithm
            at_least(_per_trial("best_rival_over_ours", "median"), 10.0, statistic="geometric mean"),
        ),
        Claim(
            "B2c",
            "for GCN the advantage over Liao et al. grows with depth: l = 6 over l = 2, at least 100 times on both sets"
            " (shown: IMDB-B)",
            "the graph drops out of the bound of a GCN",
            None,
            "direction",
            all_of(*[at_least(_growth(name), 100.0, statistic="geometric mean") for name in ("IMDB-B", "IMDB-M")]),
        ),
        Claim(
            "B2d",
            "with all constants set to 1 ours is still below Liao et al., in the median over cells",
            "rates alone",
            None,
            "direction",
            at_least(_per_trial("rates_liao_over_ours", "median"), 1.0, statistic="geometric mean"),
        ),
        Claim(
            "B2e",
            "with an activation bounded by 1 Garg et al. are below ours at l = 6 for MPGNN (shown: theirs over ours, "
            "IMDB-B): a regime that the paper leaves out",
            "Garg et al., Proposition 7",
            None,
            "direction",
            all_of(
                *[
                    at_most(
                        values("garg_bounded_over_ours", {"set": name, "kind": "mpgnn", "depth": 6}),
                        1.0,
                        statistic="geometric mean",
                    )
                    for name in ("IMDB-B", "IMDB-M")
                ]
            ),
        ),
        Claim(
            "B2f",
            "even the tightened bound of the shallowest GCN is vacuous: at least 100 (shown: log10, IMDB-B)",
            "beyond the paper",
            None,
            "direction",
            all_of(
                *[
                    at_least(values("tightest", {"set": name, "kind": "gcn", "depth": 2}), math.log10(100.0))
                    for name in ("IMDB-B", "IMDB-M")
                ]
            ),
        ),
    ],
)
