"""Scores by label, as a mapping that reads like a dict and costs no copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.nodes import NodeIndex


class Scores(Mapping[Any, float]):
    """One number per node, by label; a snapshot, which later updates do not change.

    Examples
    --------
    >>> from reprise.dynamic_pagerank import DynamicGraph, personalized_pagerank
    >>> scores = personalized_pagerank([("a", "b"), ("b", "c")], "a", epsilon=1e-9)
    >>> max(scores, key=scores.get), len(scores)
    ('b', 3)
    """

    def __init__(self, nodes: NodeIndex, values: NDArray[np.float64]) -> None:
        self._nodes = nodes
        self._values = values

    def __getitem__(self, label: Any) -> float:
        position = self._nodes.position(label)
        if position >= len(self._values):
            raise KeyError(f"node {label!r} came after these scores")
        return float(self._values[position])

    def __iter__(self) -> Iterator[Any]:
        return (self._nodes.label(position) for position in range(len(self._values)))

    def __len__(self) -> int:
        return len(self._values)

    def to_numpy(self) -> NDArray[np.float64]:
        """Return the numbers, shape (nodes,), in the order in which the nodes were first seen."""
        return self._values.copy()

    def top(self, k: int) -> list[tuple[Any, float]]:
        """Return the `k` largest with their labels, largest first; equal ones in the order of the nodes."""
        return [(self._nodes.label(i), float(self._values[i])) for i in largest(self._values, k)]

    def label(self, position: int) -> Any:
        """Return the label at a position of `to_numpy`."""
        return self._nodes.label(position)

    def __repr__(self) -> str:
        shown = ", ".join(f"{label!r}: {value:.4g}" for label, value in self.top(3))
        return f"Scores({len(self)} nodes; {shown}{', …' if len(self) > 3 else ''})"


def largest(values: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return the positions of the `k` largest values, largest first, equal ones by position; O(n + k log k)."""
    k = min(k, len(values))
    if k == 0:
        return np.empty(0, dtype=np.int64)
    # All that equal the k-th are looked at, so that ties do not depend on the partition.
    least = values[np.argpartition(-values, k - 1)[k - 1]]
    candidates = np.flatnonzero(values >= least)
    return candidates[np.argsort(-values[candidates], kind="stable")][:k]
