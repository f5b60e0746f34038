"""Tracing 1,000 graphs of 16 nodes, beside a transcription in plain Python."""

from functools import partial
from time import process_time

import numpy as np
import plain

from reprise.algorithmic_reasoning.sampling import FAMILIES, draw
from reprise.algorithmic_reasoning.tracers import trace_all
from reprise.core.ratios import compare, write


def run_all(function, graphs):
    """Trace every graph."""
    for A in graphs:
        function(A)


def run_together(name, graphs):
    """Trace every graph, as `sample` does."""
    return trace_all(name, graphs, [None] * len(graphs))


if __name__ == "__main__":
    results = []
    for name, peer in (("floyd_warshall", plain.floyd_warshall), ("bridges", plain.bridges)):
        generator = np.random.RandomState(0)
        graphs = [draw(name, generator, 16, FAMILIES[name].p)[0] for _ in range(1000)]
        found = run_together(name, graphs)[0]
        outputs = next(iter(found.outputs.values()))
        for A, given, length in zip(graphs[:20], outputs, found.lengths):
            hints, output = peer(A)
            np.testing.assert_array_equal(given, output)
            assert length == len(hints)
        results.append(
            compare(
                f"{name}, 1,000 trajectories of 16 nodes, against plain Python",
                partial(run_together, name, graphs),
                partial(run_all, peer, graphs),
                clock=process_time,
                repeats=5,
                goal=20,
            )
        )
    write(__file__, results, libraries=("numba",))
