"""Second moments of files larger than memory, and of more than one machine: blocks of rows of a Parquet file.

Each row group of the file holds the ratings of whole users, as `write_blocks` lays them out. Moments of blocks add up,
here one after another or over a Dask cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from reprise.one_sided_completion.moment import Estimator, SecondMoment, second_moment, second_moment_from
from reprise.one_sided_completion.validation import as_ratings, integer

if TYPE_CHECKING:
    from distributed import Client

COLUMNS = ("user", "item", "rating")


def write_blocks(path: str | Path, blocks: Iterable[Any]) -> None:
    """Write blocks of rows as the row groups of one Parquet file with columns user, item and rating.

    Parameters
    ----------
    path : path
    blocks : iterable of scipy sparse arrays, each of shape (rows of the block, d)
        Users are numbered through all blocks.

    Raises
    ------
    ValueError
        If there is no block, or one has another number of columns.
    """
    pa, pq = _arrow()
    writer, offset, columns = None, 0, None
    try:
        for block in blocks:
            ratings = as_ratings(block, columns=columns)
            columns = ratings.shape[1]
            users = np.repeat(np.arange(ratings.shape[0], dtype=np.int64) + offset, np.diff(ratings.indptr))
            offset += ratings.shape[0]
            table = pa.table(dict(zip(COLUMNS, (users, ratings.indices.astype(np.int32), ratings.data))))
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema.with_metadata({"columns": str(columns)}))
            writer.write_table(table, row_group_size=max(len(users), 1))
    finally:
        if writer is not None:
            # Known only now: rows that show nothing leave no trace in the table.
            writer.add_key_value_metadata({"rows": str(offset)})
            writer.close()
    if writer is None:
        raise ValueError("blocks must hold at least one block of rows, got none")


def read_blocks(path: str | Path, columns: int | None = None) -> Iterator[sparse.csr_array]:
    """Read the row groups of a Parquet file of ratings one after another, each as a csr_array.

    Parameters
    ----------
    path : path
    columns : int, optional
        d; taken from the file when `write_blocks` wrote it.

    Raises
    ------
    ValueError
        If a column is missing, d is unknown, an item lies beyond it, or a user is split over two row groups.
    """
    columns = _check(path, columns)
    _, pq = _arrow()
    for group in range(pq.ParquetFile(path).metadata.num_row_groups):
        yield _read(path, group, columns)


def second_moment_of_file(
    path: str | Path,
    *,
    columns: int | None = None,
    estimator: Estimator = "hajek",
    p: float | None = None,
    client: Client | None = None,
) -> SecondMoment:
    """Estimate the second moment of a Parquet file of ratings, block by block.

    Parameters
    ----------
    path : path
        With a cluster: one that all workers can read.
    columns : int, optional
        d; taken from the file when `write_blocks` wrote it.
    estimator, p
        As in `second_moment`.
    client : distributed.Client, optional
        Map the row groups over the workers of this Dask cluster, and add up in a tree.

    Returns
    -------
    SecondMoment
        Counts are the same however the blocks are added; sums are to rounding.

    Raises
    ------
    ValueError
        As `read_blocks`.
    """
    found = _check(path, columns)
    _, pq = _arrow()
    metadata = pq.ParquetFile(path).metadata
    rows = int((metadata.metadata or {}).get(b"rows", 0))
    if client is None:
        moment = second_moment_from(read_blocks(path, found), estimator=estimator, p=p)
    else:
        parts = [
            client.submit(_block_moment, str(path), group, found, estimator, p, pure=False)
            for group in range(metadata.num_row_groups)
        ]
        while len(parts) > 1:
            pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
            parts = [client.submit(_add, *each, pure=False) if len(each) == 2 else each[0] for each in pairs]
        moment = parts[0].result()
    return replace(moment, rows=max(rows, moment.rows))


def _block_moment(path: str, group: int, columns: int, estimator: Estimator, p: float | None) -> SecondMoment:
    return second_moment(_read(path, group, columns), estimator=estimator, p=p)


def _add(one: SecondMoment, other: SecondMoment) -> SecondMoment:
    return one + other


def _read(path: str | Path, group: int, columns: int) -> sparse.csr_array:
    _, pq = _arrow()
    table = pq.ParquetFile(path).read_row_group(group, columns=list(COLUMNS))
    users, items, values = (table[name].to_numpy() for name in COLUMNS)
    if items.size and (items.min() < 0 or items.max() >= columns):
        raise ValueError(f"items must lie between 0 and {columns - 1}, got {items.min()} to {items.max()}")
    rows = np.unique(users, return_inverse=True)[1]
    shape = (int(rows.max(initial=0)) + 1, columns)
    return as_ratings(sparse.coo_array((values.astype(np.float64), (rows, items)), shape=shape))


def _check(path: str | Path, columns: int | None) -> int:
    """Make sure that the file can be read in blocks, and return d."""
    _, pq = _arrow()
    file = pq.ParquetFile(path)
    missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"{path} must have the columns {', '.join(COLUMNS)}, it lacks {', '.join(missing)}")
    if columns is None:
        kept = (file.schema_arrow.metadata or {}).get(b"columns")
        if kept is None:
            raise ValueError(f"columns must be given: {path} does not say how many items there are")
        columns = int(kept)
    integer("columns", columns)
    place = file.schema_arrow.names.index("user")
    last = None
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max:
            if file.metadata.row_group(group).num_rows:
                raise ValueError(f"{path} must hold statistics of its users, by which blocks are told apart")
            continue
        if last is not None and statistics.min <= last:
            raise ValueError(
                f"{path} must be sorted by user with whole users in each row group: group {group} begins with user "
                f"{statistics.min} and an earlier one ends with {last}"
            )
        last = statistics.max
    return columns


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ValueError("Parquet files need an extra: install reprise-one-sided-completion[dask]") from error
    return pa, pq
