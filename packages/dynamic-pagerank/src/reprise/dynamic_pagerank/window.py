"""A window that slides over a stream of timed edges: what has not come for a while is deleted."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.dynamic_pagerank.events import EventList, as_events
from reprise.dynamic_pagerank.nodes import NodeIndex
from reprise.dynamic_pagerank.validation import positive_number


class SlidingWindow:
    """Turn timed insertions into insertions and deletions: an edge lives for `span` after it last came.

    Parameters
    ----------
    span : float
        In the unit of the times.
    directed : bool
        Whether u→v and v→u are two edges; as in the graph.
    weights : bool
        Every event adds its weight, and takes it back when it expires: follow the result with ``multi="weight"``.
        Otherwise a repeated event only renews the edge.

    Notes
    -----
    An event expires when the clock shows its time plus `span`, before what happens at that same time. Sorting makes
    `advance` O(k log k) for k events of the window.

    Examples
    --------
    >>> from reprise.dynamic_pagerank import Edge
    >>> window = SlidingWindow(10.0)
    >>> found = window.advance([Edge(1, 2, time=0), Edge(2, 3, time=4), Edge(1, 2, time=8), Edge(3, 4, time=15)])
    >>> [(u, v, int(sign)) for u, v, sign in zip(found.tails, found.heads, found.signs)]
    [(1, 2, 1), (2, 3, 1), (2, 3, -1), (3, 4, 1)]
    """

    def __init__(self, span: float, *, directed: bool = False, weights: bool = False) -> None:
        self.span = positive_number("span", span)
        self.directed = directed
        self.weights = weights
        self._nodes = NodeIndex()
        # Events that have not expired yet: tail, head, weight, time.
        self._live = np.empty((0, 4))
        self._now = -np.inf

    def advance(self, events: Any) -> EventList:
        """Return what happens until the time of the last of these events.

        Parameters
        ----------
        events : EventList or iterable of Edge
            Insertions with times that do not decrease, and are not before those of earlier calls.

        Raises
        ------
        ValueError
            If there is a deletion, or a time is missing or goes back; then the window stays as it was.
        """
        listed = as_events(events)
        self._check(listed)
        if not len(listed):
            return listed
        both = (
            np.concatenate([listed.tails, listed.heads])
            if isinstance(listed.tails, np.ndarray) and isinstance(listed.heads, np.ndarray)
            else [*listed.tails, *listed.heads]
        )
        ends, new = self._nodes.locate(both)
        self._nodes.adopt(new)
        tails, heads = ends[: len(listed)], ends[len(listed) :]
        weights = np.where(np.isnan(listed.weights), 1.0, listed.weights)
        fresh = np.column_stack([tails, heads, weights, listed.times])
        old, rows = len(self._live), np.concatenate([self._live, fresh])
        now = float(listed.times[-1])
        inserted, deleted, dies = self._plan(rows, old, now)
        parts = [
            (rows[inserted], np.ones(inserted.sum()), rows[inserted, 3]),
            (rows[deleted], -np.ones(deleted.sum()), dies[deleted]),
        ]
        moved = np.concatenate([part for part, _, _ in parts])
        signs = np.concatenate([sign for _, sign, _ in parts]).astype(np.int8)
        times = np.concatenate([time for _, _, time in parts])
        # At one time expiry comes before what is new, or a renewed edge would be inserted twice.
        order = np.lexsort((signs, times))
        self._live, self._now = rows[~(rows[:, 3] + self.span <= now)], now
        # Without adding weights an edge dies whole.
        amounts = moved[:, 2] if self.weights else np.where(signs < 0, np.nan, moved[:, 2])
        label = self._nodes.label
        return EventList(
            [label(int(i)) for i in moved[order, 0]],
            [label(int(i)) for i in moved[order, 1]],
            signs[order],
            amounts[order],
            times[order],
        )

    def _plan(self, rows: Any, old: int, now: float) -> tuple[Any, Any, Any]:
        """Which events insert, which delete by expiring, and when."""
        dies = rows[:, 3] + self.span
        is_new = np.arange(len(rows)) >= old
        if self.weights:
            return is_new, dies <= now, dies
        ends = rows[:, :2] if self.directed else np.sort(rows[:, :2], axis=1)
        order = np.lexsort((rows[:, 3], ends[:, 1], ends[:, 0]))
        same = (ends[order[1:]] == ends[order[:-1]]).all(axis=1)
        follows = same & (rows[order[1:], 3] < dies[order[:-1]])
        renewed, renews = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        renewed[order[:-1]] = follows
        renews[order[1:]] = follows
        return is_new & ~renews, (dies <= now) & ~renewed, dies

    def _check(self, events: EventList) -> None:
        if (events.signs < 0).any():
            raise ValueError(f"event {int(np.argmax(events.signs < 0))} is a deletion; a window makes them itself")
        times = np.concatenate([[self._now], events.times])
        wrong = ~(np.isfinite(times[1:]) & (times[1:] >= times[:-1]))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(
                f"the time of event {i} must be a number not before that of the event before it ({times[i]:g}), "
                f"got {events.times[i]:g}"
            )
