"""Ratios of times that alternate within one process, and the machine they were taken on."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch


def ratios(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> list[float]:
    """Times of `theirs` over those of `ours`, pairs of runs in alternating order, after one run of each."""
    ours(), theirs()
    found = []
    for turn in range(repeats):
        order = (ours, theirs) if turn % 2 else (theirs, ours)
        times = {}
        for function in order:
            start = time.perf_counter()
            function()
            times[function] = time.perf_counter() - start
        found.append(times[theirs] / times[ours])
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4)
    return {"median": round(median(values), 3), "lower": round(low, 3), "upper": round(high, 3), "repeats": len(values)}


def machine() -> dict[str, Any]:
    """The processor, the threads in use and the versions."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    packages = ["torch", "numpy", "scipy", "curvlinops-for-pytorch", "pyhessian", "reprise-hvp"]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": None,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }
