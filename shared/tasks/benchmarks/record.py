"""Write a benchmark's numbers beside it, with the machine and the versions they were taken on."""

from __future__ import annotations

import json
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def record(name: str, results: dict[str, object]) -> None:
    """Print results and keep them in ``<name>.json``."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    machine = {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "scipy", "scikit-learn", "cvxpy")},
    }
    text = json.dumps({"machine": machine, **results}, indent=2)
    Path(__file__).with_name(f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(name, json.dumps(results, indent=2))


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
