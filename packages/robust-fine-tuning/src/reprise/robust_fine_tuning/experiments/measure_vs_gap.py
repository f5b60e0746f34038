"""The measure has the scale of the observed gap, where norm bounds are thousands of times larger (claims R1, R2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn

from reprise.core import Claim, Context, Experiment, at_least
from reprise.core.figures import COLOURS, MARKERS
from reprise.robust_fine_tuning.constraints import DistancePenalty
from reprise.robust_fine_tuning.digits import digits_transfer, network, pretrained_digits
from reprise.robust_fine_tuning.distance import hessian_distance
from reprise.robust_fine_tuning.fine_tuning import fine_tune
from reprise.robust_fine_tuning.flatness_bound import trace_bound
from reprise.robust_fine_tuning.gap import generalization_gap
from reprise.robust_fine_tuning.norm_bounds import Kind, pac_bayes_norm_bound
from reprise.robust_fine_tuning.radii_by_depth import layer_radii

METHODS = ("plain", "early stopping", "L2 penalty", "Frobenius", "MARS", "label smoothing", "mixup")
NORM_BOUNDS: tuple[Kind, ...] = ("distance", "spectral", "infinity")


@dataclass(frozen=True)
class Settings:
    """Sizes and the strengths of seven ways to fine-tune."""

    sizes: tuple[int, ...] = (50, 100, 200, 400)  # n
    methods: tuple[str, ...] = METHODS
    epochs: int = 60
    step_size: float = 3e-3
    penalty: float = 0.01  # λ of the L2 penalty
    radius: float = 1.0  # Frobenius, per layer
    row_radius: float = 1.0  # MARS: ℓ1 norm of a row
    smoothing: float = 0.1
    mixup: float = 0.2
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One fine-tuned network per cell."""
    for n in settings.sizes:
        for method in settings.methods:
            for trial in range(settings.trials):
                yield {"n": n, "method": method, "trial": trial}


def prepare(settings: Settings, context: Context) -> list[dict[str, Tensor]]:
    """One pretrained network per trial."""
    return [pretrained_digits(context.shared_seed("problem", trial) % 2**31) for trial in range(settings.trials)]


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Gap, measures and norm bounds of one network."""
    seed = context.shared_seed("problem", cell["trial"]) % 2**31
    task = digits_transfer(cell["n"], seed, state=context.prepared[cell["trial"]])
    model = network().to(context.device)
    model.load_state_dict(task.state)
    options: dict[str, Any] = {}
    if cell["method"] == "early stopping":
        options = {"validation": task.validation, "patience": 5}
    elif cell["method"] == "L2 penalty":
        options = {"penalty": DistancePenalty(model, task.state, settings.penalty)}
    elif cell["method"] == "Frobenius":
        options = {"constraints": layer_radii(model, task.state, settings.radius)}
    elif cell["method"] == "MARS":
        options = {"constraints": layer_radii(model, task.state, settings.row_radius, norm="infinity")}
    elif cell["method"] == "label smoothing":
        options = {"loss": partial(nn.functional.cross_entropy, label_smoothing=settings.smoothing)}
    elif cell["method"] == "mixup":
        options = {"mixup": settings.mixup}
    fine_tune(
        model,
        task.train,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=settings.step_size, weight_decay=0.0),
        decay_every=None,
        epochs=settings.epochs,
        seed=seed,
        **options,
    )
    model.eval()
    observed = generalization_gap(model, task.train, task.test)
    # the maximum runs over examples that were trained on and examples that were not
    everything = tuple(torch.cat(parts) for parts in zip(task.train, task.validation))
    found = hessian_distance(model, task.state, everything, method="lanczos", steps=10, n=cell["n"])
    gauss_newton = hessian_distance(model, task.state, everything, method="ggn", n=cell["n"])
    batched = hessian_distance(model, task.state, everything, method="ggn", reduction="batch", n=cell["n"])
    flat = trace_bound(model, task.state, everything, n=cell["n"], probes=20)
    norm = float(everything[0].norm(dim=1).max())
    bounds = {
        f"{kind}_bound": pac_bayes_norm_bound(
            model,
            task.state,
            cell["n"],
            kind=kind,
            loss_bound=found.loss_bound,
            input_norm=norm,
        )
        for kind in NORM_BOUNDS
    }
    return [
        {
            "gap": observed.gap,
            "train_loss": observed.train_loss,
            "test_loss": observed.test_loss,
            "test_accuracy": observed.test_accuracy,
            "loss_bound": found.loss_bound,
            "measure": found.measure,
            "measure_p95": found.measure_of("p95"),
            "measure_mean": found.measure_of("mean"),
            "measure_ggn": gauss_newton.measure,
            "measure_batch": batched.measure,
            "lanczos_error": float(found.errors.max()),
            "trace_bound": flat.value,
            "largest_trace": flat.trace,
            "distance": flat.radius,
            **bounds,
        }
    ]


def smallest_ratio(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: the least quotient, over networks and norm bounds, of a norm bound and a column."""

    def quotient(table: pd.DataFrame) -> pd.Series:
        columns = [f"{kind}_bound" for kind in NORM_BOUNDS]
        return (table[columns].min(axis=1) / table[column]).groupby(table["trial"]).min()

    return quotient


