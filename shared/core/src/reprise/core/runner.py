"""Running an experiment: cells to rows, rows to a table, the table to claims and a figure, all of it to a record."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pyarrow as pa

from .compute import Job, cluster_size, held_threads, measure_all
from .context import Context, canonical, no_progress
from .errors import Interrupted, RepriseError
from .paper import Cell, Experiment, Paper
from .provenance import machine, peak_memory, source, versions
from .record import Record, claim_result, read_record
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
    chosen = experiment.settings(scale) if settings is None else settings
    # Through JSON and back, as `verify` will read them: an int where a float is declared would be another cell.
    settings = settings_from(experiment, json.loads(canonical(asdict(chosen))))
    if seed < 0:
        raise RepriseError(f"seed must not be negative, got {seed}")
    device = resolve_device(device, paper)
    workers = cluster_size(dask) if dask is not None else _workers(workers, device)
    for data_set in experiment.data.get(scale, ()):
        data_set.find()
    code = source(paper.module + ".paper", f"reprise-{paper.slug}")
    with _authored("the grid", name):
        cells = [dict(cell) for cell in experiment.cells(settings)]
    if not cells:
        raise RepriseError(f"{name} yields no cell at scale {scale}")
    started, clock = datetime.now(UTC), time.perf_counter()
    folder = result_folder(out, name, scale)
    with locked(folder):
        store = CellStore(folder)
        if fresh:
            store.clear()
        keys = cell_keys(paper, experiment, settings, cells, seed=seed, device=device)
        wanted = set(keys)
        if len(wanted) < len(keys):
            raise RepriseError(f"{name} yields the same cell twice at scale {scale}")
        done = {key: cell for key, cell in store.read().items() if key in wanted}
        measuring = len(done) < len(cells)
        observer.started(len(cells), len(done))
        try:
            prepared = None
            if experiment.prepare is not None and measuring:
                context = Context(f"{paper.slug}/{name}", {}, seed, device, progress=observer.within)
                with held_threads(experiment.threads), _authored("the preparation", name):
                    prepared = experiment.prepare(settings, context)
            jobs = [
                Job(paper, name, settings, key, cell, seed, device, prepared)
                for key, cell in zip(keys, cells)
                if key not in done
            ]
            for finished in measure_all(jobs, workers=workers, dask=dask, progress=observer.within):
                done[finished.key] = store.append(finished)
                observer.finished(finished)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped after {len(done)} of {len(cells)} cells of {name}: they are kept in {folder}, "
                "and the same command goes on from there"
            ) from None
        table = make_table([done[key] for key in keys])
        written = _write_table(table, folder)
        with _authored("a claim", name):
            claims = [claim_result(claim, name, table) for claim in experiment.claims]
        record = Record(
            paper=paper.slug,
            experiment=name,
            title=experiment.title,
            scale=scale,
            claims=claims,
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
        if not measuring:
            record = _with_earlier_provenance(record, folder)
        replace_file(folder / "record.json", record.model_dump_json(indent=1).encode() + b"\n")
        _write_figure(experiment, table, folder)
    return record


def result_folder(out: Path, experiment: str, scale: str) -> Path:
    """Return where a run is kept: ``out/experiment`` at laptop scale, ``out/experiment/scale`` at the others."""
    return out / experiment if scale == "laptop" else out / experiment / scale


def cell_keys(
    paper: Paper, experiment: Experiment, settings: Any, cells: Sequence[Cell], *, seed: int, device: str
) -> list[str]:
    """Return the names of cells in the store: hashes of everything that their rows depend on.

    That is the paper, the experiment, its settings and the seed, the device, the version of the package, and the text
    of its method and of this experiment: a cell that older code measured is measured again.
    """
    version = metadata.version(f"reprise-{paper.slug}")
    code = _code_digest(paper, experiment)
    run = canonical([paper.slug, experiment.name, version, code, asdict(settings), seed, device])
    return [hashlib.sha256(f"{run}{canonical(cell)}".encode()).hexdigest()[:24] for cell in cells]


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


def resolve_device(device: str, paper: Paper) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes a GPU where the paper's package needs torch and there is one.

    Raises
    ------
    RepriseError
        If the device is unknown or absent.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise RepriseError(f"device must be auto, cpu or cuda, got {device!r}")
    if device == "cpu":
        return device
    needed = metadata.requires(f"reprise-{paper.slug}") or []
    # An extra does not count: it may be absent, and the experiments of such a package compute without it.
    if not any(re.match(r"torch\b", requirement) and "extra ==" not in requirement for requirement in needed):
        if device == "cuda":
            raise RepriseError(f"device cuda was asked for, but {paper.slug} computes without torch: use --device cpu")
        return "cpu"
    present = import_module("torch").cuda.is_available()
    if device == "cuda" and not present:
        raise RepriseError("device cuda was asked for, but torch finds no GPU here: use --device cpu")
    return "cuda" if present else "cpu"


def _workers(workers: int | None, device: str) -> int:
    if workers is not None and workers < 1:
        raise RepriseError(f"workers must be at least 1, got {workers}")
    if device == "cuda":
        # One GPU serves one cell after another: processes that share it only fight for its memory.
        return 1
    return workers or int(joblib.cpu_count())


def _write_table(table: pd.DataFrame, folder: Path) -> bytes:
    import io

    parquet = io.BytesIO()
    try:
        table.to_parquet(parquet, index=False)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise RepriseError(f"the rows make no table, a column mixes kinds of values: {error}") from error
    written = table.to_csv(index=False).encode()
    replace_file(folder / "table.parquet", parquet.getvalue())
    replace_file(folder / "table.csv", written)
    return written


def _write_figure(experiment: Experiment, table: pd.DataFrame, folder: Path) -> None:
    from .figures import draw

    with _authored("the figure", experiment.name):
        drawn = draw(experiment.plot, table)
    for name, content in drawn.items():
        replace_file(folder / name, content)


@contextmanager
def _authored(what: str, experiment: str) -> Iterator[None]:
    """Turn an error in what an experiment's author wrote into one sentence."""
    try:
        yield
    except RepriseError:
        raise
    except Exception as error:
        raise RepriseError(f"{what} of {experiment} failed with {type(error).__name__}: {error}") from error


