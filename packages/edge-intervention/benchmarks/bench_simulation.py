"""Epidemics per second: all runs at once, against one run at a time with numpy, and against EoN on a graph."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from time import process_time

import EoN
import networkx as nx
import numpy as np

from reprise.core.ratios import compare, write
from reprise.edge_intervention import CITIES, load_edges, load_mobility, simulate_graph, simulate_metapopulation

RUNS, STEPS = 50, 100


def one_at_a_time(W, beta, N, given, runs):
    """The metapopulation model run after run, with numpy's generator."""
    generator, ends = np.random.default_rng(0), []
    transposed = W.T.tocsr()
    for _ in range(runs):
        E = generator.binomial(N, given.p0)
        S, I, R = N - E, np.zeros_like(N), np.zeros_like(N)  # noqa: E741
        for _ in range(STEPS):
            force = W @ (beta * (transposed @ (I / N)))
            new = np.minimum(generator.poisson(force * S / N) + generator.binomial(S, given.beta_base * I / N), S)
            turned, out = generator.binomial(E, 1 / 16), generator.binomial(I, 1 / 14)
            S, E, I, R = S - new, E + new - turned, I + turned - out, R + out  # noqa: E741
        ends.append(R.sum())
    return np.array(ends)


def metapopulation(folder):
    """50 runs of 100 steps of one city."""
    network, given = load_mobility(folder / "mobility" / "MI"), CITIES["MI"]
    W, beta, N = network.weekly, network.beta_poi * given.psi, network.population.astype(np.int64)

    def ours():
        return simulate_metapopulation(W, beta, N, given.beta_base, given.p0, steps=STEPS, runs=RUNS)

    def peer():
        return one_at_a_time(W, beta, N, given, RUNS)

    return compare(
        f"MI: {RUNS} runs of {STEPS} steps, against one run at a time",
        ours,
        peer,
        clock=process_time,
        repeats=3,
        our_mean=ours().mean,
        peer_mean=float(peer().mean()),
    )


def graph(folder, runs=20):
    """SIR from node to node: EoN's event-driven simulation in continuous time has the same mean periods."""
    W = load_edges(folder / "graphs" / "openflights.txt")
    nodes = W.shape[0]
    # An edge of EoN points the way of the infection: j to i where W[i, j] is the weight.
    directed = nx.from_scipy_sparse_array(W.T.tocsr(), create_using=nx.DiGraph)
    for _, _, edge in directed.edges(data=True):
        edge["rate"] = -np.log(np.clip(1 - 0.05 * edge["weight"], 1e-3, 1))

    def ours():
        return simulate_graph(W, model="sir", runs=runs, steps=50)

    def peer():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - EoN draws from the global generators
        ever = []
        for _ in range(runs):
            chosen = np.flatnonzero(np.random.random(nodes) < 0.01).tolist()  # noqa: NPY002
            _, S, _, _ = EoN.fast_SIR(directed, 1.0, 1 / 14, chosen, transmission_weight="rate", tmax=50)
            ever.append(nodes - S[-1])
        return np.array(ever)

    return compare(
        f"airports: {runs} runs of SIR, against EoN.fast_SIR",
        ours,
        peer,
        clock=process_time,
        repeats=3,
        our_ever=float(ours().ever_infected.mean()),
        peer_ever=float(peer().mean()),
    )


if __name__ == "__main__":
    folder = Path(os.environ.get("REPRISE_DATA", "")) / "edge-intervention"
    if not (folder / "mobility").is_dir():
        sys.exit("the published networks are not here: `reprise data edge-intervention` says where they are from")
    write(
        __file__,
        [graph(folder), metapopulation(folder)],
        libraries=("numba", "cvxpy", "clarabel", "networkx", "EoN", "torch"),
    )
