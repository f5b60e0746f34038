"""Spectral norms of all graphs of a set in one call, against a dense decomposition per graph; and how time grows."""

from functools import partial
from time import process_time

import networkx as nx
import numpy as np
from scipy import sparse

from reprise.core.ratios import compare, peak_megabytes, seconds, write
from reprise.gnn_bounds import diffusion_matrix, load_tu, spectral_norm, spectral_norms
from reprise.gnn_bounds.experiments.data import TU


def random_graphs(count: int, nodes: int, degree: float) -> list[sparse.csr_array]:
    """Adjacency matrices of random graphs."""
    rng = np.random.default_rng(0)
    upper = (np.triu(rng.random((nodes, nodes)) < degree / nodes, 1) for _ in range(count))
    return [diffusion_matrix((half | half.T).astype(float), "adjacency") for half in upper]


def against_dense(name: str, matrices: list[sparse.csr_array], *, repeats: int = 5, **facts: float) -> dict:
    """Both on the same matrices, which the dense peer is given dense."""
    dense = [matrix.toarray() for matrix in matrices]

    def peer() -> np.ndarray:
        return np.array([np.linalg.norm(matrix, 2) for matrix in dense])

    np.testing.assert_allclose(spectral_norms(matrices), peer(), rtol=1e-8)
    return compare(name, lambda: spectral_norms(matrices), peer, clock=process_time, repeats=repeats, **facts)


if __name__ == "__main__":
    imdb = [graph.adjacency for graph in load_tu(TU.find() / "IMDBBINARY.txt")]
    results = [
        against_dense("IMDB-B, 1000 graphs of 20 nodes, against numpy.linalg.norm(·, 2) per graph", imdb),
        against_dense(
            "5000 random graphs of 75 nodes and degree 65 (the size of COLLAB)", random_graphs(5000, 75, 65), goal=10.0
        ),
        against_dense("20 random graphs of 1000 nodes and degree 20", random_graphs(20, 1000, 20), repeats=3),
    ]
    sizes, times, memory = (12_500, 25_000, 50_000, 100_000), [], []
    for nodes in sizes:
        matrix = diffusion_matrix(nx.barabasi_albert_graph(nodes, 5, seed=0), "adjacency")
        times.append(min(seconds(lambda matrix=matrix: spectral_norm(matrix), clock=process_time) for _ in range(5)))
        memory.append(peak_megabytes(partial(spectral_norm, matrix), ("reprise.gnn_bounds.spectral",)))
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    per_edge = (memory[-1] - memory[0]) * 2**20 / (5 * (sizes[-1] - sizes[0]))
    dense = 8 * sizes[-1] ** 2 / 2**30
    print(f"Barabási–Albert, {sizes[-1]} nodes: {times[-1]:.2f} s; slope {slope:.2f} in the edges (1 expected)")
    print(
        f"  peak memory {memory[-1]:.0f} MB, {per_edge:.0f} bytes per edge; the dense matrix alone has {dense:.0f} GB"
    )
    results.append(
        {
            "work": "one Barabási–Albert graph of 100,000 nodes, 5 edges a node",
            "seconds": times[-1],
            "slope": slope,
            "peak_mb": memory[-1],
            "bytes_per_edge": per_edge,
            "dense_gb": dense,
        }
    )
    write(__file__, results, libraries=("numba", "torch"))
