"""Ratings from the files that their owners publish, with ids of users and items mapped to rows and columns.

MovieLens 100K (``u.data``), 1M and 10M (``ratings.dat``), 20M, 25M and 32M (``ratings.csv``); Amazon Reviews'23
(``user_id,parent_asin,rating,timestamp``, also gzipped); any table of three columns user, item, rating; and sparse
matrices saved by scipy (``.npz``), such as genotypes of the 1000 Genomes Project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from reprise.one_sided_completion.validation import as_ratings, choice

Array = np.ndarray[Any, Any]
Format = Literal["auto", "movielens-100k", "movielens-1m", "movielens-csv", "amazon", "csv", "npz"]
Duplicates = Literal["error", "first", "last", "mean"]

CHUNK = 2_000_000  # lines that are parsed at a time


@dataclass(frozen=True)
class Ratings:
    """What was seen, and whose it is.

    Attributes
    ----------
    matrix : csr_array, shape (n, d)
    users : ndarray, shape (n,)
        Id of each row, sorted; of Amazon, a 64-bit hash of it.
    items : ndarray, shape (d,)
        Id of each column, sorted; of Amazon, a 64-bit hash of it.
    """

    matrix: sparse.csr_array
    users: Array
    items: Array


def load_ratings(path: str | Path, *, format: Format = "auto", duplicates: Duplicates = "error") -> Ratings:
    """Read a file of ratings.

    Parameters
    ----------
    path : path
    format : {"auto", "movielens-100k", "movielens-1m", "movielens-csv", "amazon", "csv", "npz"}
        "auto" goes by the name of the file and its first line.
    duplicates : {"error", "first", "last", "mean"}
        What to do with a user who rated one item several times.

    Returns
    -------
    Ratings

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of that format, an id is negative, a rating is not finite, or a user rated an item twice and
        `duplicates` is "error".

    Notes
    -----
    Text is parsed in chunks of two million lines and kept as three arrays. Ids of MovieLens have gaps: they are mapped.
    Text ids are hashed, so that 5·10⁷ users take 8 bytes each; two of them collide with chance 7·10⁻⁵.
    """
    path = Path(path)
    choice("format", format, get_args(Format))
    choice("duplicates", duplicates, get_args(Duplicates))
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    kind = _recognise(path) if format == "auto" else format
    if kind == "npz":
        return _load_npz(path)
    users, items, values = _columns(path, kind)
    if len(values) == 0:
        raise ValueError(f"{path.name} holds no rating")
    user_ids, rows = np.unique(users, return_inverse=True)
    item_ids, columns = np.unique(items, return_inverse=True)
    rows, columns, values = _resolve(rows, columns, values, duplicates, user_ids, item_ids)
    shape = (len(user_ids), len(item_ids))
    return Ratings(as_ratings(sparse.coo_array((values, (rows, columns)), shape=shape)), user_ids, item_ids)


def _recognise(path: Path) -> Format:
    if path.suffix == ".npz":
        return "npz"
    first = str(pd.read_csv(path, sep="\0", header=None, nrows=1, dtype=str).iloc[0, 0])
    if "::" in first:
        return "movielens-1m"
    if "\t" in first:
        return "movielens-100k"
    names = [name.strip() for name in first.split(",")]
    if names[:3] == ["userId", "movieId", "rating"]:
        return "movielens-csv"
    if names[:3] == ["user_id", "parent_asin", "rating"]:
        return "amazon"
    if len(names) >= 3:
        return "csv"
    raise ValueError(
        f"{path.name} is of no known format: expected tabs, '::' or commas between user, item and rating, "
        f"got {first[:60]!r}"
    )


def _columns(path: Path, kind: Format) -> tuple[Array, Array, Array]:
    """Users, items and ratings of the whole file, ids as integers."""
    parts = [_parsed(chunk, path.name) for chunk in _chunks(path, kind)]
    if not parts:
        raise ValueError(f"{path.name} holds no rating")
    users, items, values = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return users, items, values


def _chunks(path: Path, kind: Format) -> Iterator[pd.DataFrame]:
    options: dict[str, Any] = {"header": None, "chunksize": CHUNK}
    if kind == "movielens-100k":
        options |= {"sep": "\t", "usecols": [0, 1, 2]}
    elif kind == "movielens-1m":
        # "::" as ":" with empty columns between: the fast parser takes single characters only.
        options |= {"sep": ":", "usecols": [0, 2, 4]}
    else:
        options |= {"usecols": [0, 1, 2]}
        names = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        if kind != "csv" or pd.to_numeric(names[2:3], errors="coerce").isna().all():
            options["header"] = 0
    try:
        yield from cast(Any, pd.read_csv(path, **options))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path.name} is not of the format {kind}: {error}") from error


def _parsed(chunk: pd.DataFrame, name: str) -> tuple[Array, Array, Array]:
    users, items, ratings = (chunk.iloc[:, k] for k in range(3))
    values = pd.to_numeric(ratings, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{name} must hold finite ratings, got {ratings.iloc[bad]!r} in entry {chunk.index[bad]}")
    return _ids(users, "user", name), _ids(items, "item", name), values


def _ids(column: pd.Series, what: str, name: str) -> Array:
    if column.isna().any():
        raise ValueError(
            f"{name} must name the {what} of every rating, got none in entry {column.index[column.isna()][0]}"
        )
    if column.dtype.kind in "iu":
        if (column < 0).any():
            raise ValueError(f"{name} must hold {what} ids from 0, got {column.min()}")
        return column.to_numpy(dtype=np.uint64)
    return pd.util.hash_array(column.astype(str).to_numpy(dtype=object))


def _resolve(
    rows: Array, columns: Array, values: Array, duplicates: str, users: Array, items: Array
) -> tuple[Array, Array, Array]:
    key = rows.astype(np.int64) * len(items) + columns
    order = np.argsort(key, kind="stable")
    fresh = np.concatenate([[True], np.diff(key[order]) > 0])
    if fresh.all():
        return rows, columns, values
    starts = np.flatnonzero(fresh)
    if duplicates == "error":
        first = order[np.flatnonzero(~fresh)[0]]
        raise ValueError(
            f"user {users[rows[first]]} rated item {items[columns[first]]} more than once, "
            f"{int((~fresh).sum())} such ratings in all: set duplicates to 'first', 'last' or 'mean'"
        )
    kept = order[starts]
    if duplicates == "mean":
        lengths = np.diff(np.append(starts, len(order)))
        return rows[kept], columns[kept], np.add.reduceat(values[order], starts) / lengths
    chosen = kept if duplicates == "first" else order[np.append(starts[1:], len(order)) - 1]
    return rows[chosen], columns[chosen], values[chosen]


def _load_npz(path: Path) -> Ratings:
    try:
        matrix = as_ratings(sparse.load_npz(path))
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path.name} holds no sparse matrix of ratings: {error}") from error
    return Ratings(matrix, np.arange(matrix.shape[0]), np.arange(matrix.shape[1]))
