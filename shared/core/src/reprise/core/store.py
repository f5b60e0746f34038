"""The folder of one run: finished cells, one JSON line each, and files that are replaced whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .context import canonical
from .errors import RepriseError


@dataclass(frozen=True)
class FinishedCell:
    """What is kept of a cell: its key, the cell itself, its rows, and what it cost."""

    key: str
    cell: dict[str, Any]
    rows: list[dict[str, Any]]
    seconds: float
    peak_memory: int


class CellStore:
    """Append-only store of finished cells.

    Each cell is one line, flushed and fsynced before `append` returns: a killed run loses at most the cells that were
    still being measured. A line that was cut off is dropped when the store is read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cells.jsonl"

    def read(self) -> dict[str, FinishedCell]:
        """Return the finished cells by key; lines that cannot be read are passed over and measured again."""
        if not self.path.exists():
            return {}
        cells = {}
        for line in self.path.read_bytes().splitlines():
            with suppress(ValueError, TypeError):
                cell = FinishedCell(**json.loads(line))
                cells[cell.key] = cell
        return cells

    def append(self, cell: FinishedCell) -> FinishedCell:
        """Write one cell through to the disk; returns it as it will be read back.

        Raises
        ------
        RepriseError
            If the disk refuses; what was there before stays whole.
        """
        try:
            line = canonical(asdict(cell), sort_keys=False).encode() + b"\n"
            # Unbuffered: a buffer would be written out once more when the file is closed after a failure.
            with open(self.path, "ab", buffering=0) as file:
                end = file.tell()
                rest = memoryview(line if self._ends_a_line(end) else b"\n" + line)
                try:
                    while rest:
                        rest = rest[file.write(rest) :]
                    os.fsync(file.fileno())
                except OSError:
                    with suppress(OSError):
                        os.truncate(self.path, end)
                    raise
        except OSError as error:
            kept = "the finished cells are kept, and the same command goes on from there"
            raise RepriseError(f"{cannot_write(self.path, error)}; {kept}") from error
        except (TypeError, ValueError) as error:
            raise RepriseError(f"a row of cell {cell.cell} is not made of JSON values: {error}") from error
        return FinishedCell(**json.loads(line))

    def clear(self) -> None:
        """Forget all cells."""
        self.path.unlink(missing_ok=True)

    def _ends_a_line(self, size: int) -> bool:
        if size == 0:
            return True
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it for one run; the system frees it when the process ends, however it ends.

    Raises
    ------
    RepriseError
        If another run holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise RepriseError(f"another run is writing into {folder}: wait for it, or choose another --out") from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` at once: readers see the old file or the new one, never a part.

    Raises
    ------
    RepriseError
        If the disk refuses; an old file stays as it was.
    """
    name = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> RepriseError:
    """Return the sentence for a disk that refuses."""
    reason = error.strerror or str(error)
    return RepriseError(f"cannot write {path}: {reason}")
