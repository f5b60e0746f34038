"""Scores from one source, once and after every update: against networkx, igraph, scikit-network and scipy."""

from __future__ import annotations

import igraph
import networkx as nx
import numpy as np
from ratios import compare, seconds, summary, write
from scipy import sparse
from sknetwork.ranking import PageRank

from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, barabasi_albert, power_iteration

NODES, EACH, SOURCE, ALPHA, EPSILON = 100_000, 8, 7, 0.15, 1e-6


def scipy_power(transposed, tolerance):
    """Iterate x ← 0.85 Pᵀ x + 0.15 e until the error is below `tolerance`."""
    restart = np.zeros(transposed.shape[0])
    restart[SOURCE] = ALPHA
    vector = restart / ALPHA
    while True:
        following = (1 - ALPHA) * (transposed @ vector) + restart
        if np.abs(following - vector).sum() * (1 - ALPHA) <= tolerance * ALPHA:
            return following
        vector = following


if __name__ == "__main__":
    edges = barabasi_albert(NODES, EACH, seed=1)
    half = len(edges) // 2
    graph = DynamicGraph.from_edges(edges, nodes=NODES)
    truth = power_iteration(graph, source=SOURCE)
    # Equal error: the peers, which know no error per degree, are asked for the largest error that ours has.
    static = DynamicPageRank(graph, source=SOURCE, epsilon=EPSILON)
    error = float(np.abs(static.scores().to_numpy() - truth).max())

    G = nx.from_edgelist(edges.tolist())
    ig = igraph.Graph(n=NODES, edges=edges.tolist())
    ones = np.ones(2 * len(edges))
    A = sparse.csr_array((ones, (edges.ravel(), edges[:, ::-1].ravel())), shape=(NODES, NODES))
    transposed = sparse.csr_array((A / A.sum(axis=1)[:, None]).T)
    steps = int(np.ceil(np.log(error) / np.log(1 - ALPHA)))
    ranker = PageRank(damping_factor=1 - ALPHA, n_iter=steps, tol=error)
    matrix = sparse.csr_matrix(A)
    peers = {
        # networkx stops when the sum of changes is below n·tol.
        "networkx": lambda: nx.pagerank(G, alpha=1 - ALPHA, personalization={SOURCE: 1.0}, tol=error / NODES),
        "igraph": lambda: ig.personalized_pagerank(damping=1 - ALPHA, reset_vertices=[SOURCE]),
        "scikit-network": lambda: ranker.fit_predict(matrix, weights={SOURCE: 1.0}),
        "scipy power iteration": lambda: scipy_power(transposed, error),
    }
    values = {"networkx": lambda found: np.array([found[v] for v in range(NODES)])}
    streamed = DynamicGraph.from_edges(edges[:half], nodes=NODES)
    streamed.reserve(len(edges))
    ranked = DynamicPageRank(streamed, source=SOURCE, epsilon=EPSILON)
    removal = np.column_stack([edges[half:], np.full(len(edges) - half, -1)])

    def stream():
        """Insert the second half of the edges, and delete it again."""
        ranked.update(edges[half:])
        ranked.update(removal)

    stream()
    update = [seconds(stream) / (2 * (len(edges) - half)) for _ in range(5)]
    results = []
    for name, peer in peers.items():
        theirs = float(np.abs(values.get(name, np.asarray)(peer()) - truth).max())
        facts = {"our_error": error, "their_error": theirs}
        once = compare(
            f"static scores from one source, against {name}",
            lambda: DynamicPageRank(graph, source=SOURCE, epsilon=EPSILON),
            peer,
            calls=3,
            repeats=3,
            **facts,
        )
        results.append(once)
        recomputed = [seconds(peer) for _ in range(3)]
        results.append(summary(f"one update, against recomputing by {name}", list(zip(update, recomputed)), **facts))
    push = [seconds(lambda: DynamicPageRank(graph, source=SOURCE, epsilon=EPSILON), 3) for _ in range(5)]
    results.append(summary("one update, against our own static push", list(zip(update, push)), our_error=error))
    write(__file__, results)
