"""Timing of two ways to do the same work in one process, in turns, memory of either, and a record of both."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

from reprise.core.provenance import machine, versions

NAMED = ("numba", "numpy", "pandas", "scikit-learn", "scipy", "torch")


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    repeats: int = 5,
    goal: float | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Median and range of peer/ours over `repeats` turns, each of which times both; prints one line."""
    ours()
    if repeats > 1:  # a loop in Python needs no warming up
        peer()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(repeats)]
    ratios = sorted(slow / fast for fast, slow in pairs)
    result = {
        "work": name,
        "ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "ours_ms": 1e3 * statistics.median(fast for fast, _ in pairs),
        "peer_ms": 1e3 * statistics.median(slow for _, slow in pairs),
        **({} if goal is None else {"goal": goal}),
        **facts,
    }
    asked = "" if goal is None else f", goal {goal:g}×"
    print(
        f"{name}: {result['ratio']:.1f}× ({ratios[0]:.1f} to {ratios[-1]:.1f}{asked}); "
        f"{result['ours_ms']:.3g} ms against {result['peer_ms']:.3g} ms {facts or ''}"
    )
    return result


def peak_megabytes(work: Callable[[], Any]) -> float:
    """Growth of the resident memory to its peak while `work`, a picklable function, runs in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (work,))


def _grown(work: Callable[[], Any]) -> float:
    process, peak, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return (max(peak, process.memory_info().rss) - before) / 2**20


def write(script: str, results: list[dict[str, Any]]) -> None:
    """Write the results beside the script, with the machine and the versions that they were measured with."""
    record = {
        "machine": machine().model_dump(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
        "versions": {name: version for name, version in versions().items() if name in NAMED},
        "results": results,
    }
    path = Path(script).with_suffix(".json")
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
