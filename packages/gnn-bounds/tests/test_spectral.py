import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reprise.gnn_bounds import diffusion_matrix, spectral_norm, spectral_norms
from reprise.gnn_bounds.batch import stack

CLOSED_FORMS = {
    "complete": (nx.complete_graph(9), 8.0),
    "even cycle": (nx.cycle_graph(12), 2.0),
    "odd cycle": (nx.cycle_graph(13), 2.0),
    "long cycle": (nx.cycle_graph(3000), 2.0),
    "star": (nx.star_graph(30), np.sqrt(30)),
    "bipartite": (nx.complete_bipartite_graph(4, 9), 6.0),
    "regular": (nx.random_regular_graph(6, 40, seed=0), 6.0),
    "path": (nx.path_graph(400), 2 * np.cos(np.pi / 401)),
    "disjoint union": (nx.disjoint_union(nx.star_graph(9), nx.complete_graph(3)), 3.0),
    "single node": (nx.empty_graph(1), 0.0),
    "no edges": (nx.empty_graph(5), 0.0),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_norms_equal_their_closed_forms(name):
    graph, expected = CLOSED_FORMS[name]
    assert spectral_norm(diffusion_matrix(graph, "adjacency")) == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert spectral_norm(diffusion_matrix(graph, "gin", epsilon=0.3)) == pytest.approx(expected + 1.3, rel=1e-8)
    if len(graph) <= 400:
        assert spectral_norm(diffusion_matrix(graph, "gcn")) == pytest.approx(1.0, rel=1e-8)


def test_the_mean_of_neighbours_has_norm_root_m_on_a_star_and_one_on_a_regular_graph():
    assert spectral_norm(diffusion_matrix(nx.star_graph(49), "mean")) == pytest.approx(7.0, rel=1e-8)
    assert spectral_norm(diffusion_matrix(nx.cycle_graph(10), "mean")) == pytest.approx(1.0, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.floats(0, 0.6), st.sampled_from(["adjacency", "gcn", "mean", "gin"])),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 10**6),
)
def test_all_norms_of_a_batch_agree_with_dense_decompositions(kinds, seed):
    rng = np.random.default_rng(seed)
    matrices = []
    for size, density, kind in kinds:
        upper = np.triu(rng.random((size, size)) < density, 1)
        matrices.append(diffusion_matrix((upper | upper.T).astype(float), kind))
    expected = [np.linalg.norm(matrix.toarray(), 2) for matrix in matrices]
    np.testing.assert_allclose(spectral_norms(matrices), expected, rtol=1e-8, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10**6), st.booleans())
def test_signed_and_asymmetric_matrices_agree_too(size, seed, symmetric):
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    matrix = matrix + matrix.T if symmetric else matrix
    assert spectral_norm(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-8)


def test_nearly_degenerate_norms_are_found():
    blocks = [nx.to_scipy_sparse_array(nx.complete_graph(20), dtype=float)] * 2
    pair = stack([sparse.csr_array(block) for block in blocks])
    pair = sparse.csr_array(pair + 1e-6 * sparse.eye_array(40) * (np.arange(40) < 20))
    assert spectral_norm(pair) == pytest.approx(19 + 1e-6, rel=1e-9)


def test_two_eigenvalues_that_nearly_agree_are_told_apart():
    # signed and symmetric: ‖P‖ and the other end of the spectrum differ by far less than their distance to the rest
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))[0]
    for distance in (1e-3, 1e-5, 1e-7):
        ends = np.concatenate([[1 + distance, -1.0], np.linspace(-0.9, 0.9, 58)])
        matrix = (basis * ends) @ basis.T
        assert spectral_norm((matrix + matrix.T) / 2) == pytest.approx(1 + distance, rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10**6))
def test_weighted_graphs_agree_with_dense_decompositions(size, seed):
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.exponential(size=(size, size)) * (rng.random((size, size)) < 0.1), 1)
    for matrix in (weights + weights.T, weights):
        assert spectral_norm(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-8)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_entries_whose_squares_leave_float64_are_no_matter(scale):
    star = nx.to_numpy_array(nx.star_graph(9)) * scale
    assert spectral_norm(star) / scale == pytest.approx(3.0, rel=1e-8)


def test_a_matrix_is_taken_in_any_form_and_left_as_it_was():
    matrix = sparse.csr_array((np.ones(4), [1, 0, 0, 1], [0, 2, 4]), shape=(2, 2))  # unsorted
    before = matrix.indices.copy()
    matrix.data.flags.writeable = False
    forms = [matrix, matrix.toarray().astype(">f4")[::-1], matrix.toarray().astype(int).tolist(), matrix.tocoo()]
    np.testing.assert_allclose(spectral_norms(forms), 2.0)
    np.testing.assert_array_equal(matrix.indices, before)


@pytest.mark.parametrize(
    ("matrices", "error", "message"),
    [
        ([], ValueError, "at least one matrix"),
        ([np.ones((2, 3))], ValueError, r"matrices\[0\] must be square"),
        ([np.eye(2), np.full((2, 2), np.inf)], ValueError, "finite"),
        (["a"], TypeError, r"matrices\[0\] must be a matrix"),
        ([np.eye(2) * 1j], TypeError, r"matrices\[0\] must be a matrix"),
    ],
)
def test_bad_matrices_are_refused(matrices, error, message):
    with pytest.raises(error, match=message):
        spectral_norms(matrices)


def test_a_tolerance_must_be_positive():
    with pytest.raises(ValueError, match="tol must be larger than 0"):
        spectral_norm(np.eye(2), tol=0)
