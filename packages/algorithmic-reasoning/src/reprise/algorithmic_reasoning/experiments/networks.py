"""Networks from a seed, and how well they do on graphs of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.sampling import SPLITS, sample
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.training import evaluate


def seeded(
    algorithms: Sequence[str], seed: int, device: str, *, structure: BranchingStructure | None = None, **options: Any
) -> Reasoner:
    """A `Reasoner` whose first weights come from a seed of its own; no generator of the process moves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Reasoner(algorithms, structure=structure, **options).to(device)


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
