"""Claims C5 and C8: what gradients say of pairs of algorithms, beside networks that were really trained on the pairs.

One network of all algorithms gives gradients; logistic regressions on them estimate how each algorithm fares with each
other one. The same pairs are then fine-tuned from that network, and trained from scratch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from torch.utils.flop_counter import FlopCounterMode

from reprise.algorithmic_reasoning.affinity import estimate_affinity, keyed
from reprise.algorithmic_reasoning.experiments.affinity_figure import plot
from reprise.algorithmic_reasoning.experiments.affinity_quantities import (
    HALVES,
    agreement_of_seeds,
    better_than_chance,
    correlation,
    cost,
)
from reprise.algorithmic_reasoning.experiments.authors_trees import edge_transformer_tree
from reprise.algorithmic_reasoning.experiments.networks import graphs_of, seeded
from reprise.algorithmic_reasoning.linearisation import gradient_features, margins, names_of
from reprise.algorithmic_reasoning.losses import loss
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.sampling import FAMILIES, sample
from reprise.algorithmic_reasoning.training import evaluate, fit
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.core import Claim, Context, Experiment, at_least, beats
from reprise.tasks import all_pairs, fit_logistic, linearised_scores, partition

TREE_LAYER = 2  # of the authors' tree, where {bfs, bellman_ford} stand together and apart from the rest


@dataclass(frozen=True)
class Settings:
    """The network, the estimate, and the trainings that it is compared with."""

    algorithms: tuple[str, ...] = ("bfs", "bellman_ford", "mst_prim", "dfs")
    processor: str = "gmpnn"
    hidden: int = 32
    layers: int = 2
    projection: int | None = None
    nodes: int = 8
    lr: float = 1e-3
    rounds: int = 200  # of the network whose gradients are taken, and of a pair from scratch
    tuning: int = 40  # rounds of fine-tuning on a pair, twice, with graphs of their own
    groups: int = 3  # into which the estimated affinity is split
    graphs: int = 4  # per algorithm, for gradients; as many again to score estimates on
    held_out: int = 64  # per algorithm, to score trained networks on
    rows: int = 40  # predictions of a graph, at most
    dim: int = 400
    ridge: float = 1e3  # of the sum of losses
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One seed."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """For every pair, the estimated score of every algorithm, and those after fine-tuning and training from scratch."""
    names, device = settings.algorithms, context.device
    options: dict[str, Any] = {"nodes": settings.nodes, "lr": settings.lr, "validate_every": 0}

    def network(tasks: tuple[str, ...]) -> Reasoner:
        return seeded(
            tasks,
            context.seed,
            device,
            processor=settings.processor,
            hidden=settings.hidden,
            layers=settings.layers,
            projection=settings.projection,
        )

    def paths(label: str, count: int) -> dict[str, Trajectories]:
        seed = context.shared_seed(label, cell["trial"])
        return {
            n: sample(n, nodes=settings.nodes, samples=count, seed=seed, p=FAMILIES[n].training_p).to(device)
            for n in names
        }

    fitted, held = paths("fitted", settings.graphs), paths("held out", settings.graphs)
    scored = paths("scored", settings.held_out)
    start = time.process_time()
    base = network(names)
    fit(base, steps=settings.rounds, generator=graphs_of(context.seed), **options)
    shared: dict[str, Any] = {"dim": settings.dim, "rows": settings.rows, "seed": 0}
    features = {n: gradient_features(base, fitted[n], **shared) for n in names}
    validation = {n: gradient_features(base, held[n], **shared) for n in names}
    pairs = all_pairs(names)
    with FlopCounterMode(display=False) as fits:
        affinity = estimate_affinity(features, subsets=pairs, ridge=settings.ridge, validation=validation)
    search_seconds, full_seconds = time.process_time() - start, 0.0
    adapted = fit_logistic(keyed(features), pairs, ridge=settings.ridge, reduction="sum")
    estimated = linearised_scores(adapted, keyed(validation), members_only=False)
    rows: list[dict[str, Any]] = []
    for index, pair in enumerate(combinations(names, 2)):
        tuned = [_tuned(base, pair, context.seed + 1 + half, settings.tuning, options) for half in range(2)]
        start = time.process_time()
        fresh = network(pair)
        fit(fresh, steps=settings.rounds, generator=graphs_of(context.seed + 1), **options)
        full_seconds += time.process_time() - start
        for position, name in enumerate(names):
            row = {
                "algorithm": name,
                "partner": "+".join(other for other in pair if other != name),
                "estimated": float(estimated[index, position]),
                **{f"tuned_{half}": mean_score(model, scored[name]) for half, model in enumerate(tuned)},
            }
            if name in pair:
                own = {"trained": mean_score(fresh, scored[name]), "accuracy": evaluate(fresh, scored[name])}
                rows.append({"part": "pair", **row, **own})
            else:
                rows.append({"part": "outside", **row})
        context.progress(index + 1, len(pairs))
    update = {name: update_flops(base, fitted[name]) for name in names}
    gradients = sum(gradient_flops(base, fitted[name], shared) for name in names) * 2 * settings.graphs
    rows.append(
        {
            "part": "cost",
            "search_flops": settings.rounds * sum(update.values()) + gradients + fits.get_total_flops(),
            "full_flops": settings.rounds * sum(update[name] for pair in combinations(names, 2) for name in pair),
            "search_seconds": search_seconds,
            "full_seconds": full_seconds,
            "agreement": agreement(affinity.symmetric().matrix, names, settings.groups),
            "chance": chance(names, settings.groups),
        }
    )
    return rows


def _tuned(base: Reasoner, pair: tuple[str, str], seed: int, steps: int, options: Mapping[str, Any]) -> Reasoner:
    """The network fine-tuned on a pair, in the processor's weights that gradients were taken by."""
    tuned = copy.deepcopy(base)
    own = names_of(tuned, pair)
    fit(tuned, steps=steps, tasks=pair, parameters=own, generator=graphs_of(seed), **options)
    return tuned


