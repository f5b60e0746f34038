"""Repair of estimate and residual after the weight of an edge changed, so that the invariant holds again exactly.

The invariants (Zhang, Lofgren and Goel 2016, Section 3), for every node v, with b the restart distribution:

    forward  p(v) + α r(v) = (1−α) Σ_{x→v} p(x) w(x,v)/W(x) + α b(v)
    reverse  p(v) + α r(v) = (1−α) Σ_{v→x} p(x) w(v,x)/W(v) + α b(v)

When the weight of u→v changes by δ, and with it W(u) from W to W', the forward repair scales p(u) by W'/W, which leaves
all other out-neighbours of u alone, and corrects r(u) and r(v); the reverse repair corrects r(u). Both are O(1). A node
without edges has a virtual self-loop: W = 0 or W' = 0 below says that it comes or goes. Where δ outweighs all other
edges of u together by far, these formulas lose digits, and the repair sums over the neighbours of u instead.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.compiled import kernel
from reprise.dynamic_pagerank.push import restart_mass

# Ratio of W(u) from which on the sum is taken. Rounding errors of an O(1) repair grow by it at most, and without
# weights it is never exceeded, as a degree changes by a factor of 2 at most.
HEAVY = 4.0


class Changes(NamedTuple):
    """Changes of half-edges, in order, as the graph made them."""

    ends: NDArray[np.int64]  # (changes, 2): tail u, head v
    amounts: NDArray[np.float64]  # (changes, 3): δ, W(u) before, W(u) after; 0 for the virtual self-loop


def empty_changes(size: int) -> Changes:
    """Return room for `size` changes."""
    return Changes(np.empty((size, 2), dtype=np.int64), np.empty((size, 3)))


@kernel
def is_heavy(before, after):
    """Return whether the repair has to sum over the neighbours; never so in unweighted graphs."""
    return before > 0 and after > 0 and (after > HEAVY * before or before > HEAVY * after)


@kernel
def repair_forward(graph, columns, column, tail, head, change, before, after, alpha):
    """Repair after one half-edge changed."""
    p, r = columns.estimate[column], columns.residual[column]
    odds = (1.0 - alpha) / alpha
    old = p[tail]
    if before == 0.0:
        r[tail] -= odds * old
        r[head] += odds * old
    elif after == 0.0:
        r[tail] += odds * old
        r[head] -= odds * old
    elif after > HEAVY * before:
        begin = graph.start[0, tail]
        for place in range(begin, begin + graph.degree[0, tail]):
            neighbour = graph.pool[place]
            weight = graph.weights[place]
            previous = weight - change if neighbour == head else weight
            r[neighbour] += odds * old * (weight / after - previous / before)
    else:
        new = old * (after / before)
        p[tail] = new
        r[tail] -= (new - old) / alpha
        r[head] += odds * old * (change / before)


@kernel
def repair_reverse(graph, columns, column, tail, head, change, before, after, alpha):
    """Repair after one half-edge changed."""
    p, r = columns.estimate[column], columns.residual[column]
    if before == 0.0:
        r[tail] += (1.0 - alpha) / alpha * (p[head] - p[tail])
    elif after == 0.0:
        r[tail] -= (1.0 - alpha) / alpha * (p[head] - p[tail])
    elif before > HEAVY * after:
        begin, gathered = graph.start[0, tail], 0.0
        for place in range(begin, begin + graph.degree[0, tail]):
            gathered += graph.weights[place] * p[graph.pool[place]]
        mean = gathered / after
        r[tail] = ((1.0 - alpha) * mean - p[tail]) / alpha + restart_mass(columns, column, tail)
    else:
        # (1−α) times the mean of p over the out-neighbours before the change, from the invariant
        mean = p[tail] + alpha * (r[tail] - restart_mass(columns, column, tail))
        r[tail] += ((1.0 - alpha) * p[head] - mean) * (change / (alpha * after))
