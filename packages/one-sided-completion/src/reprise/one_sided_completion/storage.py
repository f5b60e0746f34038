"""Moments in files, so that two sites, or two runs, can add theirs up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reprise.one_sided_completion.moment import SecondMoment

Array = np.ndarray[Any, Any]

_ARRAYS = ("indptr", "indices", "count", "total", "square")


def save_moment(path: str | Path, moment: SecondMoment, *, items: Any = None, **more: Any) -> None:
    """Write a moment as a compressed .npz file of plain arrays.

    Parameters
    ----------
    path : path
    moment : SecondMoment
    items : array, shape (d,), optional
        Ids of the columns, sorted; 0 to d − 1 when not given.
    **more : array
        Further arrays to keep with it, such as ``factor``.

    Raises
    ------
    ValueError
        If `items` are not d different ids in order.
    """
    items = np.arange(moment.dimension) if items is None else np.asarray(items)
    if items.shape != (moment.dimension,) or (items[1:] <= items[:-1]).any():
        raise ValueError(f"items must be {moment.dimension} different ids in order, got shape {items.shape}")
    arrays = {name: getattr(moment, name) for name in _ARRAYS}
    p = np.nan if moment.p is None else moment.p
    with Path(path).open("wb") as file:
        np.savez_compressed(file, rows=moment.rows, estimator=moment.estimator, p=p, items=items, **arrays, **more)


def load_moment(path: str | Path) -> tuple[SecondMoment, Array]:
    """Read a moment and the ids of its columns.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no moment.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            p = float(file["p"])
            estimator: Any = str(file["estimator"])
            indptr, indices, count, total, square = (file[name] for name in _ARRAYS)
            moment = SecondMoment(
                int(file["rows"]), indptr, indices, count, total, square, estimator, None if np.isnan(p) else p
            )
            return moment, file["items"]
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no moment: {error}") from error


def reindex(moment: SecondMoment, items: Any, wanted: Any) -> SecondMoment:
    """Move the columns of a moment to their places among more items.

    Parameters
    ----------
    moment : SecondMoment
    items : array, shape (d,)
        Ids of its columns, sorted.
    wanted : array, shape (D,)
        Ids to place them among, sorted; all of `items` are in it.

    Returns
    -------
    SecondMoment
        Of dimension D.

    Raises
    ------
    ValueError
        If an item is not among `wanted`.
    """
    items, wanted = np.asarray(items), np.asarray(wanted)
    place = np.searchsorted(wanted, items)
    if (place == len(wanted)).any() or (wanted[place] != items).any():
        raise ValueError("wanted must hold all items of the moment")
    rows = place[moment.pair_rows]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(wanted)))])
    sums = (moment.count, moment.total, moment.square)
    indices = place[moment.indices].astype(np.int32)
    return SecondMoment(moment.rows, indptr, indices, *sums, moment.estimator, moment.p)


def merge_moments(parts: Sequence[tuple[SecondMoment, Any]]) -> tuple[SecondMoment, Array]:
    """Add up moments of different rows whose columns need not be the same.

    Parameters
    ----------
    parts : sequence of (SecondMoment, items)
        As `load_moment` returns them.

    Returns
    -------
    moment : SecondMoment
    items : ndarray
        All ids, sorted.

    Raises
    ------
    ValueError
        If there is none, or they differ in estimator or p.

    Examples
    --------
    >>> from reprise.one_sided_completion import observe, second_moment
    >>> one = second_moment(observe([[1.0, 2.0]], [[True, True]]))
    >>> merged, items = merge_moments([(one, [10, 20]), (one, [20, 30])])
    >>> items.tolist(), merged.counts.diagonal().tolist()
    ([10, 20, 30], [1.0, 2.0, 1.0])
    """
    if not parts:
        raise ValueError("parts must hold at least one moment, got none")
    items = np.unique(np.concatenate([np.asarray(each) for _, each in parts]))
    first, *rest = (reindex(moment, each, items) for moment, each in parts)
    return sum(rest, start=first), items
