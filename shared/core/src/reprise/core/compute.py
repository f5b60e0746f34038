"""Measuring cells: here one after another, in processes of this machine, or on a Dask cluster.

A cell is told everything that it needs, so it may be measured anywhere and in any order. The threads of a cell are
fixed by its experiment: more workers change the time that a run takes, never a number.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil
from threadpoolctl import threadpool_limits

from .context import Context, no_progress
from .errors import RepriseError
from .paper import Cell, Paper, Row
from .provenance import peak_memory
from .store import FinishedCell

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_THREADED_MODULES = ("torch", "numba")


@dataclass(frozen=True)
class Job:
    """One cell to be measured, with all that a worker needs to find its experiment."""

    paper: Paper
    experiment: str
    settings: Any
    key: str
    cell: Cell
    seed: int
    device: str
    prepared: Any


def measure_cell(job: Job, progress: Callable[[int, int], None] = no_progress) -> FinishedCell:
    """Measure one cell.

    Raises
    ------
    RepriseError
        If the cell fails: naming the cell and the error. Errors of missing data and the like pass as they are.
    """
    experiment = job.paper.experiment(job.experiment)
    context = Context(
        experiment=f"{job.paper.slug}/{job.experiment}",
        cell=job.cell,
        base_seed=job.seed,
        device=job.device,
        prepared=job.prepared,
        progress=progress,
    )
    started = time.perf_counter()
    try:
        rows = [_row(job.cell, row) for row in experiment.measure(job.settings, job.cell, context)]
    except RepriseError:
        raise
    except Exception as error:
        cell = ", ".join(f"{name}={value}" for name, value in job.cell.items())
        raise RepriseError(
            f"cell {cell} of {job.experiment} failed with {type(error).__name__}: {error}; the finished cells are kept"
        ) from error
    return FinishedCell(job.key, dict(job.cell), rows, time.perf_counter() - started, peak_memory())


def measure_all(
    jobs: Sequence[Job], *, workers: int, dask: str | None, progress: Callable[[int, int], None]
) -> Iterator[FinishedCell]:
    """Yield every cell as soon as it is measured, in any order.

    Raises
    ------
    RepriseError
        If a cell fails, a worker dies, or the Dask cluster does not answer.
    """
    if not jobs:
        return
    experiment = jobs[0].paper.experiment(jobs[0].experiment)
    try:
        if dask is not None:
            with _client(dask) as client:
                yield from _parallel(jobs, None, backend="dask", client=client)
        elif workers == 1:
            with held_threads(experiment.threads):
                for job in jobs:
                    yield measure_cell(job, progress)
        else:
            yield from _in_processes(jobs, workers)
    except RepriseError:
        raise
    except Exception as error:
        raise RepriseError(
            f"the workers of {experiment.name} failed with {type(error).__name__}: {error}; the finished cells are kept"
        ) from error


def cluster_size(address: str) -> int:
    """Return how many cells a Dask cluster measures at a time.

    Raises
    ------
    RepriseError
        If no scheduler answers.
    """
    with _client(address) as client:
        return int(sum(client.nthreads().values()))


def hold_threads(threads: int) -> threadpool_limits:
    """Hold every thread pool to a number of threads, also those of libraries that are imported later."""
    os.environ.update(dict.fromkeys(_thread_variables(), str(threads)))
    for name in _THREADED_MODULES:
        if name in sys.modules:
            limit = sys.modules[name].config.NUMBA_NUM_THREADS if name == "numba" else threads
            sys.modules[name].set_num_threads(min(threads, limit))
    return threadpool_limits(limits=threads)


@contextmanager
def held_threads(threads: int) -> Iterator[None]:
    """Hold this process to a number of threads for a while."""
    variables = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    before = {name: sys.modules[name].get_num_threads() for name in _THREADED_MODULES if name in sys.modules}
    with hold_threads(threads):
        try:
            yield
        finally:
            for name, number in before.items():
                sys.modules[name].set_num_threads(number)
            for name in _thread_variables():
                os.environ.pop(name, None)
                if (value := variables.get(name)) is not None:
                    os.environ[name] = value


def _thread_variables() -> tuple[str, ...]:
    # numba reads its variable again with every compilation, and fails where it changed after its threads had started.
    return tuple(name for name in _THREAD_VARIABLES if name != "NUMBA_NUM_THREADS" or "numba" not in sys.modules)


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[FinishedCell]:
    from joblib.externals.loky import get_reusable_executor

    start_silent_tracker()
    try:
        yield from _parallel(jobs, os.getpid(), backend="loky", n_jobs=workers)
    except BaseException:
        # Without this a stopped run would leave its workers measuring cells that nobody collects.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def start_silent_tracker() -> None:
    """Start the process that clears up after workers, if it does not run yet, without its warnings.

    When a run fails, a thread of its pool may be ended between clearing up and telling the tracker so: the tracker then
    reports a leak that is none, after the one sentence of the error.
    """
    from joblib.externals.loky.backend.resource_tracker import ensure_running

    variable, before = "PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS")
    os.environ[variable] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    try:
        ensure_running()
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise RepriseError("--dask needs an extra: install reprise-core[dask]") from None
    try:
        return Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RepriseError(f"no Dask scheduler answers at {address}: {error}") from error


def _parallel(jobs: Sequence[Job], parent: int | None, **backend: Any) -> Iterator[FinishedCell]:
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(**backend):
        run = Parallel(return_as="generator_unordered", batch_size=1)
        with _interrupts_held():
            results = run(delayed(_in_worker)(job, parent) for job in jobs)
        yield from results


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: processes started in it never hear of it, and this one ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_worker(job: Job, parent: int | None) -> FinishedCell:
    if parent is not None:
        _end_with(parent)
    # Never undone: cells that share a worker process as threads would undo it for each other.
    hold_threads(job.paper.experiment(job.experiment).threads)
    return measure_cell(job)


@cache
def _end_with(parent: int) -> None:
    """End this worker when the process that started it is gone: a killed run leaves nothing behind."""

    def watch() -> None:
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _row(cell: Cell, row: Row) -> dict[str, Any]:
    if clash := cell.keys() & row.keys():
        raise ValueError(f"a row must not repeat columns of its cell: {', '.join(sorted(clash))}")
    return {**cell, **row}