@torch.no_grad()
def mean_score(model: Reasoner, paths: Trajectories) -> float:
    """Minus the mean logistic loss of margins: what the estimate predicts."""
    model.eval()
    values_, signs = margins(model(paths), paths)
    return -float(softplus(-signs * values_).mean())


def update_flops(model: Reasoner, paths: Trajectories) -> float:
    """Floating-point operations of one update with four graphs."""
    batch = paths.select(slice(0, 4))
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(loss(model(batch), batch))
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def gradient_flops(model: Reasoner, paths: Trajectories, options: Mapping[str, Any]) -> float:
    """Floating-point operations of the projected gradients of one graph."""
    with FlopCounterMode(display=False) as counter:
        gradient_features(model, paths.select([0]), **options)
    return float(counter.get_total_flops())


def tree_labels(names: tuple[str, ...]) -> list[int]:
    """Groups of the authors' tree at the layer that is compared."""
    return [edge_transformer_tree().module(TREE_LAYER, name) for name in names]


def agreement(matrix: np.ndarray[Any, Any], names: tuple[str, ...], groups: int) -> float:
    """Normalised mutual information of the groups that an affinity gives with those of the authors' tree."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(tree_labels(names), partition(matrix, k=groups).labels))


def chance(names: tuple[str, ...], groups: int) -> float:
    """Mean of that agreement over all ways to split the algorithms into as many groups."""
    from sklearn.metrics import normalized_mutual_info_score

    def splits(count: int) -> Iterator[tuple[int, ...]]:
        """Labels in order of first appearance, so that each partition comes once."""
        if count == 0:
            yield ()
            return
        for labels in splits(count - 1):
            for label in range(min(max(labels, default=-1) + 2, groups)):
                yield (*labels, label)

    found = [labels for labels in splits(len(names)) if max(labels) == groups - 1]
    return float(np.mean([normalized_mutual_info_score(tree_labels(names), labels) for labels in found]))


EXPERIMENT = Experiment(
    name="affinity",
    title="Pairs of algorithms: estimated from gradients, and trained",
    scales={
        "smoke": Settings(
            algorithms=("bfs", "bellman_ford", "mst_prim"),
            hidden=8,
            nodes=5,
            rounds=3,
            tuning=1,
            groups=2,
            graphs=3,
            rows=10,
            dim=20,
            held_out=4,
            trials=2,
        ),
        "laptop": Settings(),
        "gpu": Settings(hidden=96, layers=3, nodes=16, rounds=400, tuning=50, projection=16),
        "paper": Settings(
            processor="mpnn",
            hidden=192,
            layers=5,
            nodes=16,
            rounds=10_000,
            tuning=500,
            lr=2.5e-4,
            graphs=50,
            projection=16,
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    timings=("search_seconds", "full_seconds"),
    claims=[
        Claim(
            "C5",
            "finding out which algorithms get on takes less arithmetic than training them together in every "
            "combination (N = 8; shown: ratio of floating-point operations)",
            "Figure on runtime: 77.2 against 148.5 GPU hours of LearningToBranch",
            "1.9 times less time",
            "direction",
            beats(cost("search_flops"), cost("full_flops")),
        ),
        Claim(
            "C5b",
            "and less time (N = 8; shown: ratio of seconds of computing)",
            "Figure on runtime: 77.2 against 148.5 GPU hours of LearningToBranch",
            "1.9 times less time",
            "direction",
            beats(cost("search_seconds"), cost("full_seconds")),
        ),
        Claim(
            "C8",
            "estimated gains from partners rank pairs as fine-tuning does (N = 8; shown: Spearman's correlation within "
            "algorithms)",
            "abstract; Section 3",
            None,
            "direction",
            at_least(correlation("estimated", "tuned"), 1e-9),
        ),
        Claim(
            "C8g",
            "estimated scores of every algorithm rank all pairs, those that it is in and those that it is not, as "
            "fine-tuning does (N = 8; shown: likewise)",
            "abstract; Section 3",
            None,
            "direction",
            at_least(correlation("estimated", "tuned", outside=True), 1e-9),
        ),
        Claim(
            "C8h",
            "two fine-tunings of one network with other graphs rank all pairs alike (N = 8; shown: likewise)",
            "premise of C8g",
            None,
            "direction",
            at_least(correlation(*HALVES, outside=True), 1e-9),
        ),
        Claim(
            "C8b",
            "estimated gains from partners rank pairs as training from scratch does (shown: likewise)",
            "abstract; Section 3",
            None,
            "direction",
            at_least(correlation("estimated", "trained"), 1e-9),
        ),
        Claim(
            "C8e",
            "what fine-tuning gains can be measured here: two fine-tunings of one network with other graphs rank pairs "
            "alike (N = 8; shown: Spearman's correlation; an estimate can hardly exceed it)",
            "premise of C8",
            None,
            "direction",
            at_least(correlation(*HALVES), 1e-9),
        ),
        Claim(
            "C8f",
            "what training from scratch gains can be measured here: two seeds rank pairs alike (N = 8; shown: mean of "
            "Spearman's correlations of all pairs of seeds, which share seeds and give no interval)",
            "premise of C8b",
            None,
            "direction",
            at_least(agreement_of_seeds, 1e-9),
        ),
        Claim(
            "C8c",
            "groups from estimated affinities agree with the paper's tree better than random ones (N = 8; shown: "
            "normalised mutual information, less that of a random split)",
            "Figure of the tree",
            None,
            "direction",
            at_least(better_than_chance, 1e-9),
        ),
    ],
)
