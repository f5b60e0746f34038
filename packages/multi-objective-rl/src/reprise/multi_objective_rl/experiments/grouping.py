"""Table 2: groups of tasks against one policy and other groups, at equal steps per task (claims M2, M3, M4, M10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import stats

from reprise.core import Claim, Context, Experiment, at_least, beats, values
from reprise.core.figures import COLOURS
from reprise.multi_objective_rl.baselines import (
    given_groups,
    gradient_similarity_groups,
    normalised_mutual_information,
    random_groups,
)
from reprise.multi_objective_rl.contextual import paco, soft_modularization
from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.evaluation import Evaluation, evaluate
from reprise.multi_objective_rl.experiments.families import Family, family, meta_policy
from reprise.multi_objective_rl.grouped import GroupedPolicies
from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.ppo import train
from reprise.tasks import Partition

NAMES = {
    "joint": "one policy",
    "single": "one per task",
    "random": "random groups",
    "cosine": "gradient similarity",
    "policygradex": "PolicyGradEx",
    "oracle": "planted groups",
    "soft-modularization": "Soft Modularization",
    "paco": "PaCo",
}
CONTEXTUAL: dict[str, Callable[..., Policy]] = {"soft-modularization": soft_modularization, "paco": paco}


@dataclass(frozen=True)
class Settings:
    """A meta-policy, then the same number of iterations from it for every method."""

    families: tuple[str, ...] = ("cartpole",)
    methods: tuple[str, ...] = ("joint", "single", "random", "cosine", "policygradex", "oracle")
    k: int = 3
    meta_iterations: int = 8
    iterations: int = 10
    transitions: int = 2048  # of each task and iteration
    hidden: tuple[int, ...] = (64, 64)
    dim: int = 400
    episodes: int = 16
    trials: int = 8


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One draw of tasks per cell."""
    for name in settings.families:
        for trial in range(settings.trials):
            yield {"family": name, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Mean return and success over the tasks, for every method, all with the same seeds."""
    seed = context.shared_seed("family", cell["family"], cell["trial"])
    source = family(cell["family"], seed, transitions=settings.transitions, hidden=settings.hidden)
    meta = meta_policy(source, settings.meta_iterations, seed, context.device)
    estimate = PolicyGradEx(settings.dim, transitions=settings.transitions, generator=seed).fit(meta)
    names, steps = [task.name for task in source.tasks], settings.iterations * settings.transitions
    trained: dict[tuple[int, ...], Evaluation] = {}
    rows = []
    for position, method in enumerate(settings.methods):
        if method in CONTEXTUAL:
            found, groups = _contextual(method, source, settings, seed, context), None
        else:
            groups = _groups(method, source, estimate, names, settings.k, seed)
            if groups is None:
                continue
            # equal groups give equal policies: training is a function of groups and seed
            key = tuple(groups.labels.tolist())
            if key not in trained:
                team = GroupedPolicies.train(groups, meta, steps_per_task=steps, generator=seed)
                trained[key] = team.evaluate(source.tasks, settings.episodes, generator=seed)
            found = trained[key]
        planted = bool((source.planted >= 0).all())
        rows.append(
            {
                "method": method,
                "return": found.mean,
                "worst": float(found.returns.mean(axis=1).min()),
                "success": float(found.success.mean()),
                "k": 1 if groups is None else groups.k,
                "nmi": normalised_mutual_information(groups.labels, source.planted)
                if planted and groups is not None
                else float("nan"),
            }
        )
        context.progress(position + 1, len(settings.methods))
    return rows


def _groups(
    method: str, source: Family, estimate: PolicyGradEx, names: list[str], k: int, seed: int
) -> Partition | None:
    if method == "joint":
        return given_groups(names, np.zeros(len(names), dtype=int))
    if method == "single":
        return given_groups(names, np.arange(len(names)))
    if method == "random":
        return random_groups(names, k, generator=seed)
    if method == "cosine":
        return gradient_similarity_groups(estimate, k)
    if method == "policygradex":
        return estimate.partition(k=k)
    if method == "oracle":
        return given_groups(names, source.planted) if (source.planted >= 0).all() else None
    raise ValueError(f"methods must be among {', '.join(NAMES)}, got {method!r}")


def _contextual(method: str, source: Family, settings: Settings, seed: int, context: Context) -> Evaluation:
    """One policy that is told the task, with as many steps as meta-policy and groups have together."""
    iterations = settings.meta_iterations + settings.iterations
    policy = CONTEXTUAL[method](source.tasks, generator=seed)
    steps = iterations * settings.transitions * len(source.tasks)
    options: dict[str, Any] = {"config": source.config, "generator": seed, "device": context.device}
    trained = train(source.tasks, steps=steps, policy=policy, **options)
    return evaluate(trained.policy, source.tasks, settings.episodes, generator=seed)


def plot(table: pd.DataFrame) -> Figure:
    """Mean returns with their intervals, and the differences to PolicyGradEx, paired by seed."""
    shown = table[table.family == table.family.iloc[0]]
    wide = shown.pivot_table(index="trial", columns="method", values="return")
    order = [method for method in NAMES if method in wide]
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.0), sharey=True)
    gaps = wide[order].sub(wide["policygradex"], axis=0)
    for row, method in enumerate(order):
        for ax, values_ in ((axes[0], wide[method]), (axes[1], gaps[method])):
            sample = values_.dropna().to_numpy()
            if ax is axes[1] and method == "policygradex":
                continue
            half = stats.sem(sample) * stats.t.ppf(0.975, len(sample) - 1) if len(sample) > 1 else 0.0
            highlight = COLOURS[1] if method == "policygradex" else COLOURS[0]
            ax.plot(sample, np.full(len(sample), row), "o", color="#999999", markersize=3, linestyle="none")
            ax.errorbar(sample.mean(), row, xerr=half, fmt="D", color=highlight, capsize=3, markersize=5)
    axes[0].set_yticks(range(len(order)), [NAMES[method] for method in order])
    axes[0].invert_yaxis()
    axes[1].axvline(0, color="#444444", linewidth=1)
    axes[0].set(xlabel="mean return over ten tasks")
    axes[1].set(xlabel="difference to PolicyGradEx, same seed")
    return figure


def _return(family_: str, method: str | list[str]) -> Callable[[pd.DataFrame], pd.Series]:
    return values("return", {"family": family_, "method": method})


def _against(
    identifier: str, family_: str, other: str, sentence: str, paper: str | float, factor: float = 1.0
) -> Claim:
    check = beats(_return(family_, "policygradex"), _return(family_, other), factor=factor, lower_is_better=False)
    return Claim(identifier, sentence, "Table 2", paper, "direction", check)


EXPERIMENT = Experiment(
    name="grouping",
    title="Groups found from gradients train better policies than one policy and other groups",
    scales={
        "smoke": Settings(
            meta_iterations=1,
            iterations=1,
            transitions=64,
            hidden=(16,),
            dim=20,
            episodes=2,
            trials=2,
            methods=("joint", "single", "random", "cosine", "policygradex", "oracle", "soft-modularization", "paco"),
        ),
        "laptop": Settings(),
        "gpu": Settings(
            families=("cartpole", "lunar-lander", "halfcheetah", "mt10"),
            methods=(*(name for name in NAMES if name != "oracle"), "oracle"),
            meta_iterations=10,
            iterations=40,
            trials=8,
        ),
        "paper": Settings(
            families=("mt10", "cartpole", "highway", "lunar-lander"),
            methods=tuple(NAMES),
            meta_iterations=100,
            iterations=400,
            hidden=(64,) * 4,
            trials=8,
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        _against(
            "M3",
            "cartpole",
            "joint",
            "CartPole: the groups earn more than one policy for all tasks",
            "159.2 against 145.9",
        ),
        _against("M3b", "cartpole", "random", "and more than random groups", "159.2 against 144.1"),
        _against("M10", "cartpole", "cosine", "and more than groups of similar gradients", "159.2 against 142.0"),
        Claim(
            "M10b",
            "and agree better with the planted families than those do (difference of NMI, above 0)",
            "Table 2 (follows)",
            None,
            "direction",
            at_least(
                lambda table: (
                    values("nmi", {"family": "cartpole", "method": "policygradex"})(table)
                    - values("nmi", {"family": "cartpole", "method": "cosine"})(table)
                ),
                1e-9,
            ),
        ),
        _against("M4", "cartpole", "joint", "the groups gain at least 16 % over one policy", 1.16, factor=1.16),
        Claim(
            "M4b",
            "and at least 19 % over other groupings (mean of random and gradient similarity)",
            "abstract",
            1.19,
            "direction",
            beats(
                _return("cartpole", "policygradex"),
                _return("cartpole", ["random", "cosine"]),
                factor=1.19,
                lower_is_better=False,
            ),
        ),
        _against(
            "M3c", "lunar-lander", "joint", "LunarLander: the groups earn more than one policy", "82.8 against 53.8"
        ),
        _against("M3d", "highway", "joint", "Highway: the groups earn more than one policy", "153.5 against 140.0"),
        Claim(
            "M2",
            "Meta-World MT10: the groups succeed more often than Soft Modularization, by ten points at least",
            "Table 2",
            "94.0 against 82.0 %",
            "direction",
            at_least(
                lambda table: (
                    values("success", {"family": "mt10", "method": "policygradex"})(table)
                    - values("success", {"family": "mt10", "method": "soft-modularization"})(table)
                ),
                0.10,
            ),
        ),
    ],
)
