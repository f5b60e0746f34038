"""The real graphs of the experiments, in the files of the SNAP collection, and how they are read as streams."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from reprise.core import DataSet, RemoteFile
from reprise.dynamic_pagerank.events import EventList
from reprise.dynamic_pagerank.snap import read_events

# Name: file, columns, whether its lines are in the order of time.
FILES = {
    "CollegeMsg": ("CollegeMsg.txt", ("u", "v", "time"), True),
    "bitcoin-otc": ("soc-sign-bitcoinotc.csv", ("u", "v", "_", "time"), True),
    "facebook": ("facebook_combined.txt", ("u", "v"), False),
    "LiveJournal": ("soc-LiveJournal1.txt.gz", ("u", "v"), False),
    "Orkut": ("com-orkut.ungraph.txt.gz", ("u", "v"), False),
    "Pokec": ("soc-pokec-relationships.txt.gz", ("u", "v"), False),
}

SMALL = DataSet(
    name="dynamic-pagerank",
    files=tuple(RemoteFile(FILES[name][0]) for name in ("CollegeMsg", "bitcoin-otc", "facebook")),
    source="snap.stanford.edu/data: CollegeMsg, soc-sign-bitcoin-otc and ego-Facebook, unpacked",
    size="3 MB",
    licence="free for research, cite their authors",
)
LARGE = DataSet(
    name="dynamic-pagerank",
    files=tuple(RemoteFile(FILES[name][0]) for name in ("LiveJournal", "Orkut", "Pokec")),
    source="snap.stanford.edu/data: soc-LiveJournal1, com-Orkut and soc-Pokec",
    size="1.1 GB",
    licence="free for research, cite their authors",
)


def read_stream(folder: Path, name: str, generator: np.random.Generator) -> EventList:
    """Return the edges of a graph in order of time, or in random order with the number of the edge as time."""
    file, columns, timed = FILES[name]
    events = read_events(folder / file, columns=columns)
    if timed:
        return _taken(events, np.argsort(events.times, kind="stable"), None)
    return _taken(events, generator.permutation(len(events)), np.arange(len(events), dtype=float))


def nodes_of(streams: Iterable[EventList]) -> Any:
    """Return the distinct labels of streams, sorted."""
    return np.unique(np.concatenate([np.concatenate([part.tails, part.heads]) for part in streams]))


def _taken(events: EventList, order: Any, times: Any) -> EventList:
    tails, heads = np.asarray(events.tails)[order], np.asarray(events.heads)[order]
    return EventList(
        tails, heads, events.signs[order], events.weights[order], events.times[order] if times is None else times
    )
