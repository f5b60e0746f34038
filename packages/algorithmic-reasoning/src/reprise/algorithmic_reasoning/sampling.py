"""Random graphs with their trajectories, and the official splits of CLRS-30."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from reprise.algorithmic_reasoning.graphs import COMMUNITIES, community, erdos_renyi
from reprise.algorithmic_reasoning.probes import SOURCED, require_algorithm
from reprise.algorithmic_reasoning.tracers import trace_all
from reprise.algorithmic_reasoning.trajectories import Trajectories, stack
from reprise.algorithmic_reasoning.validation import choice, integer, number

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Family:
    """The graphs that an algorithm is run on, and the chances p of an edge: of the official splits and in training."""

    directed: bool = False
    acyclic: bool = False
    weighted: bool = False
    sparse: bool = False

    @property
    def p(self) -> tuple[float, ...]:
        """Of validation and test."""
        return (0.2,) if self.sparse else (0.5,)

    @property
    def training_p(self) -> tuple[float, ...]:
        """Of training: ten graphs of many densities teach more than ten of one."""
        return tuple(k / 10 / (2 if self.sparse else 1) for k in range(1, 10))


FAMILIES = {
    "bfs": Family(),
    "dfs": Family(directed=True),
    "topological_sort": Family(directed=True, acyclic=True),
    "articulation_points": Family(sparse=True),
    "bridges": Family(sparse=True),
    "strongly_connected_components": Family(directed=True),
    "mst_kruskal": Family(weighted=True, sparse=True),
    "mst_prim": Family(weighted=True),
    "dijkstra": Family(weighted=True),
    "bellman_ford": Family(weighted=True),
    "dag_shortest_paths": Family(directed=True, acyclic=True, weighted=True),
    "floyd_warshall": Family(weighted=True),
}


@dataclass(frozen=True)
class Split:
    """A split of CLRS-30: its seed, number of graphs and nodes."""

    seed: int
    samples: int
    nodes: int


SPLITS = {"train": Split(1, 1000, 16), "val": Split(2, 32, 16), "test": Split(3, 32, 64)}


def sample(
    name: str,
    *,
    nodes: int,
    samples: int,
    seed: int,
    p: float | Sequence[float] | None = None,
    positions: Literal["index", "random"] = "index",
) -> Trajectories:
    """Trajectories of an algorithm on random graphs.

    Parameters
    ----------
    name : str
        One of `ALGORITHMS`.
    nodes : int
        N; at least 4 for strongly connected components, whose graphs have four blocks.
    samples : int
        B.
    seed : int
        From 0 to 2³² − 1. The same seed gives the graphs, sources and traces of the reference, bit for bit.
    p : float or sequence of float, optional
        Chance of an edge, drawn for each graph from these; of the official splits when not given (`FAMILIES`).
    positions : {"index", "random"}
        The input `pos`: i/N, or sorted uniform numbers, as in official training, so that no network learns sizes.

    Returns
    -------
    Trajectories

    Raises
    ------
    ValueError
        If there is no such algorithm, or a number is out of range.

    Examples
    --------
    >>> paths = sample("dijkstra", nodes=5, samples=3, seed=11)
    >>> paths.lengths.tolist(), paths.outputs["pi"].shape
    ([5, 5, 5], torch.Size([3, 5]))
    """
    require_algorithm(name)
    integer("nodes", nodes, minimum=COMMUNITIES if name == "strongly_connected_components" else 1)
    integer("samples", samples)
    integer("seed", seed, minimum=0, maximum=2**32 - 1, limit="2³² − 1")
    choice("positions", positions, ("index", "random"))
    chances = FAMILIES[name].p if p is None else np.atleast_1d(p).tolist()
    if len(chances) == 0:
        raise ValueError("p must hold at least one chance of an edge, got none")
    chances = [number("p", chance, maximum=1.0) for chance in chances]
    generator = np.random.RandomState(seed)
    drawn = [draw(name, generator, nodes, chances) for _ in range(samples)]
    matrices, sources = [A for A, _ in drawn], [source for _, source in drawn]
    result = stack(name, matrices, sources, trace_all(name, matrices, sources))
    if positions == "random":
        # From a stream of their own, so that the graphs stay the same.
        uniform = np.random.default_rng([seed, 1]).uniform(size=(samples, nodes))
        result.inputs["pos"] = torch.from_numpy(np.sort(uniform, axis=1))
    return result


def official_split(name: str, split: Literal["train", "val", "test"]) -> Trajectories:
    """A split of CLRS-30, regenerated from its seed: 1,000 and 32 graphs of 16 nodes, and 32 of 64 to test.

    Raises
    ------
    ValueError
        If there is no such algorithm or split.
    """
    chosen = SPLITS[choice("split", split, tuple(SPLITS))]
    return sample(name, nodes=chosen.nodes, samples=chosen.samples, seed=chosen.seed)


def draw(name: str, generator: np.random.RandomState, nodes: int, p: Sequence[float]) -> tuple[Array, int | None]:
    """A graph, and its source where the algorithm has one."""
    family = FAMILIES[name]
    chance = generator.choice(p)
    if name == "strongly_connected_components":
        A = community(generator, nodes, chance)
    else:
        A = erdos_renyi(
            generator, nodes, chance, directed=family.directed, acyclic=family.acyclic, weighted=family.weighted
        )
    return A, int(generator.choice(nodes)) if name in SOURCED else None
