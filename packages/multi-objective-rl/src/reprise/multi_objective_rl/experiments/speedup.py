"""Table 3: what estimating every subset costs beside fine-tuning every subset, in steps, FLOPs and time (claim M6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch.utils.flop_counter import FlopCounterMode

from reprise.core import Claim, Context, Experiment, all_of, at_least, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.multi_objective_rl.baselines import fine_tuned_outcomes
from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.experiments.families import family, meta_policy
from reprise.tasks import Subsets, random_subsets

PAPER = {2: 21.0, 4: 24.0, 8: 26.0}


@dataclass(frozen=True)
class Settings:
    """Policies of several depths; some subsets are fine-tuned for a while, and that is counted up to all of them."""

    depths: tuple[int, ...] = (2, 4, 8)
    width: int = 64
    tuned: int = 7  # subsets fine-tuned in each trial
    tuned_iterations: int = 2
    full_iterations: int = 10  # of fully training a subset; every iteration does the same work
    transitions: int = 2048
    dim: int = 400
    subsets: int = 200
    size: int = 3
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One depth and draw of tasks per cell."""
    for depth in settings.depths:
        for trial in range(settings.trials):
            yield {"depth": depth, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Cost of all estimates together, and of fine-tuning all subsets from the cost of some."""
    seed = context.shared_seed("family", cell["trial"])
    hidden = (settings.width,) * cell["depth"]
    source = family("cartpole", seed, transitions=settings.transitions, hidden=hidden)
    meta = meta_policy(source, 1, seed, context.device)
    estimate = PolicyGradEx(
        settings.dim, settings.subsets, settings.size, transitions=settings.transitions, generator=seed
    )
    our_flops, our_seconds = _flops(lambda: estimate.fit(meta)), _seconds(lambda: estimate.fit(meta))
    count = len(estimate.affinity_.subsets)
    names = [task.name for task in source.tasks]
    chosen = random_subsets(names, count=settings.tuned, size=settings.size, seed=seed % 2**31, cover=False)
    steps = settings.tuned_iterations * settings.transitions

    def tune(subsets: Subsets) -> None:
        fine_tuned_outcomes(meta, subsets, steps_per_task=steps, episodes=1, generator=seed)

    # all subsets do the same work, in every iteration
    times = count * settings.full_iterations / settings.tuned_iterations
    full_flops = times * _flops(lambda: tune(chosen.select([0])))
    full_seconds = times * _seconds(lambda: tune(chosen)) / len(chosen)
    own_steps = len(names) * settings.transitions
    full_steps = count * settings.size * settings.full_iterations * settings.transitions
    return [
        {
            "subsets": count,
            "parameters": sum(value.numel() for value in meta.policy.parameters()),
            "flops_estimate": our_flops,
            "flops_tuning": full_flops,
            "seconds_estimate": our_seconds,
            "seconds_tuning": full_seconds,
            "ratio_flops": full_flops / our_flops,
            "ratio_seconds": full_seconds / our_seconds,
            "ratio_steps": full_steps / own_steps,
        }
    ]


def _flops(work: Callable[[], object]) -> float:
    """Floating-point operations of a call, as torch counts them in matrix products."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return float(counter.get_total_flops())


def _seconds(work: Callable[[], object]) -> float:
    """Processor time of a call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def plot(table: pd.DataFrame) -> Figure:
    """The three ratios against the depth, beside the paper's."""
    figure, ax = plt.subplots(figsize=(5.0, 3.0))
    for index, (column, label) in enumerate(
        (("ratio_flops", "FLOPs"), ("ratio_seconds", "processor time"), ("ratio_steps", "environment steps"))
    ):
        part = table.groupby("depth")[column]
        spread = [part.mean() - part.min(), part.max() - part.mean()]
        ax.errorbar(
            part.mean().index,
            part.mean(),
            yerr=spread,
            color=COLOURS[index],
            marker=MARKERS[index],
            capsize=3,
            label=label,
        )
    ax.plot(list(PAPER), list(PAPER.values()), "kx", markersize=7, label="paper, FLOPs")
    ax.axhline(10, color="#444444", linestyle=":", linewidth=1)
    ax.set(xlabel="layers of the policy", ylabel="cost of training all subsets / of estimating", yscale="log")
    ax.set_xticks(sorted(table.depth.unique()))
    ax.set_yticks([5, 10, 20, 50, 100, 200, 500], ["5", "10", "20", "50", "100", "200", "500"])
    ax.minorticks_off()
    ax.legend(fontsize=7, ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="speedup",
    title="Estimating all subsets costs less than a tenth of training them",
    scales={
        "smoke": Settings(
            depths=(1, 2),
            width=8,
            tuned=1,
            tuned_iterations=1,
            full_iterations=2,
            transitions=64,
            dim=16,
            subsets=20,
            trials=2,
        ),
        "laptop": Settings(),
        "gpu": Settings(width=256, tuned=20, trials=5),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    timings=("seconds_estimate", "seconds_tuning", "ratio_seconds"),
    claims=[
        Claim(
            "M6",
            "estimating all subsets takes at most a tenth of the FLOPs of training them, at 2, 4 and 8 layers",
            "Table 3",
            21.0,
            "direction",
            all_of(*(at_least(values("ratio_flops", {"depth": depth}), 10.0) for depth in PAPER)),
        ),
        Claim(
            "M6b",
            "and the ratio grows with depth: that at 8 layers less that at 2",
            "Table 3",
            26.0 - 21.0,
            "direction",
            at_least(
                lambda table: values("ratio_flops", {"depth": 8})(table) - values("ratio_flops", {"depth": 2})(table),
                1e-9,
            ),
        ),
        Claim(
            "M6c",
            "it takes a tenth of the processor time or less, at 2, 4 and 8 layers (shown: 2)",
            "Table 3 (FLOPs there)",
            None,
            "direction",
            all_of(*(at_least(values("ratio_seconds", {"depth": depth}), 10.0) for depth in PAPER)),
        ),
    ],
)
