"""One step of Frank-Wolfe, gradient and oracle, up to ten million edges: exponents of time and memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from scipy import stats

from reprise.core.ratios import write
from reprise.edge_intervention.knapsack import FeasibleSet
from reprise.edge_intervention.objectives import SpectralObjective
from reprise.edge_intervention.synthetic import power_law_graph
from reprise.edge_intervention.weights import as_weights

SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)


def step(W, region):
    """One gradient and one oracle at rank 5; CPU seconds of each."""
    begin = time.process_time()
    gradient = SpectralObjective(5).linearise(W, 0).gradient
    middle = time.process_time()
    region.minimiser(gradient)
    return middle - begin, time.process_time() - middle


if __name__ == "__main__":
    step(as_weights(np.eye(3)), FeasibleSet(as_weights(np.eye(3)), 1.0, None))
    results = []
    for size in SIZES:
        W = as_weights(power_law_graph(size, seed=0))
        region = FeasibleSet(W, None, 0.05)
        times = np.array([step(W, region) for _ in range(3)])
        tracemalloc.start()
        step(W, region)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gradient, oracle = np.median(times, axis=0)
        results.append(
            {
                "work": f"one step, {size:,} edges drawn",
                "edges": W.nnz,
                "gradient_seconds": float(gradient),
                "oracle_seconds": float(oracle),
                "seconds": float(gradient + oracle),
                "lowest_seconds": float(times.sum(axis=1).min()),
                "highest_seconds": float(times.sum(axis=1).max()),
                "bytes_per_edge": peak / W.nnz,
            }
        )
        print(f"{W.nnz:>11,} edges: {gradient + oracle:.3g} s, {peak / W.nnz:.0f} bytes an edge", flush=True)
    measured = tuple(results)
    edges = np.log([row["edges"] for row in measured])
    for name in ("seconds", "gradient_seconds", "oracle_seconds"):
        fit = stats.linregress(edges, np.log([row[name] for row in measured]))
        results.append({"work": f"exponent of {name} in the edges", "slope": fit.slope, "standard_error": fit.stderr})
        print(f"{name}: exponent {fit.slope:.3f} ± {fit.stderr:.3f}", flush=True)
    write(__file__, results, libraries=("numba", "cvxpy", "clarabel", "networkx", "EoN", "torch"))
