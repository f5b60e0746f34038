import numpy as np
import pytest
from scipy import stats

from reprise.one_sided_completion import common_means, linear_mixtures, noisy_mixtures, observe, sample
from reprise.one_sided_completion.sampling import sample_positions


def test_every_subset_of_a_row_is_equally_likely():
    """Chi-square over the 10 pairs of 5 columns, 20,000 rows; p > 0.001."""
    _, columns = sample_positions(20_000, 5, per_row=2, seed=0)
    code = columns.reshape(-1, 2) @ [5, 1]
    _, counts = np.unique(code, return_counts=True)
    assert len(counts) == 10 and stats.chisquare(counts).pvalue > 1e-3


def test_uniform_entries_are_independent():
    """Counts per row binomial, and a pair shows at p²: within 4 standard deviations."""
    n, p = 50_000, 0.3
    seen = sample(np.ones((n, 6)), p=p, seed=1).toarray()
    assert abs(seen.mean() - p) < 4 * np.sqrt(p * (1 - p) / seen.size)
    both = (seen[:, 0] * seen[:, 5]).mean()
    assert abs(both - p**2) < 4 * np.sqrt(p**2 * (1 - p**2) / n)
    observed = np.bincount(seen.sum(axis=1).astype(int), minlength=7)
    assert stats.chisquare(observed, n * stats.binom.pmf(range(7), 6, p)).pvalue > 1e-3


def test_what_is_seen_are_entries_of_the_matrix():
    M = np.random.default_rng(0).standard_normal((20, 7))
    seen = sample(M, per_row=3, seed=2).tocoo()
    np.testing.assert_array_equal(seen.data, M[seen.row, seen.col])
    assert (sample(M, per_row=3, seed=2) != seen.tocsr()).nnz == 0


def test_linear_mixtures_have_rank_r_and_rows_in_the_simplex_of_orthonormal_vectors():
    M = linear_mixtures(200, 30, 4, seed=0, noise=0.0)
    singular = np.linalg.svd(M, compute_uv=False)
    assert (singular > 1e-10).sum() == 4
    # Weights sum to one, so rows have norms between 1/√r and 1.
    norms = np.linalg.norm(M, axis=1)
    assert norms.min() >= 0.5 and norms.max() <= 1


def test_noisy_mixtures_are_unit_vectors_plus_noise_of_the_stated_size():
    M = noisy_mixtures(2000, 50, 5, seed=0)
    clean = noisy_mixtures(2000, 50, 5, seed=0, noise=0.0)
    np.testing.assert_allclose(np.linalg.norm(clean, axis=1), 1.0)
    np.testing.assert_allclose((M - clean).std(), 1e-4, rtol=0.02)


def test_common_means_have_the_rank_and_nearly_one_direction():
    M = common_means(500, 100, 3, seed=0).astype(float)
    singular = np.linalg.svd(M, compute_uv=False)
    assert singular[2] > 1e3 * singular[3]
    np.testing.assert_allclose(M.mean(), 2 / 10, rtol=1e-3)
    assert singular[1] < 0.02 * singular[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample(np.ones((2, 2)), seed=0), "exactly one of p and per_row"),
        (lambda: sample(np.ones((2, 2)), p=0.1, per_row=1, seed=0), "exactly one of p and per_row"),
        (lambda: sample(np.ones((2, 2)), p=0.0, seed=0), "p must be greater than 0"),
        (lambda: sample(np.ones((2, 2)), per_row=3, seed=0), r"per_row must be between 1 and the number of columns"),
        (lambda: sample(np.ones(3), per_row=1, seed=0), "shape"),
        (lambda: sample([[np.inf]], p=0.5, seed=0), "finite"),
        (lambda: observe(np.ones((2, 2)), np.ones((2, 3), bool)), "same shape"),
        (lambda: observe([[np.nan]], [[True]]), "finite where mask is true"),
        (lambda: linear_mixtures(5, 3, 4, seed=0), r"rank must be between 1 and d \(3\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
