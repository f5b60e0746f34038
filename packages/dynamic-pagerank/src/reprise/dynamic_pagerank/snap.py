"""Reading edge streams in the formats of the SNAP collection: comment lines, blanks or commas, times, gzip."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from reprise.dynamic_pagerank.events import EventList
from reprise.dynamic_pagerank.validation import positive_integer

# What columns mean where nothing is said, by their number.
COLUMNS = {
    2: ("u", "v"),
    3: ("u", "v", "time"),
    4: ("u", "v", "weight", "time"),
}
_NAMES = ("u", "v", "weight", "time", "sign", "_")


def read_events(path: str | Path, *, columns: Sequence[str] | None = None) -> EventList:
    """Return all events of a file.

    Parameters
    ----------
    path : str or Path
        Plain text or gzip.
    columns : sequence of str, optional
        What the columns hold: ``"u"``, ``"v"``, ``"weight"``, ``"time"``, ``"sign"`` (1 or -1), or ``"_"`` for one to
        be left out. Unless given: ``u v``, ``u v time`` or ``u v weight time``, by their number.

    Returns
    -------
    EventList
        Labels are integers where all are, else strings.

    Raises
    ------
    ValueError
        If a line is malformed: the file, its number, what was expected.
    FileNotFoundError
        If there is no such file.
    """
    with open_text(path) as lines:
        chunks = list(chunked(lines, 1 << 20, columns=columns, name=str(path)))
    if not chunks:
        return EventList(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0), np.empty(0))
    if len(chunks) == 1:
        return chunks[0]

    def joined(field: str) -> Any:
        parts = [np.asarray(getattr(chunk, field)) for chunk in chunks]
        # A stream whose first names happen to be numbers holds strings all the same.
        text = any(part.dtype.kind == "U" for part in parts)
        return np.concatenate([part.astype(str) for part in parts] if text else parts)

    return EventList(*(joined(field) for field in ("tails", "heads", "signs", "weights", "times")))


def open_text(path: str | Path) -> TextIO:
    """Open a text file, unpacking it if it is gzip, whatever its name."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if packed else open(path, encoding="utf-8")


def chunked(
    lines: Iterable[str], size: int, *, columns: Sequence[str] | None = None, name: str = "input"
) -> Iterator[EventList]:
    """Yield the events of a stream of lines, `size` lines at a time; arguments and errors as for `read_events`."""
    positive_integer("size", size)
    known = None if columns is None else _checked(columns)
    number, source = 1, iter(lines)
    while chunk := list(islice(source, size)):
        kept = [
            (number + i, line) for i, line in enumerate(chunk) if line.strip() and not line.lstrip().startswith("#")
        ]
        number += len(chunk)
        if not kept:
            continue
        if known is None:
            width = len(_split(kept[0][1]))
            if width not in COLUMNS:
                raise ValueError(f"{name}, line {kept[0][0]}: expected 2 to 4 columns, or their names, got {width}")
            known = COLUMNS[width]
        yield _parse(kept, known, name)


def _checked(columns: Sequence[str]) -> tuple[str, ...]:
    named = [column for column in columns if column != "_"]
    if "u" not in named or "v" not in named or len(set(named)) < len(named) or not set(named) <= set(_NAMES):
        raise ValueError(f"columns must hold 'u' and 'v' and may hold 'weight', 'time', 'sign' and '_', got {columns}")
    return tuple(columns)


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.split(",")] if "," in line else line.split()


def _parse(kept: list[tuple[int, str]], columns: tuple[str, ...], name: str) -> EventList:
    rows = [_split(line) for _, line in kept]
    for (number, line), row in zip(kept, rows):
        if len(row) != len(columns) or not all(row):
            expected = " ".join(columns)
            raise ValueError(
                f"{name}, line {number}: expected {len(columns)} columns ({expected}), got {line.strip()!r}"
            )
    table = dict(zip(columns, zip(*rows)))
    size = len(rows)

    def numbers(column: str, default: float) -> Any:
        if column not in table:
            return np.full(size, default)
        try:
            found = np.array(table[column], dtype=np.float64)
        except ValueError:
            found = np.array([_number(text) for text in table[column]])
        limits = {"weight": found > 0, "sign": np.abs(found) == 1}.get(column, np.ones(size, dtype=bool))
        wrong = ~(np.isfinite(found) & limits)
        if wrong.any():
            i = int(np.argmax(wrong))
            expected = {"weight": "a positive weight", "sign": "a sign, 1 or -1"}.get(column, f"a number as {column}")
            raise ValueError(f"{name}, line {kept[i][0]}: expected {expected}, got {table[column][i]!r}")
        return found

    try:
        tails, heads = (np.array(table[end], dtype=np.int64) for end in ("u", "v"))
    except (ValueError, OverflowError):
        tails, heads = (np.array(table[end], dtype=str) for end in ("u", "v"))
    signs = numbers("sign", 1.0).astype(np.int8)
    return EventList(tails, heads, signs, numbers("weight", np.nan), numbers("time", np.nan))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
