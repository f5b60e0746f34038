"""Timing of two ways to do the same work in one process, in turns, and a record of the ratios."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reprise.core.provenance import machine, versions

NAMED = ("torch", "numpy", "pyhessian")


def seconds(work: Callable[[], Any], calls: int) -> float:
    """Wall time of one call, over `calls` of them; waits for the GPU when there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(calls):
        work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls


def compare(
    name: str, ours: Callable[[], Any], peer: Callable[[], Any], *, calls: int = 1, repeats: int = 7, **facts: Any
) -> dict[str, Any]:
    """Median and range of peer/ours over `repeats` turns, each of which times both; prints one line."""
    ours()
    peer()
    pairs = [(seconds(ours, calls), seconds(peer, calls)) for _ in range(repeats)]
    ratios = sorted(slow / fast for fast, slow in pairs)
    result = {
        "work": name,
        "ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "ours_ms": 1e3 * statistics.median(fast for fast, _ in pairs),
        "peer_ms": 1e3 * statistics.median(slow for _, slow in pairs),
        **facts,
    }
    more = "".join(
        f", {key} {value:.3g}" if isinstance(value, float) else f", {key} {value}" for key, value in facts.items()
    )
    print(
        f"{name}: {result['ratio']:.1f}× ({ratios[0]:.1f} to {ratios[-1]:.1f}); "
        f"{result['ours_ms']:.3g} ms against {result['peer_ms']:.3g} ms{more}"
    )
    return result


def write(script: str, results: list[dict[str, Any]]) -> None:
    """Write the results beside the script, with the machine and the versions that they were measured with."""
    path = Path(script).with_suffix(".json")
    record = {
        "machine": machine().model_dump(),
        "threads": torch.get_num_threads(),
        "versions": {name: version for name, version in versions().items() if name in NAMED},
        "results": results,
    }
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
