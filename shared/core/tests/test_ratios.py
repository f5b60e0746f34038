"""Timing in turns, the record of it, and the memory of a fresh process."""

from __future__ import annotations

import json
import sys
from functools import partial

import numpy as np
import pytest

from reprise.core.ratios import compare, peak_megabytes, seconds, summary, write


def clock_of(taken):
    """Return a clock, and works that let it advance by their seconds."""
    now = 0.0

    def works():
        def run(spent):
            nonlocal now
            now += spent

        return [partial(run, spent) for spent in taken]

    return lambda: now, works()


def test_seconds_are_those_of_one_call():
    clock, (work,) = clock_of([0.5])
    assert seconds(work, 4, clock) == 0.5


def test_compare_warms_up_and_takes_turns():
    order = []
    compare("work", lambda: order.append("ours"), lambda: order.append("peer"), repeats=2, calls=1, peer_calls=2)
    assert order == ["ours", "peer", "ours", "peer", "peer", "ours", "peer", "peer"]


def test_compare_measures_the_ratio_of_peer_to_ours(capsys):
    clock, (ours, peer) = clock_of([0.25, 2.0])
    found = compare("work", ours, peer, clock=clock, goal=5, error=1e-7)
    assert (found["ratio"], found["lowest"], found["highest"]) == (8, 8, 8)
    assert (found["ours_ms"], found["peer_ms"], found["goal"], found["error"]) == (250, 2000, 5, 1e-7)
    assert capsys.readouterr().out == "work: 8× (8 to 8, goal 5×); 250 ms against 2 s, error 1e-07\n"


def test_the_median_of_the_ratios_is_not_the_ratio_of_the_medians():
    found = summary("work", [(1.0, 3.0), (2.0, 10.0), (4.0, 4.0)])
    assert (found["ratio"], found["lowest"], found["highest"]) == (3, 1, 5)
    assert found["peer_ms"] / found["ours_ms"] == 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: seconds(int, 0), "calls must be at least 1, got 0"),
        (lambda: compare("work", int, int, repeats=0), "repeats must be at least 1, got 0"),
        (lambda: summary("work", []), "pairs must hold at least one pair of times, got none"),
    ],
)
def test_nothing_measured_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_record_names_machine_threads_and_versions_and_no_path(tmp_path):
    written = write(tmp_path / "bench_toy.py", [{"work": "a", "ratio": 2.0}], libraries=["pandas", "not-installed"])
    record = json.loads(written.read_text(encoding="utf-8"))
    assert written.name == "bench_toy.json"
    assert record["results"] == [{"work": "a", "ratio": 2.0}]
    assert set(record["versions"]) == {"numpy", "scipy", "pandas"}
    assert record["versions"]["numpy"] == np.__version__
    assert record["machine"]["cores"] >= 1 and record["threads"] >= 1
    assert str(tmp_path) not in written.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process forget its peak")
def test_peak_memory_is_that_of_the_work():
    grown = peak_megabytes(partial(np.ones, 8 * 2**20), imports=["numpy"])
    # 8 Mi float64, and what the interpreter allocates beside; Linux counts pages up to 64 at a time late.
    assert 63 < grown < 80


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process forget its peak")
def test_work_on_a_small_problem_may_come_first(tmp_path):
    path = tmp_path / "done.npy"
    assert peak_megabytes(partial(np.load, path), first=partial(np.save, path, np.ones(3))) < 32
    assert path.exists()
