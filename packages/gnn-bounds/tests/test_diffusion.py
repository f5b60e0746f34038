import networkx as nx
import numpy as np
import pytest
import torch
from scipy import sparse

from reprise.gnn_bounds import adjacency_matrix, diffusion_matrix

GRAPH = nx.karate_club_graph()
for *_, attributes in GRAPH.edges(data=True):
    attributes.pop("weight")
A = nx.to_numpy_array(GRAPH)
D = A.sum(1)


def test_every_kind_is_its_formula():
    loops = A + np.eye(len(A))
    half = np.diag(loops.sum(1) ** -0.5)
    np.testing.assert_allclose(diffusion_matrix(GRAPH, "gcn").toarray(), half @ loops @ half, atol=1e-14)
    np.testing.assert_allclose(diffusion_matrix(GRAPH, "mean").toarray(), A / D[:, None], atol=1e-14)
    np.testing.assert_allclose(diffusion_matrix(GRAPH, "gin", epsilon=0.5).toarray(), A + 1.5 * np.eye(len(A)))
    S = A / np.sqrt(np.outer(D, D))
    series = sum(0.2 * 0.8**k * np.linalg.matrix_power(S, k) for k in range(200))
    np.testing.assert_allclose(diffusion_matrix(GRAPH, "ppr", alpha=0.2).toarray(), series, atol=1e-12)
    scaled = diffusion_matrix(GRAPH, "scaled").toarray()
    assert np.linalg.norm(scaled, 2) == pytest.approx(1.0, rel=1e-8)


@pytest.mark.parametrize(
    "form",
    [
        sparse.csr_matrix(A),
        sparse.coo_array(A),
        A.tolist(),
        A.astype(np.float16),
        A.astype(">f4")[::-1][::-1],
        torch.tensor(A),
        torch.tensor(np.stack(A.nonzero())),
        np.stack(A.nonzero()).astype(np.int32),
        GRAPH,
    ],
    ids=["csr", "coo", "lists", "float16", "big-endian", "tensor", "edge-index", "numpy-edge-index", "networkx"],
)
def test_every_form_of_a_graph_gives_the_same_matrix(form):
    np.testing.assert_array_equal(adjacency_matrix(form).toarray(), A)


def test_isolated_nodes_are_legal():
    edges = torch.tensor([[0, 1], [1, 0]])
    assert diffusion_matrix(edges, "gcn", nodes=3).toarray()[2, 2] == 1.0
    assert diffusion_matrix(edges, "mean", nodes=3).toarray()[2].sum() == 0.0
    assert diffusion_matrix(np.zeros((1, 1)), "gin").toarray().tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("graph", "options", "error", "message"),
    [
        (np.ones((2, 3)), {}, ValueError, "adjacency must be square"),
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], {}, ValueError, "adjacency must be symmetric"),
        ([[0, -1], [-1, 0]], {}, ValueError, "not negative"),
        ([[0, np.nan], [np.nan, 0]], {}, ValueError, "finite"),
        (np.zeros((0, 0)), {}, ValueError, "at least one node"),
        (nx.Graph(), {}, ValueError, "at least one node"),
        ("graph", {}, TypeError, "graph must be a matrix"),
        (None, {}, TypeError, "graph must be a matrix"),
        (np.array([[0, 5, 1], [5, 0, 1]]), {"nodes": 3}, ValueError, "edge index must lie between 0 and 2"),
        (A, {"kind": "laplacian"}, ValueError, "kind must be one of"),
        (A, {"kind": "ppr", "alpha": 0.0}, ValueError, "alpha must be larger than 0"),
        (A, {"kind": "ppr", "alpha": 1.5}, ValueError, "alpha must be at most 1"),
        (A, {"kind": "gin", "epsilon": -2}, ValueError, "epsilon must be between"),
    ],
)
def test_bad_graphs_are_refused_in_one_sentence(graph, options, error, message):
    with pytest.raises(error, match=message):
        diffusion_matrix(graph, **options)