def share_near_gap(column: str, low: float, high: float) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: the share of networks with a gap above 0.02 whose measure lies within [low, high] times the gap."""

    def share(table: pd.DataFrame) -> pd.Series:
        large = table[table["gap"] > 0.02]
        ratio = large[column] / large["gap"]
        return ratio.between(low, high).groupby(large["trial"]).mean()

    return share


def rank_over_methods(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: Spearman's correlation of a measure and the gap over the methods, averaged over n."""

    def correlation(table: pd.DataFrame) -> pd.Series:
        found = {
            keys: rows[column].corr(rows["gap"], method="spearman") for keys, rows in table.groupby(["trial", "n"])
        }
        return pd.Series(found).groupby(level=0).mean()

    return correlation


def plot(table: pd.DataFrame) -> Figure:
    """Measure and norm bounds against the gap, one point per network."""
    figure, (left, right) = plt.subplots(1, 2)
    seen = table[table["gap"] > 1e-3]
    line = np.array([seen["gap"].min(), seen["gap"].max()])
    for i, method in enumerate(table["method"].unique()):
        rows = seen[seen["method"] == method]
        left.scatter(rows["gap"], rows["measure"], s=14, color=COLOURS[i], marker=MARKERS[i], alpha=0.7, label=method)
    left.plot(line, line, color="#555555", linewidth=0.9, label="measure = gap")
    left.plot(line, 30 * line, color="#555555", linewidth=0.9, linestyle=":", label="30 × gap")
    left.set(xscale="log", yscale="log", xlabel="observed gap (nats)", ylabel="Hessian distance measure (nats)")
    left.legend(fontsize=6, ncol=2, handlelength=1.2, columnspacing=0.8)
    names = {
        "measure": "Hessian measure",
        "trace_bound": "trace bound of NSO",
        "distance_bound": "distance bound",
        "spectral_bound": "spectral bound",
        "infinity_bound": "infinity-norm bound",
    }
    for i, (column, label) in enumerate(names.items()):
        right.scatter(seen["gap"], seen[column], s=10, color=COLOURS[i], marker=MARKERS[i], alpha=0.6, label=label)
    right.plot(line, line, color="#555555", linewidth=0.9, label="bound = gap")
    right.set(xscale="log", yscale="log", xlabel="observed gap (nats)", ylabel="bound (nats)")
    right.set_ylim(top=float(seen["distance_bound"].max()) * 3e3)
    right.legend(fontsize=6, ncol=2, handlelength=1.2, columnspacing=0.8)
    return figure


EXPERIMENT = Experiment(
    name="measure-vs-gap",
    title="The measure has the scale of the gap, norm bounds do not",
    scales={
        "smoke": Settings(sizes=(50,), methods=("plain", "Frobenius", "MARS", "mixup"), epochs=10, trials=2),
        "laptop": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    claims=[
        Claim(
            "R1",
            "norm-based bounds are at least 1,000 times the measure, for every network and each of three bounds",
            "ICML 2022, Figure 1 and the comparison of bounds",
            None,
            "direction",
            at_least(smallest_ratio("measure"), 1e3),
        ),
        Claim(
            "R1b",
            "the measure lies within [gap, 30 gap] for at least 80 % of the networks with a gap above 0.02",
            "ICML 2022, Figure 1",
            None,
            "direction",
            at_least(share_near_gap("measure", 1.0, 30.0), 0.8),
        ),
        Claim(
            "R1c",
            "so does the measure of batches of four, as the authors compute it, within [gap/10, 10 gap]",
            "ICML 2022, code",
            None,
            "direction",
            at_least(share_near_gap("measure_batch", 0.1, 10.0), 0.8),
        ),
        Claim(
            "R1d",
            "the trace bound of noise stability optimization too is at most a hundredth of every norm bound",
            "TMLR 2024, PAC-Bayes bound (recalled)",
            None,
            "direction",
            at_least(smallest_ratio("trace_bound"), 1e2),
        ),
        Claim(
            "R2",
            "the measure ranks seven ways to fine-tune as their gaps do (mean rank correlation over n, above 0)",
            "ICML 2022, figure on fine-tuning methods",
            None,
            "direction",
            at_least(rank_over_methods("measure"), 0.0),
        ),
    ],
)
