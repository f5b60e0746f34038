"""Synthetic graphs: the random two-block graphs of the authors' code."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reprise.gnn_bounds.graphs import Graph
from reprise.gnn_bounds.validation import whole


def two_block_graphs(count: int = 200, nodes: int = 100, *, seed: int | np.random.Generator = 0) -> list[Graph]:
    """Graphs of a stochastic block model with two blocks; the label says which edges are the more likely.

    Parameters
    ----------
    count : int
        Graphs.
    nodes : int
        n of each, half of them in each block; at least 20, so that probabilities stay below 1.
    seed : int or numpy Generator

    Returns
    -------
    list of Graph
        With the identity as features, tags 0 and 1 for the blocks, and label 1 where p_in > p_out.

    Raises
    ------
    ValueError, TypeError
        For sizes out of range or a seed that is none.

    Notes
    -----
    For each graph α is uniform on (0, 1), ``p_in = 20 α / n`` within blocks and ``p_out = 20 (1 − α) / n``
    between them.

    Examples
    --------
    >>> graphs = two_block_graphs(3, 40)
    >>> [graph.nodes for graph in graphs]
    [40, 40, 40]
    """
    count, nodes = whole("count", count), whole("nodes", nodes, least=20)
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(whole("seed", seed, least=0))
    block = (np.arange(nodes) >= (nodes + 1) // 2).astype(np.int64)
    within = block[:, None] == block[None, :]
    features = np.eye(nodes, dtype=np.float32)
    graphs = []
    for _ in range(count):
        alpha = rng.uniform()
        probability = np.where(within, 20 * alpha / nodes, 20 * (1 - alpha) / nodes)
        upper = np.triu(rng.random((nodes, nodes)) < probability, 1)
        adjacency = sparse.csr_array((upper | upper.T).astype(np.float64))
        graphs.append(Graph(adjacency, features, int(alpha > 0.5), block))
    return graphs
