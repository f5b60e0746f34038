"""Timing of two ways to do the same work in one process, in turns, and a record of the ratios."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reprise.core.provenance import machine, versions

NAMED = ("numba", "numpy", "scipy", "torch")


def seconds(work: Callable[[], Any], calls: int = 1, clock: Callable[[], float] = time.process_time) -> float:
    """CPU time of one call, over `calls` of them: other programs on the machine disturb it least."""
    begin = clock()
    for _ in range(calls):
        work()
    return (clock() - begin) / calls


def compare(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    calls: int = 1,
    peer_calls: int = 1,
    repeats: int = 5,
    clock: Callable[[], float] = time.process_time,
    **facts: Any,
) -> dict[str, Any]:
    """Median and range of peer/ours over `repeats` turns, each of which times both; prints one line."""
    ours()
    peer()
    pairs = [(seconds(ours, calls, clock), seconds(peer, peer_calls, clock)) for _ in range(repeats)]
    return summary(name, pairs, **facts)


def summary(name: str, pairs: list[tuple[float, float]], **facts: Any) -> dict[str, Any]:
    """Median and range of the ratios of pairs of (our seconds, seconds of the peer); prints one line."""
    ratios = sorted(slow / fast for fast, slow in pairs)
    result = {
        "work": name,
        "ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "ours_us": 1e6 * statistics.median(fast for fast, _ in pairs),
        "peer_us": 1e6 * statistics.median(slow for _, slow in pairs),
        **facts,
    }
    more = "".join(
        f", {key} {format(value, '.3g') if isinstance(value, float) else value}" for key, value in facts.items()
    )
    print(
        f"{name}: {result['ratio']:,.1f}× ({ratios[0]:,.1f} to {ratios[-1]:,.1f}); "
        f"{result['ours_us']:,.3g} µs against {result['peer_us']:,.3g} µs{more}",
        flush=True,
    )
    return result


def write(script: str, results: list[dict[str, Any]]) -> None:
    """Write the results beside the script, with the machine and the versions that they were measured with."""
    record = {
        "machine": machine().model_dump(),
        "versions": {name: version for name, version in versions().items() if name in NAMED},
        "results": results,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False)
    Path(script).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
