"""Benchmarks: two ways to do the same work timed in turns in one process, memory of either, and a record of both.

Times of a shared machine say little, and ratios of runs that take turns say much. A script in `benchmarks/` calls
`compare` for every piece of work and ends with `write(__file__, results)`.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from reprise.core.provenance import machine, versions

Work = Callable[[], object]
Clock = Callable[[], float]


def seconds(work: Work, calls: int = 1, clock: Clock = time.perf_counter) -> float:
    """Return the time of one call, over `calls` of them.

    Parameters
    ----------
    work : callable
    calls : int
    clock : callable
        Its differences are seconds. `time.process_time` counts this process alone, which other programs disturb
        least; a clock for a GPU waits for it first.

    Raises
    ------
    ValueError
        If `calls` is below 1.

    Examples
    --------
    >>> ticks = iter([0.0, 6.0])
    >>> seconds(lambda: None, calls=3, clock=lambda: next(ticks))
    2.0
    """
    if calls < 1:
        raise ValueError(f"calls must be at least 1, got {calls}")
    begin = clock()
    for _ in range(calls):
        work()
    return (clock() - begin) / calls


def compare(
    name: str,
    ours: Work,
    peer: Work,
    *,
    calls: int = 1,
    peer_calls: int | None = None,
    repeats: int = 5,
    clock: Clock = time.perf_counter,
    goal: float | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Time two ways to do the same work in turns, after one call of each, and return what `summary` does.

    Parameters
    ----------
    name : str
        What is done, and beside which peer.
    ours, peer : callable
    calls, peer_calls : int
        Calls per turn; as many of the peer as of ours unless given.
    repeats : int
        Turns.
    clock : callable
        As for `seconds`.
    goal, **facts
        As for `summary`.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    ours()
    peer()
    turns = range(repeats)
    pairs = [(seconds(ours, calls, clock), seconds(peer, peer_calls or calls, clock)) for _ in turns]
    return summary(name, pairs, goal=goal, **facts)


def summary(
    name: str, pairs: Sequence[tuple[float, float]], *, goal: float | None = None, **facts: Any
) -> dict[str, Any]:
    """Return median and range of the ratios peer/ours, and print them on one line.

    Parameters
    ----------
    name : str
    pairs : sequence of (float, float)
        Seconds of ours and of the peer, one pair per turn.
    goal : float, optional
        The ratio that was hoped for.
    **facts
        More to print and to record, such as errors.

    Returns
    -------
    dict
        work, ratio (the median), lowest, highest, ours_ms and peer_ms (medians), goal where there is one, and the
        facts.

    Raises
    ------
    ValueError
        If there are no pairs.

    Examples
    --------
    >>> found = summary("sum of a million, against a loop", [(0.001, 0.05), (0.001, 0.07), (0.002, 0.08)])
    sum of a million, against a loop: 50× (40 to 70); 1 ms against 70 ms
    >>> round(found["ratio"]), round(found["ours_ms"], 6)
    (50, 1.0)
    """
    if not pairs:
        raise ValueError("pairs must hold at least one pair of times, got none")
    ratios = sorted(slow / fast for fast, slow in pairs)
    result: dict[str, Any] = {
        "work": name,
        "ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "ours_ms": 1e3 * statistics.median(fast for fast, _ in pairs),
        "peer_ms": 1e3 * statistics.median(slow for _, slow in pairs),
        **({} if goal is None else {"goal": goal}),
        **facts,
    }
    low, middle, high = (_short(result[key]) for key in ("lowest", "ratio", "highest"))
    asked = "" if goal is None else f", goal {goal:,g}×"
    more = "".join(f", {key} {_short(value)}" for key, value in facts.items())
    times = f"{_duration(result['ours_ms'])} against {_duration(result['peer_ms'])}"
    print(f"{name}: {middle}× ({low} to {high}{asked}); {times}{more}", flush=True)
    return result


def peak_megabytes(work: Work, imports: Iterable[str] = (), first: Work | None = None) -> float:
    """Return by how much the resident memory of a fresh process grows to its peak while it works, in MiB.

    Parameters
    ----------
    work : callable
        One that can be pickled: a function of a module, or a `functools.partial` of one.
    imports : iterable of str
        Modules to import beforehand: what a library loads on first use is not the method's memory.
    first : callable, optional
        Like `work`, on a small problem, done beforehand for the same reason.

    Raises
    ------
    OSError
        On systems other than Linux, which alone lets a process forget its peak.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise OSError("the peak of a process can only be measured on Linux")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (work, tuple(imports), first))


def peak_tensor_bytes(work: Work) -> int:
    """Return the most memory of torch's tensors alive at once while `work` is done, above what was there before.

    Unlike `peak_megabytes` it leaves out what libraries hold and what freed memory leaves in pieces. The work is done
    once beforehand. Needs torch, and counts tensors on the processor.

    Parameters
    ----------
    work : callable
    """
    profiler = import_module("torch.profiler")
    work()
    with profiler.profile(activities=[profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    level = highest = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    return highest


def write(script: str | Path, results: Sequence[dict[str, Any]], libraries: Iterable[str] = ()) -> Path:
    """Write results beside their script, as JSON with the machine and the versions that they were measured with.

    Parameters
    ----------
    script : str or Path
        ``__file__`` of the benchmark; the record has the same name with the ending ``.json``.
    results : sequence of dict
        Of `compare`, `summary` or one's own.
    libraries : iterable of str
        Distributions to name the versions of, beside numpy and scipy; those that are not installed are left out.

    Returns
    -------
    Path
        What was written.
    """
    named = {"numpy", "scipy", *libraries}
    record = {
        "machine": machine().model_dump(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
        "versions": {name: version for name, version in versions().items() if name in named},
        "results": list(results),
    }
    path = Path(script).with_suffix(".json")
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 100 <= abs(value) < 1e15 else f"{value:.3g}"


def _duration(milliseconds: float) -> str:
    for unit, size in (("s", 1e3), ("ms", 1.0), ("µs", 1e-3)):
        if milliseconds >= size:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{1e6 * milliseconds:.3g} ns"


def _growth(work: Work, imports: tuple[str, ...], first: Work | None) -> float:
    for module in imports:
        import_module(module)
    if first is not None:
        first()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before = _kibibytes("VmRSS")
    work()
    return (_kibibytes("VmHWM") - before) / 1024


def _kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(field + ":")).split()[1])
