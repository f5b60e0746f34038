"""Spectral norms of all graphs of a set in one call, against a dense decomposition per graph; and how time grows."""

import resource
from time import process_time

import networkx as nx
import numpy as np
from scipy import sparse

from reprise.core.ratios import compare, seconds, write
from reprise.gnn_bounds import diffusion_matrix, load_tu, spectral_norm, spectral_norms
from reprise.gnn_bounds.experiments.data import TU


def random_graphs(count: int, nodes: int, degree: float) -> list[sparse.csr_array]:
    """Adjacency matrices of random graphs."""
    graphs = [nx.fast_gnp_random_graph(nodes, degree / nodes, seed=seed) for seed in range(count)]
    return [diffusion_matrix(graph, "adjacency") for graph in graphs]


def against_dense(name: str, matrices: list[sparse.csr_array]) -> dict:
    """Both on the same matrices, which the dense peer is given dense."""
    dense = [matrix.toarray() for matrix in matrices]

    def peer() -> np.ndarray:
        return np.array([np.linalg.norm(matrix, 2) for matrix in dense])

    np.testing.assert_allclose(spectral_norms(matrices), peer(), rtol=1e-8)
    return compare(name, lambda: spectral_norms(matrices), peer, clock=process_time, repeats=5)


if __name__ == "__main__":
    imdb = [graph.adjacency for graph in load_tu(TU.find() / "IMDBBINARY.txt")]
    results = [
        against_dense("IMDB-B, 1000 graphs of 20 nodes, against numpy.linalg.norm(·, 2) per graph", imdb),
        against_dense("5000 random graphs of 75 nodes and degree 65 (the size of COLLAB)", random_graphs(5000, 75, 65)),
        against_dense("20 random graphs of 1000 nodes and degree 20", random_graphs(20, 1000, 20)),
    ]
    sizes, times = (12_500, 25_000, 50_000, 100_000), []
    for nodes in sizes:
        matrix = diffusion_matrix(nx.barabasi_albert_graph(nodes, 5, seed=0), "adjacency")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times.append(min(seconds(lambda matrix=matrix: spectral_norm(matrix), clock=process_time) for _ in range(3)))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    dense_gb = 8 * sizes[-1] ** 2 / 1e9
    print(f"Barabási–Albert, {sizes[-1]} nodes: {times[-1]:.2f} s; slope {slope:.2f} in the edges (1 expected)")
    print(f"  peak memory grew by {grown:.0f} MB; the dense matrix alone would take {dense_gb:.0f} GB")
    results.append(
        {
            "work": "one Barabási–Albert graph of 100,000 nodes, 5 edges a node",
            "seconds": times[-1],
            "slope": slope,
            "grown_mb": grown,
            "dense_gb": dense_gb,
        }
    )
    write(__file__, results, libraries=("numba", "torch"))