def _code_digest(paper: Paper, experiment: Experiment) -> str:
    """Return a hash of the package's method and of this experiment's own file."""
    folder = Path(str(sys.modules[paper.module].__file__)).parent
    own = folder / "experiments" / f"{experiment.name.replace('-', '_')}.py"
    files = [own, *(file for file in folder.rglob("*.py") if "experiments" not in file.relative_to(folder).parts)]
    texts = sorted((file.relative_to(folder).as_posix(), file.read_bytes().hex()) for file in files)
    return hashlib.sha256(canonical(texts).encode()).hexdigest()


def _with_earlier_provenance(record: Record, folder: Path) -> Record:
    """Return the record with the machine, commit and times of the run that measured its cells, if that is on record."""
    try:
        earlier = read_record(folder)
    except RepriseError:
        return record
    same = ("paper", "experiment", "scale", "settings", "seed", "device", "table_sha256")
    if any(getattr(earlier, name) != getattr(record, name) for name in same):
        return record
    measured = ("started", "wall_seconds", "peak_memory_bytes", "workers", "machine", "source", "versions")
    return record.model_copy(update={name: getattr(earlier, name) for name in measured})


def settings_from(experiment: Experiment, recorded: Mapping[str, Any]) -> Any:
    """Return the settings that a record holds, as the experiment's own dataclass.

    Raises
    ------
    RepriseError
        If they do not fit the dataclass any more.
    """
    from pydantic import TypeAdapter, ValidationError

    kind = type(next(iter(experiment.scales.values())))
    if unknown := recorded.keys() - {field.name for field in fields(kind)}:
        raise RepriseError(f"{experiment.name} has no setting {', '.join(sorted(unknown))} any more")
    try:
        return TypeAdapter(kind).validate_python(dict(recorded))
    except ValidationError as error:
        first = error.errors()[0]
        raise RepriseError(
            f"the recorded settings do not fit {experiment.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
