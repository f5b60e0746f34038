"""Running an experiment: cells to rows, rows to a table, the table to claims and a figure, all of it to a record."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compute import Job, limited_threads, measure_all
from .context import Context, canonical, no_progress
from .errors import Interrupted, RepriseError
from .paper import Cell, Experiment, Paper
from .provenance import machine, peak_memory, source, versions
from .record import Record, claim_result
from .store import CellStore, FinishedCell, locked, replace_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Observer:
    """Who is told of a run: `started(cells, already_done)`, `finished(cell)` and `within(done, total)` of one cell."""

    started: Callable[[int, int], None] = no_progress
    finished: Callable[[FinishedCell], None] = lambda cell: None
    within: Callable[[int, int], None] = no_progress


def run_experiment(
    paper: Paper,
    name: str,
    *,
    scale: str = "laptop",
    out: Path,
    settings: Any = None,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    dask: str | None = None,
    fresh: bool = False,
    observer: Observer | None = None,
) -> Record:
    """Run one experiment, or finish what an earlier run of the same settings began.

    Parameters
    ----------
    paper : Paper
    name : str
        Of the experiment.
    scale : str
    out : Path
        Folder of the paper's results; this run writes `result_folder(out, name, scale)`.
    settings : dataclass, optional
        Instead of the scale's own settings.
    seed : int
        Base of every seed of the run.
    device : {"auto", "cpu", "cuda"}
    workers : int, optional
        Processes; by default one per core, and one on a GPU.
    dask : str, optional
        Address of a Dask scheduler, ``tcp://host:8786``.
    fresh : bool
        Measure every cell anew.
    observer : Observer, optional

    Returns
    -------
    Record
        As it lies in the folder, beside table.csv, table.parquet, figure.svg and figure.png.

    Raises
    ------
    RepriseError
        If the call is wrong, data is missing, the disk refuses or a cell fails. Finished cells are kept.
    Interrupted
        If the user stopped it. Finished cells are kept.
    """
    observer = observer or Observer()
    experiment = paper.experiment(name)
    settings = experiment.settings(scale) if settings is None else settings
    if seed < 0:
        raise RepriseError(f"seed must not be negative, got {seed}")
    device = resolve_device(device)
    workers = _workers(workers, device)
    for data_set in experiment.data.get(scale, ()):
        data_set.find()
    code = source(paper.module + ".paper", f"reprise-{paper.slug}")
    cells = [dict(cell) for cell in experiment.cells(settings)]
    if not cells:
        raise RepriseError(f"{name} yields no cell at scale {scale}")
    started, clock = datetime.now(UTC), time.perf_counter()
    folder = result_folder(out, name, scale)
    with locked(folder):
        store = CellStore(folder)
        if fresh:
            store.clear()
        keys = [cell_key(paper, experiment, settings, cell, seed) for cell in cells]
        if len(set(keys)) < len(keys):
            raise RepriseError(f"{name} yields the same cell twice at scale {scale}")
        done = {key: cell for key, cell in store.read().items() if key in set(keys)}
        observer.started(len(cells), len(done))
        try:
            prepared = None
            if experiment.prepare is not None and len(done) < len(cells):
                context = Context(f"{paper.slug}/{name}", {}, seed, device, progress=observer.within)
                with limited_threads(experiment.threads):
                    prepared = experiment.prepare(settings, context)
            jobs = [
                Job(paper, name, settings, key, cell, seed, device, prepared)
                for key, cell in zip(keys, cells)
                if key not in done
            ]
            for finished in measure_all(jobs, workers=workers, dask=dask, progress=observer.within):
                store.append(finished)
                done[finished.key] = finished
                observer.finished(finished)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped after {len(done)} of {len(cells)} cells of {name}: they are kept in {folder}, "
                "and the same command goes on from there"
            ) from None
        table = make_table([done[key] for key in keys])
        written = _write_table(table, folder)
        _write_figure(experiment, table, folder)
        record = Record(
            paper=paper.slug,
            experiment=name,
            title=experiment.title,
            scale=scale,
            claims=[claim_result(claim, name, table) for claim in experiment.claims],
            settings=json.loads(canonical(asdict(settings))),
            seed=seed,
            device=device,
            workers=workers,
            cells=len(cells),
            rows=len(table),
            table_sha256=hashlib.sha256(written).hexdigest(),
            timings=list(experiment.timings),
            started=started,
            wall_seconds=time.perf_counter() - clock,
            cell_seconds=sum(cell.seconds for cell in done.values()),
            peak_memory_bytes=max([peak_memory() if workers == 1 else 0, *(c.peak_memory for c in done.values())]),
            machine=machine(),
            source=code,
            versions=versions(),
        )
        replace_file(folder / "record.json", record.model_dump_json(indent=1).encode() + b"\n")
    return record


def result_folder(out: Path, experiment: str, scale: str) -> Path:
    """Return where a run is kept: ``out/experiment`` at laptop scale, ``out/experiment/scale`` at the others."""
    return out / experiment if scale == "laptop" else out / experiment / scale


def cell_key(paper: Paper, experiment: Experiment, settings: Any, cell: Cell, seed: int) -> str:
    """Return the name of a cell in the store: a hash of everything that its rows depend on."""
    version = metadata.version(f"reprise-{paper.slug}")
    identity = [paper.slug, experiment.name, version, asdict(settings), cell, seed]
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:24]


def make_table(cells: list[FinishedCell]) -> pd.DataFrame:
    """Return the rows of finished cells as a table, in the order of the grid.

    Raises
    ------
    RepriseError
        If the cells have no rows.
    """
    import pandas as pd

    rows = [row for cell in cells for row in cell.rows]
    if not rows:
        raise RepriseError("the cells measured no row: there is nothing to judge or to draw")
    return pd.DataFrame.from_records(rows)


def resolve_device(device: str) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes a GPU where the experiment uses torch and there is one.

    Raises
    ------
    RepriseError
        If the device is unknown or absent.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise RepriseError(f"device must be auto, cpu or cuda, got {device!r}")
    torch = sys.modules.get("torch")
    present = torch is not None and torch.cuda.is_available()
    if device == "cuda" and not present:
        raise RepriseError("device cuda was asked for, but torch finds no GPU here: use --device cpu")
    return "cuda" if present and device != "cpu" else "cpu"


def _workers(workers: int | None, device: str) -> int:
    if workers is not None and workers < 1:
        raise RepriseError(f"workers must be at least 1, got {workers}")
    if device == "cuda":
        # One GPU serves one cell after another: processes that share it only fight for its memory.
        return 1
    return workers or os.cpu_count() or 1


def _write_table(table: pd.DataFrame, folder: Path) -> bytes:
    import io

    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    written = table.to_csv(index=False).encode()
    replace_file(folder / "table.parquet", parquet.getvalue())
    replace_file(folder / "table.csv", written)
    return written


def _write_figure(experiment: Experiment, table: pd.DataFrame, folder: Path) -> None:
    from .figures import draw

    for name, content in draw(experiment.plot, table).items():
        replace_file(folder / name, content)


def settings_from(experiment: Experiment, recorded: Mapping[str, Any]) -> Any:
    """Return the settings that a record holds, as the experiment's own dataclass.

    Raises
    ------
    RepriseError
        If they do not fit the dataclass any more.
    """
    from pydantic import TypeAdapter, ValidationError

    kind = type(next(iter(experiment.scales.values())))
    try:
        return TypeAdapter(kind).validate_python(dict(recorded))
    except ValidationError as error:
        first = error.errors()[0]
        raise RepriseError(
            f"the recorded settings do not fit {experiment.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
