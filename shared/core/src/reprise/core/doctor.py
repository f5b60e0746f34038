"""``reprise doctor``: what is installed, what the machine has, and what is missing."""

from __future__ import annotations

import json
import os
from importlib import import_module, metadata
from typing import Any

from .provenance import machine
from .registry import paper, slugs

# Shown first: what decides whether and how fast things run.
_TOLD = ("numpy", "scipy", "pandas", "torch", "joblib", "distributed", "matplotlib", "numba", "cvxpy")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def diagnose(as_json: bool) -> bool:
    """Print the state of this installation; True if every installed paper can be loaded."""
    found = machine()
    problems = [problem for slug in slugs() for problem in _problems(slug)]
    state: dict[str, Any] = {
        "machine": found.model_dump(),
        "torch": _torch(),
        "versions": {name: version for name in _TOLD if (version := _version(name))},
        "ours": {name: _version(name) for name in sorted(_our_distributions())},
        "environment": {name: os.environ[name] for name in (*_THREADS, "REPRISE_DATA") if name in os.environ},
        "papers": slugs(),
        "problems": problems,
    }
    if as_json:
        print(json.dumps(state, indent=1))
        return not problems
    print(f"{found.system}, Python {found.python}")
    print(f"{found.cpu}, {found.cores} cores, {found.memory_bytes / 2**30:.0f} GiB")
    torch = state["torch"]
    print(f"torch: {torch['threads']} threads, GPU: {torch['gpu'] or 'none'}" if torch else "torch is not installed")
    for name, version in {**state["ours"], **state["versions"]}.items():
        print(f"  {name:<28}{version}")
    for name, value in state["environment"].items():
        print(f"  {name}={value}")
    if not state["versions"].get("distributed"):
        print("--dask needs an extra: reprise-core[dask]")
    if "REPRISE_DATA" not in os.environ:
        print("REPRISE_DATA is not set: data sets are looked for in the download cache only")
    for problem in problems:
        print(f"problem: {problem}")
    if not problems:
        print(f"{len(slugs())} papers load without a problem")
    return not problems


def _problems(slug: str) -> list[str]:
    """Return a sentence for every experiment that cannot be loaded; whatever is wrong with it is the finding."""
    try:
        found = paper(slug)
    except Exception as error:
        return [f"{slug}: {type(error).__name__}: {error}"]
    problems = []
    for name in found.experiments:
        try:
            found.experiment(name)
        except Exception as error:
            problems.append(f"{slug}/{name}: {type(error).__name__}: {error}")
    return problems


def _torch() -> dict[str, Any] | None:
    try:
        torch = import_module("torch")
    except ImportError:
        return None
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {"version": torch.__version__, "threads": torch.get_num_threads(), "gpu": gpu}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _our_distributions() -> set[str]:
    return {d.name for d in metadata.distributions() if d.name.startswith("reprise-")}
