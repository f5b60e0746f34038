"""Stored random walks: every visit is linked along its walk, and with the other visits of its node."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.compiled import kernel

_FREE, _USED, EVENT = 0, 1, 2
NONE = -1


class Walks(NamedTuple):
    """Visits of stored walks: linked along their walk, and with the other visits of their node."""

    node: NDArray[np.int32]  # (slots,): which node is visited
    following: NDArray[np.int32]  # (slots,): the next visit of the walk; in free slots the next free one
    after: NDArray[np.int32]  # (slots,): the next visit of the node
    before: NDArray[np.int32]  # (slots,)
    born: NDArray[np.int32]  # (slots,): the event that drew it
    first: NDArray[np.int32]  # (nodes,): a visit of the node
    visits: NDArray[np.int64]  # (nodes,)
    meta: NDArray[np.int64]  # first free slot, slots in use, events so far


def empty_walks(slots: int, nodes: int) -> Walks:
    """Return room for `slots` visits of `nodes` nodes."""
    following = np.arange(1, slots + 1, dtype=np.int32)
    following[-1] = NONE
    node, after, before, born = (np.full(slots, NONE, dtype=np.int32) for _ in range(4))
    first = np.full(nodes, NONE, dtype=np.int32)
    return Walks(node, following, after, before, born, first, np.zeros(nodes, np.int64), np.zeros(3, np.int64))


def more_slots(walks: Walks) -> Walks:
    """Return the walks with twice the slots."""
    old = len(walks.node)
    new = empty_walks(2 * old, len(walks.first))
    for name in ("node", "following", "after", "before", "born"):
        getattr(new, name)[:old] = getattr(walks, name)
    # The new slots are in front of the free list.
    new.following[-1] = walks.meta[_FREE]
    walks.meta[_FREE] = old
    return new._replace(first=walks.first, visits=walks.visits, meta=walks.meta)


@kernel
def visit(walks, node):
    """Note a visit, and return its slot; there must be a free one."""
    slot = walks.meta[_FREE]
    walks.meta[_FREE] = walks.following[slot]
    walks.meta[_USED] += 1
    head = walks.first[node]
    walks.node[slot], walks.following[slot], walks.born[slot] = node, NONE, walks.meta[EVENT]
    walks.after[slot], walks.before[slot] = head, NONE
    if head != NONE:
        walks.before[head] = slot
    walks.first[node] = slot
    walks.visits[node] += 1
    return slot


@kernel
def _forget(walks, slot):
    """Unlink a visit from its node."""
    node, after, before = walks.node[slot], walks.after[slot], walks.before[slot]
    if before == NONE:
        walks.first[node] = after
    else:
        walks.after[before] = after
    if after != NONE:
        walks.before[after] = before
    walks.visits[node] -= 1
    walks.node[slot] = NONE


@kernel
def cut(walks, slot):
    """Drop all visits behind one; their slots are taken again in the order last in, first out."""
    following = walks.following[slot]
    walks.following[slot] = NONE
    while following != NONE:
        after = walks.following[following]
        _forget(walks, following)
        walks.following[following] = walks.meta[_FREE]
        walks.meta[_FREE] = following
        walks.meta[_USED] -= 1
        following = after


@kernel
def enough(walks, more):
    """Return whether there are more than so many free slots."""
    return len(walks.node) - walks.meta[_USED] > more
