"""Figure 2: the Hessian trace of the surrogate loss beside the generalization gap (claims M9)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, at_least, at_most, rank_correlation
from reprise.core.figures import COLOURS, MARKERS
from reprise.multi_objective_rl.curvature import generalization_bound, hessian_trace
from reprise.multi_objective_rl.experiments.families import family, meta_policy
from reprise.multi_objective_rl.sampling import Sampler, Transitions
from reprise.multi_objective_rl.surrogate import features_of, policy_gradients
from reprise.tasks import RandomProjection, TaskFeatures, fit_logistic, given_subsets, parameter_count


@dataclass(frozen=True)
class Settings:
    """Adaptation of a meta-policy to N transitions of a task, judged on others."""

    counts: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096, 8192, 16384)  # N
    held_out: int = 16384
    trace_count: int = 2048  # held-out transitions for the trace
    tasks: int = 3  # one of each planted family
    meta_iterations: int = 15
    transitions: int = 2048
    hidden: tuple[int, ...] = (64, 64)
    dim: int = 400
    ridge: float = 1e-2
    trials: int = 4


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One meta-policy per cell."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Gap, trace, radius and bound at every N, means over tasks."""
    seed = context.shared_seed("family", cell["trial"])
    source = family("cartpole", seed, transitions=settings.transitions, hidden=settings.hidden)
    meta = meta_policy(source, settings.meta_iterations, seed, context.device)
    chosen = [source.tasks[int(np.flatnonzero(source.planted == each)[0])] for each in range(settings.tasks)]
    sampler = Sampler(chosen, copies=8, generator=seed)
    most = max(settings.counts)
    seen, _ = sampler.sample(meta.policy, meta.critic, most // 8)
    unseen, _ = sampler.sample(meta.policy, meta.critic, settings.held_out // 8)
    projection = RandomProjection(parameter_count(meta.policy), settings.dim, seed=seed, kind="gaussian")
    train_features = _features(meta.policy, seen, projection)
    test_features = _features(meta.policy, unseen, projection)
    rows = []
    for count in settings.counts:
        generator = np.random.default_rng([seed, count])
        part: dict[Hashable, TaskFeatures] = {
            name: _drawn(task, count, generator) for name, task in train_features.items()
        }
        names = list(part)
        fits = fit_logistic(part, given_subsets(names, [(name,) for name in names]), ridge=2 * settings.ridge)
        found = []
        for name, delta in zip(names, fits.coefficients):
            train_losses, test_losses = _losses(part[name], delta), _losses(test_features[name], delta)
            zero = torch.zeros_like(delta)
            # the difference at Δ = 0 has mean zero and the same noise: taking it off leaves the gap, seen more sharply
            gap = test_losses.mean() - train_losses.mean()
            noise = _losses(test_features[name], zero).mean() - _losses(part[name], zero).mean()
            change = projection.lift(delta.float())
            where = unseen.of(str(name)).standardised().select(torch.arange(settings.trace_count))
            trace = hessian_trace(meta.policy, where, "surrogate", change=change).value
            radius, ceiling = float(change.norm()), float(test_losses.max())
            found.append(
                {
                    "gap": float(gap - noise),
                    "raw_gap": float(gap),
                    "trace": trace,
                    "radius": radius,
                    "loss_bound": ceiling,
                    "start": float(_losses(test_features[name], zero).mean()),
                    "bound": generalization_bound(trace, radius, count, ceiling),
                }
            )
        means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
        rows.append({"count": count, **means})
    for row in rows:
        row["factor"] = row["bound"] / row["gap"] if row["gap"] > 0 else float("inf")
        row["share"] = row["bound"] / row["start"]
    return rows


def _features(policy: Any, transitions: Transitions, projection: RandomProjection) -> dict[Hashable, TaskFeatures]:
    return features_of(policy_gradients(policy, transitions, projection=projection), transitions)


def _drawn(task: TaskFeatures, count: int, generator: np.random.Generator) -> TaskFeatures:
    """Some of the transitions: neighbours in time resemble one another, drawn ones do not."""
    rows = torch.from_numpy(generator.choice(len(task), min(count, len(task)), replace=False))
    return TaskFeatures(task.features[rows], task.labels[rows], task.weights[rows])


def _losses(task: TaskFeatures, delta: torch.Tensor) -> torch.Tensor:
    margins = task.labels.double() * (task.features.double() @ delta)
    return task.weights.double() * torch.nn.functional.softplus(-margins)


def plot(table: pd.DataFrame) -> Figure:
    """Gap and bound against the number of transitions, and against one another."""
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.0))
    for index, (column, label) in enumerate((("bound", "√(C·Tr·r²/N)"), ("gap", "gap"))):
        part = table.groupby("count")[column]
        centre, low, high = part.median(), part.min(), part.max()
        axes[0].plot(centre.index, centre, color=COLOURS[index], marker=MARKERS[index], label=label)
        axes[0].fill_between(centre.index, low.clip(lower=1e-5), high, color=COLOURS[index], alpha=0.18, linewidth=0)
    start = table.groupby("count").start.mean()
    axes[0].plot(start.index, start, color="#444444", linestyle=":", linewidth=1, label="loss before adaptation")
    axes[0].set(xscale="log", yscale="log", xlabel="transitions N", ylabel="surrogate loss", ylim=(1e-4, 2))
    axes[0].legend(loc="lower left")
    for index, (trial, rows) in enumerate(table.groupby("trial")):
        axes[1].plot(
            rows.gap.where(rows.gap > 0), rows.bound, marker=MARKERS[index % len(MARKERS)], linestyle="none",
            color=COLOURS[index % len(COLOURS)], label=f"tasks {int(str(trial)) + 1}",
        )  # fmt: skip
    span = np.array([1e-4, 1.0])
    axes[1].plot(span, span, color="#444444", linestyle="-", linewidth=0.8)
    axes[1].plot(span, 10 * span, color="#444444", linestyle=":", linewidth=0.8)
    axes[1].set(xscale="log", yscale="log", xlabel="gap", ylabel="√(C·Tr·r²/N)", xlim=span, ylim=(1e-3, 2))
    axes[1].annotate("ten times the gap", (3e-4, 4e-3), rotation=33, fontsize=7, color="#444444")
    axes[1].legend(fontsize=7, loc="lower right")
    return figure


