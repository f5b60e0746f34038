import numpy as np
import pytest

from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank, barabasi_albert
from reprise.dynamic_pagerank.sharding import open_graph, save_graph, scores_of_many


class _Here:
    """A cluster of one process."""

    def nthreads(self):
        return {"a": 1, "b": 1}

    def submit(self, function, *arguments, pure):
        return function(*arguments)

    def gather(self, futures):
        return futures


@pytest.mark.parametrize("weighted", [False, True])
def test_a_mapped_graph_gives_the_same_scores_and_is_never_written_to(weighted, tmp_path):
    edges = barabasi_albert(200, 3, seed=1)
    graph = DynamicGraph.from_edges(edges, nodes=200, weighted=weighted)
    save_graph(graph, tmp_path)
    scores = scores_of_many(_Here(), tmp_path, [3, 9, 50], epsilon=1e-7)
    for row, source in zip(scores, (3, 9, 50)):
        np.testing.assert_array_equal(row, DynamicPageRank(graph, source=source, epsilon=1e-7).scores().to_numpy())
    open_graph(tmp_path).remove_edge(*edges[0].tolist())
    assert open_graph(tmp_path).has_edge(*edges[0].tolist())


def test_labels_that_each_process_would_copy_are_refused(tmp_path):
    with pytest.raises(ValueError, match="nodes 0…n−1 as labels"):
        save_graph(DynamicGraph.from_edges([("a", "b")]), tmp_path)
