"""``reprise doctor``: what is installed, what the machine has, and what is missing."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from importlib import import_module, metadata
from typing import Any

from threadpoolctl import threadpool_info

from .errors import RepriseError
from .provenance import machine
from .registry import paper, slugs

# Shown first: what decides whether and how fast things run.
_TOLD = ("numpy", "scipy", "pandas", "torch", "joblib", "distributed", "matplotlib", "numba", "cvxpy")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def diagnose(as_json: bool) -> bool:
    """Print the state of this installation; True if every installed paper can be loaded."""
    torch_state = _torch()  # first: the name of a GPU is known through torch
    found = machine()
    problems = [problem for slug in slugs() for problem in _problems(slug)]
    state: dict[str, Any] = {
        "machine": found.model_dump(),
        "torch": torch_state,
        "threads": {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()},
        "data": _data_sets(),
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
    for name, number in state["threads"].items():
        print(f"{name}: {number} threads")
    for name, version in {**state["ours"], **state["versions"]}.items():
        print(f"  {name:<28}{version}")
    for name, value in state["environment"].items():
        print(f"  {name}={value}")
    if not state["versions"].get("distributed"):
        print("--dask needs an extra: reprise-core[dask]")
    if "REPRISE_DATA" not in os.environ:
        print("REPRISE_DATA is not set: data sets are looked for in the download cache only")
    for name, place in state["data"].items():
        print(f"data set {name}: {place or 'missing, see `reprise data`'}")
    for problem in problems:
        print(f"problem: {problem}")
    if not problems:
        print(f"every installed paper loads: {', '.join(slugs()) or 'there is none'}")
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
    except (ImportError, OSError):  # a broken installation fails with either
        return None
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {"version": torch.__version__, "threads": torch.get_num_threads(), "gpu": gpu}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _our_distributions() -> set[str]:
    return {d.name for d in metadata.distributions() if (d.metadata["Name"] or "").startswith("reprise-")}


def _data_sets() -> dict[str, str | None]:
    """Return where the data sets of all papers that load lie."""
    places = {}
    for slug in slugs():
        with suppress(RepriseError):
            found = paper(slug)
            for name in found.experiments:
                for data_sets in found.experiment(name).data.values():
                    places.update({d.name: str(d.locate()) if d.locate() else None for d in data_sets})
    return places
