"""Time to the same objective: the published procedure, as described, against ours; and the whole of K-edge deletion.

The published procedure scores edges on the dense product U Σ Vᵀ, takes a full sort, and computes 27 singular value
decompositions per step for its step size. It is rewritten here from its description, with scipy.
"""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path
from time import process_time

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from reprise.core.ratios import compare, write
from reprise.edge_intervention import CITIES, frank_wolfe, k_edge_deletion, load_edges, load_mobility
from reprise.edge_intervention.step_sizes import GRID


def published(W, rank, fraction, steps):
    """Frank-Wolfe as published: dense scores, one sort, 27 decompositions per step, the rest spent at rank 1."""
    rows, columns = W.tocoo().coords
    weights, budget = W.data, fraction * W.sum()

    def dense_scores(M, k):
        u, s, vt = svds(M, k)
        return ((u * s) @ vt)[rows, columns]

    def cut(scores, base, left):
        order = np.argsort(-scores, kind="stable")
        running = np.cumsum(base[order])
        count = int(np.searchsorted(running, left, side="right"))
        data = base.copy()
        data[order[:count]] = 0
        if count < len(order):
            data[order[count]] -= left - (running[count - 1] if count else 0)
        return data

    def matrix(data):
        return sparse.csr_matrix((data, W.indices, W.indptr), shape=W.shape)

    data = weights.copy()
    for _ in range(steps):
        vertex = cut(dense_scores(matrix(data), rank), weights, budget)
        sums = [
            svds(matrix((1 - eta) * data + eta * vertex), rank, return_singular_vectors=False).sum() for eta in GRID
        ]
        eta = GRID[int(np.argmin(sums))]
        data = (1 - eta) * data + eta * vertex
    return cut(np.abs(dense_scores(matrix(data), 1)), data, budget - (weights - data).sum())


def peak(work):
    """Largest memory of arrays during a call, in MiB."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def steps_to(W, rank, fraction, target):
    """How many open-loop steps reach an objective."""
    for steps in range(2, 200):
        if frank_wolfe(W, rank=rank, steps=steps, budget_fraction=fraction, smoothing=0.0).objective <= target:
            return steps
    raise ValueError(f"no number of steps below 200 reaches the objective {target}")


def cities(folder, repeats):
    """Both ways to the objective of the published procedure, on the authors' networks."""
    for city, steps in (("WA", 5), ("MI", 3), ("CH", 2)):
        rank = CITIES[city].rank
        W = load_mobility(folder / "mobility" / city).weekly
        data = published(W, rank, 0.05, steps)
        objective = float((svds(sparse.csr_matrix((data, W.indices, W.indptr), shape=W.shape), rank)[1] ** 2).sum())
        needed = steps_to(W, rank, 0.05, objective)

        def ours(W=W, rank=rank, needed=needed):
            return frank_wolfe(W, rank=rank, steps=needed, budget_fraction=0.05, smoothing=0.0)

        def peer(W=W, rank=rank, steps=steps):
            return published(W, rank, 0.05, steps)

        def same(W=W, rank=rank, steps=steps):
            return frank_wolfe(W, rank=rank, steps=steps, budget_fraction=0.05, mode="paper")

        facts = {"city": city, "rank": rank, "objective": objective}
        memory = {"our_mib": peak(ours), "peer_mib": peak(peer)}
        yield compare(
            f"{city}: open-loop steps to the objective of {steps} published ones",
            ours,
            peer,
            clock=process_time,
            repeats=repeats,
            our_steps=needed,
            our_objective=ours().objective,
            **facts,
            **memory,
        )
        yield compare(
            f"{city}: the published {steps} steps, mode='paper'",
            same,
            peer,
            clock=process_time,
            repeats=repeats,
            our_objective=same().objective,
            **facts,
        )


def airports(folder, repeats):
    """K-edge deletion on a graph of 30,000 edges, by hand with networkx and with ours."""
    W = load_edges(folder / "graphs" / "openflights.txt")
    graph = nx.from_scipy_sparse_array(W, create_using=nx.DiGraph)

    def by_hand():
        left = nx.eigenvector_centrality(graph.reverse(copy=False), max_iter=1000, weight="weight")
        right = nx.eigenvector_centrality(graph, max_iter=1000, weight="weight")
        budget, new = 0.2 * W.sum(), graph.copy()
        ordered = sorted(graph.edges(data="weight"), key=lambda edge: -left[edge[0]] * right[edge[1]])
        for i, j, weight in ordered:
            gone = min(weight, budget)
            budget -= gone
            if gone == weight:
                new.remove_edge(i, j)
            else:
                new[i][j]["weight"] -= gone
                break
        return new

    yield compare(
        "K-edge deletion of 30,000 edges, against networkx's eigenvector centrality and a loop",
        lambda: k_edge_deletion(W, budget_fraction=0.2),
        by_hand,
        clock=process_time,
        repeats=repeats,
    )


if __name__ == "__main__":
    folder = Path(os.environ.get("REPRISE_DATA", "")) / "edge-intervention"
    if not (folder / "mobility").is_dir():
        sys.exit("the published networks are not here: `reprise data edge-intervention` says where they are from")
    write(
        __file__,
        [*airports(folder, 3), *cities(folder, 3)],
        libraries=("numba", "cvxpy", "clarabel", "networkx", "EoN", "torch"),
    )
