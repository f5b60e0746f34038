"""Vector rewards: one policy per group of preferences, between one for all and one for each (claims M11, ours)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, at_least, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.multi_objective_rl.atlas import PreferenceAtlas
from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.grouped import GroupedPolicies
from reprise.multi_objective_rl.ppo import PPOConfig, train
from reprise.multi_objective_rl.vector_rewards import hypervolume, preferences, simplex_weights


@dataclass(frozen=True)
class Settings:
    """Weightings of one environment's rewards; a meta-policy, then groups of them."""

    environment: str = "mo-lunar-lander-v3"
    entries: int = 4  # of the reward
    weightings: int = 10
    ks: tuple[int, ...] = (1, 3, 10)
    meta_iterations: int = 4
    iterations: int = 4
    transitions: int = 512
    hidden: tuple[int, ...] = (64, 64)
    dim: int = 400
    episodes: int = 8
    unseen: int = 200  # weightings for the expected utility
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One draw of weightings per cell."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Hypervolume and expected utility of the atlas of each k, at equal steps per weighting."""
    seed = context.shared_seed("weights", cell["trial"])
    weights = simplex_weights(settings.weightings, settings.entries, generator=seed)
    tasks = preferences(settings.environment, weights)
    config = PPOConfig(transitions=settings.transitions, hidden=settings.hidden, step_size=1e-3, batch_size=512)
    steps = settings.meta_iterations * settings.transitions * len(tasks)
    meta = train(tasks, steps=steps, config=config, generator=seed, device=context.device)
    estimate = PolicyGradEx(settings.dim, transitions=settings.transitions, generator=seed).fit(meta)
    unseen = simplex_weights(settings.unseen, settings.entries, generator=seed + 1)
    atlases = {}
    for position, k in enumerate(settings.ks):
        groups = estimate.partition(k=k)
        per_task = settings.iterations * settings.transitions
        team = GroupedPolicies.train(groups, meta, steps_per_task=per_task, generator=seed)
        atlases[k] = groups.k, PreferenceAtlas.chart(team, episodes=settings.episodes, generator=seed)
        context.progress(position + 1, len(settings.ks))
    worst = np.min([atlas.returns.min(axis=0) for _, atlas in atlases.values()], axis=0) - 1
    rows: list[dict[str, Any]] = [
        {
            "kind": "atlas",
            "k": k,
            "groups": groups,
            "utility": atlas.expected_utility(unseen),
            "hypervolume": hypervolume(atlas.returns, worst),
        }
        for k, (groups, atlas) in atlases.items()
    ]
    if cell["trial"] == 0:
        middle = settings.ks[len(settings.ks) // 2]
        chosen = atlases[middle][1].route(unseen)
        rows += [
            {"kind": "map", "k": middle, "first": float(row[0]), "second": float(row[1]), "policy": int(policy)}
            for row, policy in zip(unseen, chosen)
        ]
    return rows


def plot(table: pd.DataFrame) -> Figure:
    """Expected utility and hypervolume against k, and the regions of the atlas."""
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.7))
    part = table[table.kind == "atlas"]
    ks = sorted(int(k) for k in part.k.unique())
    for ax, column, label in (
        (axes[0], "utility", "expected utility"),
        (axes[1], "hypervolume", "hypervolume / largest"),
    ):
        largest = part.groupby("trial")[column].transform("max") if column == "hypervolume" else 1.0
        shown = part.assign(value=part[column] / largest)
        for _, rows in shown.groupby("trial"):
            ax.plot(range(len(ks)), rows.sort_values("k").value, "o-", color="#999999", markersize=3, linewidth=0.9)
        ax.plot(range(len(ks)), shown.groupby("k").value.mean(), marker="D", color=COLOURS[0])
        ax.set_xticks(range(len(ks)), [str(k) for k in ks])
        ax.set(xlabel="policies for ten weightings", ylabel=label)
    regions = table[table.kind == "map"]
    for policy, rows in regions.groupby("policy"):
        index = int(float(str(policy)))
        axes[2].plot(
            rows["first"], rows.second, marker=MARKERS[index % 7], color=COLOURS[index % 7], linestyle="none",
            label=f"policy {index + 1}", markersize=3.5,
        )  # fmt: skip
    axes[2].set(xlabel="weight of the first reward", ylabel="of the second", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes[2].legend(fontsize=7)
    return figure


def _gain(column: str, more: int, fewer: int) -> Any:
    def of(k: int) -> Any:
        return values(column, {"kind": "atlas", "k": k})

    return lambda table: of(more)(table) - of(fewer)(table)


EXPERIMENT = Experiment(
    name="preferences",
    title="A few policies serve a simplex of preferences",
    scales={
        "smoke": Settings(
            environment="deep-sea-treasure-v0", entries=2, weightings=4, ks=(1, 2, 4), meta_iterations=1, iterations=1,
            transitions=64, hidden=(16,), dim=20, episodes=1, unseen=20, trials=2,
        ),
        "laptop": Settings(),
        "gpu": Settings(meta_iterations=20, iterations=60, transitions=2048, trials=8),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "M11", "three policies reach a higher expected utility than one (difference)", "ours, not the paper",
            None, "direction", at_least(_gain("utility", 3, 1), 1e-9),
        ),
        Claim(
            "M11b", "and dominate a larger volume", "ours: no number in the paper", None, "direction",
            at_least(_gain("hypervolume", 3, 1), 1e-9),
        ),
    ],
)  # fmt: skip
