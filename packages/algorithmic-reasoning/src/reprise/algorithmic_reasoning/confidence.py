"""How sure a found tree is: its splits again under random reweightings of the subsets (a bootstrap)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.algorithmic_reasoning.autobrane import Search, Split
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.validation import integer, number
from reprise.tasks import gain_matrix, map_cells, partition_path

Matrix = np.ndarray[Any, np.dtype[np.float64]]
_CORNER = 1.96  # standard normal quantile of 97.5 %


@dataclass(frozen=True, eq=False)
class BranchConfidence:
    """Co-clustering of tasks, layer by layer.

    Attributes
    ----------
    tasks : tuple of str
        The n tasks.
    together : float64 array, shape (L, n, n)
        Share of the bootstrap's splits that leave two tasks in one module, given that the layers before do.
    samples : int
        B, the number of reweightings.
    """

    tasks: tuple[str, ...]
    together: Matrix
    samples: int

    def interval(self, layer: int, first: str, second: str) -> tuple[float, float]:
        """Wilson's 95 % interval of a share, for the finite number of reweightings."""
        i, j = (self.tasks.index(name) for name in (first, second))
        share, n = float(self.together[layer, i, j]), self.samples
        centre = (share + _CORNER**2 / (2 * n)) / (1 + _CORNER**2 / n)
        half = _CORNER / (1 + _CORNER**2 / n) * np.sqrt(share * (1 - share) / n + _CORNER**2 / (4 * n**2))
        return max(0.0, centre - float(half)), min(1.0, centre + float(half))

    def consensus(self, threshold: float = 0.5) -> BranchingStructure:
        """The tree whose groups hold together in more than a share of the reweightings.

        Parameters
        ----------
        threshold : float
            The share, below 1. Groups are the connected parts of the graph of pairs above it, within those of the layer
            before.

        Raises
        ------
        ValueError
            If it is out of range.
        """
        number("threshold", threshold, maximum=1.0)
        layers: list[list[set[str]]] = []
        labels = np.zeros(len(self.tasks), dtype=int)
        for shares in self.together:
            labels = _parts((shares > threshold) & (labels[:, None] == labels))
            layers.append([{self.tasks[i] for i in np.flatnonzero(labels == k)} for k in range(labels.max() + 1)])
        return BranchingStructure(layers)


def branch_confidence(
    found: Search,
    *,
    samples: int = 50,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> BranchConfidence:
    """How often each pair of tasks stays together when the subsets of a search are weighted anew.

    Parameters
    ----------
    found : Search
    samples : int
        Reweightings B of every split; no network is trained and no gradient taken again.
    seed : int
    workers : int
        Processes.
    progress : callable, optional
        ``progress(splits done, splits)``.

    Returns
    -------
    BranchConfidence

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    integer("samples", samples)
    tasks = tuple(sorted(found.structure.tasks))
    place = {name: index for index, name in enumerate(tasks)}
    structure = found.structure
    together = np.array(
        [[[float(structure.module(k, a) == structure.module(k, b)) for b in tasks] for a in tasks]
         for k in range(len(structure.layers))]
    )  # fmt: skip
    for done, split in enumerate(found.splits, start=1):
        shares = _co_clustering(split, found, samples=samples, seed=seed, workers=workers)
        rows = [place[name] for name in split.tasks]
        together[split.layer][np.ix_(rows, rows)] = shares
        if progress is not None:
            progress(done, len(found.splits))
    return BranchConfidence(tasks, together, samples)


def _co_clustering(split: Split, found: Search, *, samples: int, seed: int, workers: int) -> Matrix:
    """Share of reweightings that put two tasks of a split into one group."""

    def labels(matrix: Matrix) -> Matrix:
        symmetric = gain_matrix(matrix) if found.gains else (matrix + matrix.T) / 2
        groups = partition_path(symmetric, ridges=found.ridges)[0].labels
        together: Matrix = (groups[:, None] == groups).astype(float)
        return together

    if len(split.tasks) == 2:
        # Three subsets, one of each kind: whatever their weights, the affinity is the same.
        return labels(split.affinity.matrix)
    drawn = map_cells(labels, list(split.affinity.bootstrap(samples, seed=seed)), workers=workers)
    result: Matrix = np.mean(drawn, axis=0)
    return result


def _parts(linked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Labels of the connected parts of a graph, numbered by their first member."""
    from scipy.sparse.csgraph import connected_components

    labels = connected_components(linked | np.eye(len(linked), dtype=bool), directed=False)[1]
    order = {label: place for place, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()])
