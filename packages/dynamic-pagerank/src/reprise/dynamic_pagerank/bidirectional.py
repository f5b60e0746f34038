"""One score from both ends: forward from the source, reverse from the target (Lofgren, Banerjee and Goel 2016)."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from reprise.dynamic_pagerank.compiled import kernel
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank
from reprise.dynamic_pagerank.validation import positive_integer, seeded


@dataclass(frozen=True)
class PairScore:
    """π_s(t), the error that is certain, and the standard error where random walks were used (then unbiased)."""

    value: float
    error_bound: float
    standard_error: float | None


def pair(
    graph: DynamicGraph,
    source: Hashable,
    target: Hashable,
    *,
    alpha: float = 0.15,
    epsilon: float = 1e-4,
    reverse_epsilon: float = 1e-4,
    walks: int = 0,
    seed: int = 0,
) -> PairScore:
    """Return the score of one target from one source, with an error far below that of either push alone.

    Parameters
    ----------
    graph : DynamicGraph
    source, target : hashable
    alpha : float
        Probability of stopping.
    epsilon, reverse_epsilon : float
        Of the push from the source and of that to the target.
    walks : int
        Random walks for what the pushes leave over; 0 leaves it out.
    seed : int
        Of the walks.

    Returns
    -------
    PairScore

    Raises
    ------
    KeyError
        If a node is unknown.

    Notes
    -----
    π_s(t) = p_t(s) + Σ_v π_s(v) r_t(v), where π_s(v) = p_s(v) + Σ_x r_s(x) π_x(v). Without walks the last sum is left
    out; it is bounded by ε Σ_v d(v) r_t(v) on undirected graphs, and by Σ r_s · max r_t on all. With walks it is
    Σ r_s times the mean of r_t over the ends of walks from nodes drawn in proportion to r_s.

    Examples
    --------
    >>> graph = DynamicGraph.from_edges([(0, 1), (1, 2), (2, 0)])
    >>> round(pair(graph, 0, 1, epsilon=1e-7).value, 6)
    0.298246
    """
    positive_integer("walks", walks, minimum=0)
    for label in (source, target):
        graph.nodes.position(label)
    forward = DynamicPageRank(graph, source=source, alpha=alpha, epsilon=epsilon)
    reverse = DynamicPageRank(graph, target=target, alpha=alpha, epsilon=reverse_epsilon)
    left, right = forward.residual().to_numpy(), reverse.residual().to_numpy()
    value = reverse[source] + float(forward.scores().to_numpy() @ right)
    _, above = forward.error_interval()
    bound = min(float(above @ right), float(left.sum() * right.max()))
    if not walks or bound == 0.0:
        return PairScore(value, bound, None)
    generator = seeded(seed)
    starts = generator.choice(len(left), size=walks, p=left / left.sum())
    ends = np.empty(walks, dtype=np.int64)
    _walk(graph.arrays, starts, generator.geometric(alpha, size=walks) - 1, generator, ends)
    found = left.sum() * right[ends]
    return PairScore(value + float(found.mean()), bound, float(found.std(ddof=1)) / math.sqrt(walks))


@kernel
def _walk(graph, starts, steps, generator, ends):
    for i in range(len(starts)):
        node = starts[i]
        for _ in range(steps[i]):
            if graph.degree[0, node] == 0:
                break
            node = next_node(graph, node, generator.random())
        ends[i] = node


@kernel
def next_node(graph, node, draw):
    """Return the out-neighbour at which a step with a uniform draw from [0, 1) ends."""
    begin, size = graph.start[0, node], graph.degree[0, node]
    if len(graph.weights) == 0:
        return np.int64(graph.pool[begin + np.int64(draw * size)])
    rest = draw * graph.total[node]
    for place in range(begin, begin + size - 1):
        rest -= graph.weights[place]
        if rest < 0:
            return np.int64(graph.pool[place])
    return np.int64(graph.pool[begin + size - 1])
