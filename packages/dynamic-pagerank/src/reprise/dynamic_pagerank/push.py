"""Local push: move residual into the estimate until every residual is small.

Forward, from a source (Andersen, Chung and Lang 2006): *push(v)* adds α r(v) to p(v) and spreads (1−α) r(v) evenly over
the out-neighbours of v, while |r(v)| > ε d(v). Reverse, to a target (Andersen et al. 2007): it gives each in-neighbour
u of v the share (1−α) r(v)/d(u), while |r(v)| > ε. Residuals of both signs wait in one queue, first in, first out.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from reprise.dynamic_pagerank.compiled import kernel, long_kernel
from reprise.dynamic_pagerank.prefetch import FAR, NEAR, fetch

PUSHES, WORK = 0, 1


@dataclass(frozen=True)
class Stats:
    """What was done so far: updates, pushes, and `work`, the edges that pushes touched (the theorems' quantity)."""

    updates: int
    pushes: int
    work: int


class Columns(NamedTuple):
    """Estimates of several sources or targets, one row each, and what pushing them needs."""

    estimate: NDArray[np.float64]  # p, (columns, nodes)
    residual: NDArray[np.float64]  # r, (columns, nodes)
    queue: NDArray[np.int32]  # (columns, a power of two above nodes): circular, each waiting node once
    waiting: NDArray[np.uint8]  # (columns, nodes): 1 for nodes in the queue
    origins: NDArray[np.int64]  # (columns,): the source or target; -1 where the walk restarts anywhere
    restart: NDArray[np.float64]  # (nodes,): where it restarts then; empty for the same mass at every node
    counts: NDArray[np.int64]  # (columns, 2): pushes, and edges touched by them


def empty_columns(origins: NDArray[np.int64], nodes: int, restart: NDArray[np.float64]) -> Columns:
    """Return columns with zero estimate and zero residual."""
    shape = (len(origins), nodes)
    return Columns(
        estimate=np.zeros(shape),
        residual=np.zeros(shape),
        # Never full, so that what is written behind its end overwrites nothing.
        queue=np.empty((len(origins), 1 << nodes.bit_length()), dtype=np.int32),
        waiting=np.zeros(shape, dtype=np.uint8),
        origins=origins,
        restart=restart,
        counts=np.zeros((len(origins), 2), dtype=np.int64),
    )


def with_nodes(columns: Columns, nodes: int) -> Columns:
    """Return columns with room for more nodes; nothing may be waiting."""
    old = columns.estimate.shape[1]
    if nodes <= old:
        return columns
    new = empty_columns(columns.origins, nodes, columns.restart)
    new.estimate[:, :old] = columns.estimate
    new.residual[:, :old] = columns.residual
    restart = columns.restart
    if len(restart):
        restart = np.concatenate([restart, np.zeros(nodes - len(restart))])
    return new._replace(restart=restart, counts=columns.counts)


@kernel
def restart_mass(columns, column, node):
    """Return the mass with which the walk of a column restarts at a node."""
    origin = columns.origins[column]
    if origin >= 0:
        return 1.0 if origin == node else 0.0
    return columns.restart[node] if len(columns.restart) else 1.0


@long_kernel
def push_forward(graph, columns, column, tail, alpha, epsilon):
    """Push the waiting nodes, which fill the queue up to `tail`, and all that they make wait."""
    p, r = columns.estimate[column], columns.residual[column]
    queue, waiting = columns.queue[column], columns.waiting[column]
    start, count, total = graph.start[0], graph.degree[0], graph.total
    pool, weights = graph.pool, graph.weights
    weighted, mask = len(weights) > 0, len(queue) - 1
    head, pushes, work = 0, 0, 0
    while head != tail:
        node = queue[head]
        if (tail - head) & mask > FAR:
            coming = np.int64(queue[(head + FAR) & mask])
            fetch(start, coming)
            fetch(count, coming)
            fetch(r, coming)
            fetch(pool, start[queue[(head + NEAR) & mask]])
        head = (head + 1) & mask
        waiting[node] = 0
        rest = r[node]
        if abs(rest) <= epsilon * total[node]:
            continue
        pushes += 1
        r[node] = 0.0
        degree = count[node]
        if degree == 0:  # pushing along the virtual self-loop for ever
            p[node] += rest
            work += 1
            continue
        p[node] += alpha * rest
        share = (1.0 - alpha) * rest / total[node]
        begin = start[node]
        work += degree
        for place in range(begin, begin + degree):
            neighbour = np.uint32(pool[place])
            gained = r[neighbour] + (share * weights[place] if weighted else share)
            r[neighbour] = gained
            # Without a branch, which nobody could predict.
            late = (abs(gained) > epsilon * total[neighbour]) & (waiting[neighbour] == 0)
            queue[tail] = neighbour
            waiting[neighbour] |= late
            tail = (tail + late) & mask
    columns.counts[column, PUSHES] += pushes
    columns.counts[column, WORK] += work


@long_kernel
def push_reverse(graph, columns, column, tail, alpha, epsilon):
    """Push the waiting nodes, which fill the queue up to `tail`, and all that they make wait."""
    p, r = columns.estimate[column], columns.residual[column]
    queue, waiting = columns.queue[column], columns.waiting[column]
    side = len(graph.start) - 1
    start, count, out, total = graph.start[side], graph.degree[side], graph.degree[0], graph.total
    pool, weights = graph.pool, graph.weights
    weighted, mask = len(weights) > 0, len(queue) - 1
    head, pushes, work = 0, 0, 0
    while head != tail:
        node = queue[head]
        if (tail - head) & mask > FAR:
            coming = np.int64(queue[(head + FAR) & mask])
            fetch(start, coming)
            fetch(count, coming)
            fetch(r, coming)
            fetch(pool, start[queue[(head + NEAR) & mask]])
        head = (head + 1) & mask
        waiting[node] = 0
        rest = r[node]
        if abs(rest) <= epsilon:
            continue
        pushes += 1
        r[node] = 0.0
        if out[node] == 0:  # pushing along the virtual self-loop for ever: Σ (1−α)^i = 1/α times
            rest /= alpha
        p[node] += alpha * rest
        share = (1.0 - alpha) * rest
        begin, degree = start[node], count[node]
        work += max(degree, 1)
        for place in range(begin, begin + degree):
            neighbour = np.uint32(pool[place])
            gained = r[neighbour] + (share * weights[place] if weighted else share) / total[neighbour]
            r[neighbour] = gained
            late = (abs(gained) > epsilon) & (waiting[neighbour] == 0)
            queue[tail] = neighbour
            waiting[neighbour] |= late
            tail = (tail + late) & mask
    columns.counts[column, PUSHES] += pushes
    columns.counts[column, WORK] += work


@kernel
def push(graph, columns, column, tail, alpha, epsilon, forward):
    """Push the waiting nodes of a column, which fill the queue up to `tail`, and all that they make wait."""
    if tail == 0:
        return
    if forward:
        push_forward(graph, columns, column, tail, alpha, epsilon)
    else:
        push_reverse(graph, columns, column, tail, alpha, epsilon)


@kernel
def enqueue(graph, columns, column, node, tail, epsilon, forward):
    """Let a node wait if its residual is too large; return how many wait."""
    limit = epsilon * graph.total[node] if forward else epsilon
    if abs(columns.residual[column, node]) > limit and not columns.waiting[column, node]:
        columns.waiting[column, node] = 1
        columns.queue[column, tail] = node
        return tail + 1
    return tail


@long_kernel
def push_all(graph, columns, column, nodes, alpha, epsilon, forward):
    """Push wherever the residual is too large: a static computation, O(nodes) more than its pushes."""
    tail = 0
    for node in range(nodes):
        tail = enqueue(graph, columns, column, node, tail, epsilon, forward)
    push(graph, columns, column, tail, alpha, epsilon, forward)


@long_kernel
def push_from(graph, columns, column, node, alpha, epsilon, forward):
    """Push a node and all that it makes wait: a static computation that touches no other node."""
    tail = enqueue(graph, columns, column, node, 0, epsilon, forward)
    push(graph, columns, column, tail, alpha, epsilon, forward)


@njit(cache=True, parallel=True)
def push_all_in_parallel(graph, columns, nodes, alpha, epsilon, forward):
    """As `push_all` for every column, in parallel threads."""
    for column in prange(len(columns.origins)):
        push_all(graph, columns, column, nodes, alpha, epsilon, forward)
