"""Events: edges that are inserted and deleted, one at a time, as arrays or one by one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Sums of larger weights, and quotients by smaller ones, would not be finite.
LARGEST_WEIGHT = 1e150


class Edge(NamedTuple):
    """One event.

    Parameters
    ----------
    u, v : hashable
        The edge goes from `u` to `v`; in undirected graphs their order does not matter.
    sign : {1, -1}
        Insertion or deletion.
    weight : float, optional
        Of an insertion, 1 unless given. Of a deletion: how much is subtracted where weights add up
        (``multi="weight"``); the whole edge unless given.
    time : float, optional
        Used by `SlidingWindow`.
    """

    u: Hashable
    v: Hashable
    sign: int = 1
    weight: float | None = None
    time: float | None = None


@dataclass(frozen=True)
class EventList:
    """Events in order, by label; times are NaN where there are none, as are weights that were not given."""

    tails: NDArray[Any] | list[Any]
    heads: NDArray[Any] | list[Any]
    signs: NDArray[np.int8]
    weights: NDArray[np.float64]
    times: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.signs)

    def __getitem__(self, part: slice) -> EventList:
        return EventList(self.tails[part], self.heads[part], self.signs[part], self.weights[part], self.times[part])


class Events(NamedTuple):
    """Events in order, by position, as the kernels take them."""

    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    signs: NDArray[np.int8]
    weights: NDArray[np.float64]  # NaN in a deletion of a whole edge


def as_events(events: Any) -> EventList:
    """Return events of any accepted form, checked.

    Parameters
    ----------
    events : EventList, array (k, 2), (k, 3) or (k, 4), or iterable of Edge or tuples
        Columns are u, v, sign (±1, insertion unless given) and weight.

    Returns
    -------
    EventList

    Raises
    ------
    ValueError
        If a shape, a sign or a weight is not as expected; the message names the event.
    TypeError
        If `events` is nothing of this.

    Examples
    --------
    >>> as_events([(1, 2), Edge(2, 3, -1)]).signs.tolist()
    [1, -1]
    """
    if isinstance(events, EventList):
        found = events
    elif isinstance(events, np.ndarray):
        found = _from_array(events)
    elif isinstance(events, Iterable) and not isinstance(events, (str, bytes)):
        found = _from_iterable(events)
    else:
        raise TypeError(f"events must be an array of shape (k, 2), (k, 3) or (k, 4) or an iterable, got {events!r}")
    wrong = (found.signs != 1) & (found.signs != -1)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"the sign of event {i} must be 1 or -1, got {found.signs[i]}")
    given = ~np.isnan(found.weights)
    wrong = given & ~((found.weights > 0) & np.isfinite(found.weights))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"the weight of event {i} must be positive and finite, got {found.weights[i]}")
    wrong = given & ~((found.weights >= 1 / LARGEST_WEIGHT) & (found.weights <= LARGEST_WEIGHT))
    if wrong.any():
        i = int(np.argmax(wrong))
        limits = f"{1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}"
        raise ValueError(f"the weight of event {i} must lie between {limits}, got {found.weights[i]}")
    return found


def _from_array(array: NDArray[Any]) -> EventList:
    if array.ndim != 2 or array.shape[1] not in (2, 3, 4):
        raise ValueError(f"events must have shape (k, 2), (k, 3) or (k, 4), got {array.shape}")
    size, columns = array.shape
    ends = array[:, :2]
    if array.dtype.kind == "f":
        if not (np.isfinite(ends).all() and (ends == np.round(ends)).all()):
            raise ValueError("events: nodes in an array of floats must be whole numbers")
        ends = ends.astype(np.int64)
    elif array.dtype.kind not in "iuUO":
        raise TypeError(f"events must hold numbers or labels, got {array.dtype}")
    signs, weights = np.ones(size, dtype=np.int8), np.full(size, np.nan)
    try:
        if columns > 2:
            exact = array[:, 2].astype(np.float64)
            # Rounding to int8 would let 1.5 or 257 pass for an insertion.
            signs = np.where(np.abs(exact) == 1, exact, 0).astype(np.int8)
        if columns > 3:
            weights = array[:, 3].astype(np.float64)
            if np.isnan(weights[signs > 0]).any():
                raise ValueError("events: the weight of an insertion must not be NaN")
    except (TypeError, OverflowError) as error:
        raise ValueError(f"events: signs and weights must be numbers: {error}") from error
    return EventList(ends[:, 0], ends[:, 1], signs, weights, np.full(size, np.nan))


def _from_iterable(events: Iterable[Any]) -> EventList:
    rows = []
    for i, event in enumerate(events):
        try:
            row = Edge(*event)
            if isinstance(event, str) or row.sign not in (1, -1):
                raise ValueError
            weight = np.nan if row.weight is None else float(row.weight)
            if row.weight is not None and not weight > 0:
                raise ValueError
            rows.append((row.u, row.v, row.sign, weight, np.nan if row.time is None else float(row.time)))
        except (TypeError, ValueError):
            expected = "(u, v), (u, v, sign), (u, v, sign, weight) or Edge, sign 1 or -1, weight positive and finite"
            raise ValueError(f"event {i} must be {expected}, got {event!r}") from None
    tails, heads, signs, weights, times = zip(*rows) if rows else ((), (), (), (), ())
    return EventList(
        list(tails), list(heads), np.array(signs, dtype=np.int8), np.array(weights, float), np.array(times, float)
    )
