"""Following events: change the graph, repair every column, push from what was touched.

A batch of events is first checked as a whole (`first_impossible`) and only then applied, so that an impossible event
leaves everything as it was.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange

from reprise.dynamic_pagerank.adjacency import OK, SHIFT
from reprise.dynamic_pagerank.compiled import kernel, long_kernel
from reprise.dynamic_pagerank.edge_table import find, hashed
from reprise.dynamic_pagerank.edges import change_weight, edge_key, insert, remove, room, slot_of, weight_at
from reprise.dynamic_pagerank.prefetch import FAR, anticipate, anticipate_columns, fetch
from reprise.dynamic_pagerank.push import Columns, enqueue, push
from reprise.dynamic_pagerank.repair import empty_changes, is_heavy, repair_forward, repair_reverse

if TYPE_CHECKING:
    from reprise.dynamic_pagerank.events import Events
    from reprise.dynamic_pagerank.graph import DynamicGraph

# What an insertion of an edge that is there means.
REFUSE, IGNORE, ADD = 0, 1, 2
POSSIBLE, ABSENT, DUPLICATE, TOO_MUCH = 0, 1, 2, 3
# What is left of a weight after the same amounts were added and subtracted, in any order.
_ROUNDING = 1e-9
# Repairs per batch below which waking the threads takes longer than the work.
_WORTH_THREADS = 2000


def follow_all(
    graph: DynamicGraph,
    columns: Columns,
    events: Events,
    batch: int | None,
    multi: int,
    rule: tuple[float, float, bool],
) -> None:
    """Follow events that are possible, and make room where it ends.

    Parameters
    ----------
    graph : DynamicGraph
    columns : Columns
    events : Events
    batch : int or None
        Push after so many events; None: once at the end.
    multi : int
        What the insertion of an edge that is there means.
    rule : tuple
        alpha, the threshold of the residuals, and whether the scores are those from a source.
    """
    total = len(events.tails)
    size = max(total if batch is None else batch, 1)
    changes = empty_changes(2 * min(size, max(total, 1)))
    many = len(columns.origins)
    run = _follow_in_parallel if many > 1 and many * size >= _WORTH_THREADS else _follow
    begin = 0
    while begin < total:
        begin, status = run(graph.arrays, columns, events, begin, size, multi, changes, *rule)
        graph.make_room(status)


@njit(cache=True)
def first_impossible(graph, events, multi):
    """Return the first event that cannot happen and why, or (-1, POSSIBLE); the graph stays as it is."""
    shift = graph.meta[SHIFT]
    size = 4
    while size < 2 * len(events.tails):
        size *= 2
    # The weights of pairs that earlier events of the batch changed: 0 where there is no edge.
    keys = np.full(2 * size, -1, dtype=np.int64)
    changed = np.empty(size)
    local_shift = 64 - int(np.log2(size) + 0.5)
    for i in range(len(events.tails)):
        if i + FAR < len(events.tails):
            coming = edge_key(graph, events.tails[i + FAR], events.heads[i + FAR])
            fetch(graph.table, 2 * hashed(coming, shift))
            fetch(keys, 2 * hashed(coming, local_shift))
        tail, head = events.tails[i], events.heads[i]
        key = edge_key(graph, tail, head)
        seen = find(keys, key, local_shift)
        if keys[2 * seen] == key:
            weight = changed[seen]
        else:
            slot = find(graph.table, key, shift)
            weight = weight_at(graph, slot, tail, head) if graph.table[2 * slot] == key else 0.0
            keys[2 * seen] = key
        if events.signs[i] > 0:
            if weight > 0 and multi == REFUSE:
                return i, DUPLICATE
            if weight == 0:
                weight = events.weights[i]
            elif multi == ADD:
                weight += events.weights[i]
        else:
            if weight == 0:
                return i, ABSENT
            weight = _remaining(weight, events.weights[i], multi)
            if weight < 0:
                return i, TOO_MUCH
        changed[seen] = weight
    return -1, POSSIBLE


@kernel
def _remaining(weight, subtracted, multi):
    """Return what is left of an edge after a deletion; nothing, unless weights add up and a weight was given."""
    if multi != ADD or np.isnan(subtracted):
        return 0.0
    rest = weight - subtracted
    if abs(rest) <= _ROUNDING * weight:
        return 0.0
    return rest


@kernel
def apply_event(graph, tail, head, sign, weight, multi, changes, filled):
    """Change the graph by one event; return what is in the way, and how many changes were noted."""
    slot = slot_of(graph, tail, head)
    present = weight_at(graph, slot, tail, head) if slot >= 0 else 0.0
    if sign < 0:
        rest = _remaining(present, weight, multi)
    elif slot < 0:
        status = room(graph, tail, head)
        if status != OK:
            return status, filled
        rest = weight
    elif multi == ADD:
        rest = present + weight
    else:
        return OK, filled
    amount = rest - present
    both = len(graph.start) == 1 and tail != head
    _note(graph, tail, head, amount, changes, filled, True)
    if both:
        _note(graph, head, tail, amount, changes, filled + 1, True)
    if slot < 0:
        insert(graph, tail, head, rest)
    elif rest > 0:
        change_weight(graph, slot, tail, head, rest)
    else:
        remove(graph, slot, tail, head)
    _note(graph, tail, head, amount, changes, filled, False)
    if both:
        _note(graph, head, tail, amount, changes, filled + 1, False)
    return OK, filled + 1 + both


@kernel
def _note(graph, tail, head, amount, changes, place, before):
    changes.ends[place, 0], changes.ends[place, 1] = tail, head
    changes.amounts[place, 0] = amount
    changes.amounts[place, 1 if before else 2] = graph.total[tail] if graph.degree[0, tail] else 0.0


@kernel
def apply_some(graph, events, begin, end, multi, changes):
    """Change the graph by events from `begin` on; return the next event, what is in the way, and the changes noted.

    Stops before `end` where the graph has to grow, and after a change whose repair needs the neighbours of this moment.
    """
    filled = 0
    for i in range(begin, end):
        anticipate(graph, events, i)
        noted = filled
        status, filled = apply_event(
            graph, events.tails[i], events.heads[i], events.signs[i], events.weights[i], multi, changes, filled
        )
        if status != OK:
            return i, status, filled
        for place in range(noted, filled):
            if is_heavy(changes.amounts[place, 1], changes.amounts[place, 2]):
                return i + 1, OK, filled
    return end, OK, filled


@kernel
def repair_some(graph, columns, column, changes, filled, alpha, epsilon, forward, tail):
    """Repair a column after some changes, and let the touched nodes wait; return how many wait."""
    for i in range(filled):
        u, v = changes.ends[i]
        change, before, after = changes.amounts[i]
        if forward:
            repair_forward(graph, columns, column, u, v, change, before, after, alpha)
        else:
            repair_reverse(graph, columns, column, u, v, change, before, after, alpha)
    # Thresholds count only when all is repaired.
    for i in range(filled):
        u, v = changes.ends[i]
        tail = enqueue(graph, columns, column, u, tail, epsilon, forward)
        if forward:
            tail = enqueue(graph, columns, column, v, tail, epsilon, forward)
            if changes.amounts[i, 2] > changes.amounts[i, 1] and is_heavy(changes.amounts[i, 1], changes.amounts[i, 2]):
                begin = graph.start[0, u]
                for place in range(begin, begin + graph.degree[0, u]):
                    tail = enqueue(graph, columns, column, graph.pool[place], tail, epsilon, forward)
    return tail


@njit(cache=True)
def _follow(graph, columns, events, begin, batch, multi, changes, alpha, epsilon, forward):
    """Follow events, pushing after every `batch` of them; return the next event and what is in the way."""
    total, status = len(events.tails), OK
    tails = np.zeros(len(columns.origins), dtype=np.int64)
    while begin < total and status == OK:
        end = min(begin + batch, total)
        while begin < end and status == OK:
            anticipate_columns(columns, events, begin)
            begin, status, filled = apply_some(graph, events, begin, end, multi, changes)
            for column in range(len(tails)):
                tails[column] = repair_some(
                    graph, columns, column, changes, filled, alpha, epsilon, forward, tails[column]
                )
        # Where the graph has to grow the batch ends early, and goes on when there is room.
        for column in range(len(tails)):
            push(graph, columns, column, tails[column], alpha, epsilon, forward)
            tails[column] = 0
    return begin, status


@njit(cache=True, parallel=True)
def _follow_in_parallel(graph, columns, events, begin, batch, multi, changes, alpha, epsilon, forward):
    """As `_follow`, with the columns in parallel threads: worth its cost for large batches."""
    total, status = len(events.tails), OK
    tails = np.zeros(len(columns.origins), dtype=np.int64)
    while begin < total and status == OK:
        end = min(begin + batch, total)
        while begin < end and status == OK:
            begin, status, filled = apply_some(graph, events, begin, end, multi, changes)
            complete = begin == end or status != OK
            for column in prange(len(tails)):
                tails[column] = repair_some(
                    graph, columns, column, changes, filled, alpha, epsilon, forward, tails[column]
                )
                if complete:
                    push(graph, columns, column, tails[column], alpha, epsilon, forward)
                    tails[column] = 0
    return begin, status


@long_kernel
def apply_only(graph, events, begin, multi, changes):
    """Change the graph by events with no column to follow; return the next event and what is in the way."""
    status, room_for = OK, len(changes.ends) // 2
    while begin < len(events.tails) and status == OK:
        begin, status, _ = apply_some(graph, events, begin, min(begin + room_for, len(events.tails)), multi, changes)
    return begin, status
