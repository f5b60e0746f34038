"""Networks from a seed, and how well they do on graphs of several sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.sampling import SPLITS, sample
from reprise.algorithmic_reasoning.training import evaluate

Network = TypeVar("Network", bound=Reasoner)


def seeded(
    algorithms: Sequence[str],
    initial_seed: int,
    device: str,
    *,
    make: Callable[..., Network] = Reasoner,  # type: ignore[assignment]
    **options: Any,
) -> Network:
    """A network whose first weights come from a seed of its own; no generator of the process moves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(initial_seed)
        return make(algorithms, **options).to(device)


def graphs_of(seed: int) -> torch.Generator:
    """The source of a run's training graphs."""
    return torch.Generator().manual_seed(seed)


def score_sizes(model: Reasoner, name: str, *, sizes: Sequence[int], graphs: int, seed: int) -> list[dict[str, Any]]:
    """Score of one algorithm on graphs of several sizes; of 64 nodes, on the official test split."""
    official = SPLITS["test"]
    rows = []
    for nodes in sizes:
        chosen = (official.samples, official.seed) if nodes == official.nodes else (graphs, seed)
        paths = sample(name, nodes=nodes, samples=chosen[0], seed=chosen[1])
        rows.append({"algorithm": name, "nodes": nodes, "score": evaluate(model, paths)})
    return rows
