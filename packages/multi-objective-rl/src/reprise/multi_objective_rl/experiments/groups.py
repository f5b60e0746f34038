"""The ablation of k: one group is too few, and beyond the right number little changes (claim M7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, at_least, values, within
from reprise.core.figures import COLOURS
from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.experiments.families import family, meta_policy
from reprise.multi_objective_rl.grouped import GroupedPolicies
from reprise.multi_objective_rl.stability import stability_report

PAPER = {1: 71.3, 2: 89.5, 3: 94.0, 4: 95.1}  # per cent of success on MT10


@dataclass(frozen=True)
class Settings:
    """Groups of one estimate, for several k."""

    family: str = "cartpole"
    ks: tuple[int, ...] = (1, 2, 3, 4)
    meta_iterations: int = 8
    iterations: int = 10
    transitions: int = 2048
    hidden: tuple[int, ...] = (64, 64)
    dim: int = 400
    bootstrap: int = 5  # affinities for the suggested k
    episodes: int = 16
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One draw of tasks per cell."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Mean return and success for each k, and how stable the groups are."""
    seed = context.shared_seed("family", cell["trial"])
    source = family(settings.family, seed, transitions=settings.transitions, hidden=settings.hidden)
    meta = meta_policy(source, settings.meta_iterations, seed, context.device)
    estimate = PolicyGradEx(settings.dim, transitions=settings.transitions, generator=seed).fit(meta)
    ks = [k for k in settings.ks if 2 <= k < len(source.tasks)]
    report = stability_report(estimate, ks=ks, samples=settings.bootstrap, generator=seed)
    rows = []
    for position, k in enumerate(settings.ks):
        groups = estimate.partition(k=k)
        steps = settings.iterations * settings.transitions
        team = GroupedPolicies.train(groups, meta, steps_per_task=steps, generator=seed)
        found = team.evaluate(source.tasks, settings.episodes, generator=seed)
        rows.append(
            {
                "k": k,
                "groups": groups.k,  # rounding may give another number
                "return": found.mean,
                "success": float(found.success.mean()),
                "agreement": report.interval(k)[0] if k in report.agreement else float("nan"),
                "suggested": report.suggested_k,
            }
        )
        context.progress(position + 1, len(settings.ks))
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Returns against k, one line per draw of tasks, beside the paper's success rates."""
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 2.8))
    for _, part in table.groupby("trial"):
        axes[0].plot(part.k, part["return"], color="#999999", linewidth=0.9, linestyle="-", marker="o", markersize=3)
        axes[1].plot(part.k, part.agreement, color="#999999", linewidth=0.9, linestyle="-", marker="o", markersize=3)
    mean = table.groupby("k")[["return", "agreement"]].mean()
    axes[0].plot(mean.index, mean["return"], color=COLOURS[0], marker="D", label="mean (grey: single draws)")
    axes[1].plot(mean.index, mean.agreement, color=COLOURS[0], marker="D")
    other = axes[0].twinx()
    other.plot(list(PAPER), list(PAPER.values()), color=COLOURS[1], linestyle="--", marker="s", label="paper, MT10")
    other.set(ylabel="success in the paper (%)", ylim=(0, 100))
    other.grid(False)
    other.spines["right"].set_visible(True)
    lines = [*axes[0].get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axes[0].legend(lines, [str(line.get_label()) for line in lines], loc="lower right")
    axes[0].set(xlabel="number of groups k", ylabel="mean return", ylim=(0, 500), xticks=list(mean.index))
    axes[1].set(xlabel="number of groups k", ylabel="stability of the groups", ylim=(0, 1.05), xticks=list(mean.index))
    return figure


def _gain(more: int, fewer: int) -> Any:
    return lambda table: values("return", {"k": more})(table) - values("return", {"k": fewer})(table)


EXPERIMENT = Experiment(
    name="groups",
    title="Two groups earn more than one, three more than two, four hardly more",
    scales={
        "smoke": Settings(
            ks=(1, 2), meta_iterations=1, iterations=1, transitions=64, hidden=(16,), dim=20, bootstrap=2, episodes=2,
            trials=2,
        ),
        "laptop": Settings(),
        "gpu": Settings(bootstrap=20, iterations=40, trials=8),
        "paper": Settings(
            family="mt10", meta_iterations=100, iterations=400, hidden=(64,) * 4, bootstrap=20, trials=8
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "M7", "two groups earn more than one (difference of returns)", "ablation of k", "71.3 to 89.5 %",
            "direction", at_least(_gain(2, 1), 1e-9),
        ),
        Claim(
            "M7b", "three groups earn more than one", "ablation of k", "71.3 to 94.0 %", "direction",
            at_least(_gain(3, 1), 1e-9),
        ),
        Claim(
            "M7c", "four groups earn about what three do: within a tenth of the largest return, 50, on average",
            "ablation of k", "94.0 to 95.1 %", "direction",
            within(_gain(4, 3), 0.0, 50.0),
        ),
    ],
)  # fmt: skip
