"""Tracing 1,000 graphs of 16 nodes, beside a transcription in plain Python."""

from functools import partial
from time import process_time

import numpy as np
import plain

from reprise.algorithmic_reasoning.sampling import FAMILIES, draw
from reprise.algorithmic_reasoning.tracers import TRACERS
from reprise.core.ratios import compare, write


def run_all(function, graphs):
    """Trace every graph."""
    for A in graphs:
        function(A)


if __name__ == "__main__":
    results = []
    for name, peer in (("floyd_warshall", plain.floyd_warshall), ("bridges", plain.bridges)):
        generator = np.random.RandomState(0)
        graphs = [draw(name, generator, 16, FAMILIES[name].p)[0] for _ in range(1000)]
        ours = TRACERS[name]
        for A in graphs[:20]:
            hints, output = peer(A)
            found = ours(A)
            np.testing.assert_array_equal(next(iter(found.outputs.values())), output)
            assert len(next(iter(found.hints.values()))) == len(hints)
        results.append(
            compare(
                f"{name}, 1,000 trajectories of 16 nodes, against plain Python",
                partial(run_all, ours, graphs),
                partial(run_all, peer, graphs),
                clock=process_time,
                repeats=3,
                goal=20,
            )
        )
    write(__file__, results, libraries=("numba",))
