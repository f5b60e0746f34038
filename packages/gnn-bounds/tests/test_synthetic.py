import numpy as np
import pytest

from reprise.gnn_bounds import two_block_graphs


def test_edges_within_and_between_blocks_have_their_probabilities():
    graphs = two_block_graphs(300, 60, seed=1)
    within = np.array([_share(graph, True) for graph in graphs])
    between = np.array([_share(graph, False) for graph in graphs])
    # p_in + p_out = 20/n whatever α is; the mean over 300 graphs of 60 nodes has a standard error of 0.001
    assert (within + between).mean() == pytest.approx(20 / 60, abs=0.005)
    assert within.mean() == pytest.approx(10 / 60, abs=4 * (20 / 60) / np.sqrt(12 * 300))
    labels = np.array([graph.label for graph in graphs])
    clear = np.abs(within - between) > 0.1
    np.testing.assert_array_equal(labels[clear], (within > between)[clear].astype(int))
    assert (graphs[0].features == np.eye(60)).all() and (graphs[0].adjacency != graphs[0].adjacency.T).nnz == 0


def _share(graph, same):
    blocks = graph.tags[:, None] == graph.tags[None, :]
    pairs = np.triu(blocks == same, 1)
    return graph.adjacency.toarray()[pairs].mean()


def test_the_same_seed_gives_the_same_graphs():
    first, second = (two_block_graphs(2, 30, seed=np.int64(3)) for _ in range(2))
    assert all((a.adjacency != b.adjacency).nnz == 0 for a, b in zip(first, second))
    assert two_block_graphs(1, seed=np.random.default_rng(0))[0].nodes == 100


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 0}, ValueError, "count must be at least 1"),
        ({"nodes": 10}, ValueError, "nodes must be at least 20"),
        ({"seed": True}, TypeError, "seed must be a whole number"),
        ({"seed": "a"}, TypeError, "seed must be a whole number"),
    ],
)
def test_bad_sizes_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        two_block_graphs(**options)
