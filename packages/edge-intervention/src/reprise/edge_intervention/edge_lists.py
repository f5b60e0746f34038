"""Weighted edge lists, in the formats of the collections that publish them, and in that of the user."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.errors import InvalidWeightsError
from reprise.edge_intervention.validation import one_of
from reprise.edge_intervention.weights import as_weights

FORMATS = ("tnet", "konect", "snap", "bitcoin")


def load_edges(path: str | Path, fmt: str = "tnet") -> sparse.csr_array:
    """Read a graph whose nodes are numbers.

    Parameters
    ----------
    path : path
    fmt : {"tnet", "konect", "snap", "bitcoin"}
        tnet: ``source target weight``. konect: the same, weight 1 where there is none. snap: ``u v``, weight 1.
        bitcoin: ``source,target,rating,time`` with the weight ``exp(rating / 5)``. Lines that do not begin with a
        digit are headers or comments.

    Returns
    -------
    csr_array, shape (n, n)
        Entry (source, target); n is the largest number plus 1, so that numbers stay what they are. Repeated edges add
        up.

    Raises
    ------
    FileNotFoundError
    ValueError
        Naming the line that is not as expected.
    """
    one_of("fmt", fmt, FORMATS)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    wanted = {"tnet": 3, "konect": 2, "snap": 2, "bitcoin": 3}[fmt]
    separator = "," if fmt == "bitcoin" else None
    sources, targets, values = [], [], []
    with file.open(encoding="utf-8") as opened:
        for place, line in enumerate(opened, start=1):
            if not line[:1].isdigit():
                continue
            fields = line.split(separator)
            if len(fields) < wanted:
                raise ValueError(f"{file.name}, line {place}: expected at least {wanted} columns, got {line.strip()!r}")
            try:
                sources.append(int(fields[0]))
                targets.append(int(fields[1]))
                values.append(float(fields[2]) if fmt != "snap" and len(fields) > 2 else 1.0)
            except ValueError as error:
                raise ValueError(f"{file.name}, line {place}: expected numbers, got {line.strip()!r}") from error
    if not sources:
        raise ValueError(f"{file.name} holds no edge")
    weights = np.exp(np.array(values) / 5.0) if fmt == "bitcoin" else np.array(values)
    size = max(max(sources), max(targets)) + 1
    return as_weights(sparse.coo_array((weights, (sources, targets)), shape=(size, size)), name=file.name)


def read_labelled_edges(path: str | Path) -> tuple[sparse.csr_array, list[str]]:
    """Read a weighted edge list of the user: ``source, target, weight`` with labels of any kind.

    Parameters
    ----------
    path : path
        Comma, semicolon, tab or blank between columns; a header is recognised by a third column that is no number. The
        weight may be left out (1). Empty lines and lines that begin with # or % are skipped.

    Returns
    -------
    weights : csr_array, shape (n, n)
        Entry (source, target). Repeated edges add up.
    labels : list of str
        Of the n nodes, in order of appearance.

    Raises
    ------
    FileNotFoundError
    ValueError
        Naming the line that is not as expected.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    numbered: dict[str, int] = {}
    rows, columns, values = [], [], []
    first = True
    with file.open(encoding="utf-8-sig", newline="") as opened:
        for place, line in enumerate(opened, start=1):
            text = line.strip()
            if not text or text[0] in "#%":
                continue
            fields = _fields(text)
            header, first = first and len(fields) > 2 and not _is_number(fields[2]), False
            if header:
                continue
            if len(fields) < 2 or (len(fields) > 2 and not _is_number(fields[2])):
                raise ValueError(f"{file.name}, line {place}: expected source, target, weight, got {text!r}")
            weight = float(fields[2]) if len(fields) > 2 else 1.0
            if not (np.isfinite(weight) and weight >= 0):
                raise InvalidWeightsError(
                    f"{file.name}, line {place}: expected a finite weight of at least 0, got {weight}"
                )
            rows.append(numbered.setdefault(fields[0], len(numbered)))
            columns.append(numbered.setdefault(fields[1], len(numbered)))
            values.append(weight)
    if not rows:
        raise ValueError(f"{file.name} holds no edge")
    size = len(numbered)
    return as_weights(sparse.coo_array((values, (rows, columns)), shape=(size, size)), name=file.name), list(numbered)


def _fields(text: str) -> list[str]:
    for separator in (",", ";", "\t"):
        if separator in text:
            return [field.strip() for field in next(csv.reader([text], delimiter=separator))]
    return text.split()


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
