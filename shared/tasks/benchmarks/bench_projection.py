"""Memory and time to project gradients of p = 500 000 entries to d = 400: block by block, and with the dense matrix.

Each runs in a fresh process, whose peak resident memory is read before and after; the input is there before.
"""

from __future__ import annotations

import multiprocessing
import resource
import time

import torch
from record import record, spread

from reprise.tasks import RandomProjection

ROWS, DIM, VECTORS, REPEATS = 500_000, 400, 16, 3


def work(dense: bool) -> tuple[float, float]:
    """Return growth of peak memory in MiB and seconds."""
    torch.set_num_threads(1)
    vectors = torch.ones(VECTORS, ROWS)
    projection = RandomProjection(ROWS, DIM, seed=0)
    projection.project(vectors[:, :1000])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if dense:
        matrix = (torch.randint(0, 2, (ROWS, DIM), dtype=torch.float32) * 2 - 1) / DIM**0.5
        _ = vectors @ matrix
    else:
        projection.project(vectors)
    seconds = time.perf_counter() - start
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, seconds


def main() -> None:
    """Measure both in turn."""
    context = multiprocessing.get_context("spawn")
    memory: dict[bool, list[float]] = {True: [], False: []}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPEATS):
        for dense in (False, True):
            with context.Pool(1) as pool:
                grown, taken = pool.apply(work, (dense,))
            memory[dense].append(grown)
            seconds[dense].append(taken)
    record(
        "bench_projection",
        {
            "setting": {"parameters": ROWS, "dim": DIM, "vectors": VECTORS, "dense_matrix_mib": ROWS * DIM * 4 / 2**20},
            "ours_peak_mib": spread(memory[False]),
            "dense_peak_mib": spread(memory[True]),
            "memory_ratio": spread([dense / max(ours, 1e-3) for ours, dense in zip(memory[False], memory[True])]),
            "seconds_ratio_dense_to_ours": spread([d / o for o, d in zip(seconds[False], seconds[True])]),
        },
    )


if __name__ == "__main__":
    main()