EXPERIMENT = Experiment(
    name="hessian",
    title="The Hessian trace of the surrogate follows the generalization gap",
    scales={
        "smoke": Settings(
            counts=(32, 64, 128),
            held_out=256,
            trace_count=64,
            meta_iterations=1,
            transitions=64,
            hidden=(16,),
            dim=20,
            trials=2,
        ),
        "laptop": Settings(),
        "gpu": Settings(counts=tuple(2**i for i in range(7, 18)), held_out=2**17, trials=20),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "M9",
            "the measure follows the gap over N: rank correlation above 0.5",
            "Figure 2",
            None,
            "direction",
            at_least(rank_correlation("gap", "bound"), 0.5),
        ),
        Claim(
            "M9b",
            "it is not vacuous: at every N at most the loss before adaptation (largest share over N)",
            "Figure 2",
            None,
            "direction",
            at_most(lambda table: table.groupby("trial")["share"].max(), 1.0),
        ),
        Claim(
            "M9c",
            "its size matches: at least as large as the gap, at the median N",
            "Figure 2",
            None,
            "direction",
            at_least(lambda table: table.groupby("trial")["factor"].median(), 1.0, statistic="median"),
        ),
        Claim(
            "M9d",
            "and within ten times the gap, at the median N",
            "Figure 2",
            None,
            "direction",
            at_most(lambda table: table.groupby("trial")["factor"].median(), 10.0, statistic="median"),
        ),
    ],
)
