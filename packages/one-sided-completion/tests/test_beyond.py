"""The mixture variant, moments with noise, the Taylor series of a ratio, and the bootstrap."""

import numpy as np
import pytest

from reprise.one_sided_completion import (
    bootstrap_directions,
    hajek_moments,
    linear_mixtures,
    mixture_moment,
    noisy_mixtures,
    ratio_moments,
    release,
    sample,
    second_moment,
    sensitivity,
)


def test_the_mixture_is_found_where_each_pair_is_seldom_seen():
    M = noisy_mixtures(6000, 60, 5, seed=0)
    seen = sample(M, per_row=3, seed=1)
    truth = M.T @ M / len(M)
    found = mixture_moment(seen, 5)
    error = np.linalg.norm(found.moment.to_dense() - truth) / np.linalg.norm(truth)
    plain = np.linalg.norm(second_moment(seen).to_dense() - truth) / np.linalg.norm(truth)
    assert error < 0.05 and error < plain / 3
    # Labels agree with the profiles that made the rows, up to their names.
    clean = noisy_mixtures(6000, 60, 5, seed=0, noise=0.0)
    own = np.unique(clean[:, 0].round(9), return_inverse=True)[1]
    table = np.zeros((5, 5))
    np.add.at(table, (own, found.labels), 1)
    assert (table.max(axis=1) > 0.95 * table.sum(axis=1)).all()


def test_rows_that_show_nothing_have_no_profile():
    seen = sample(noisy_mixtures(2000, 10, 2, seed=0), p=0.2, seed=1)
    found = mixture_moment(seen, 2)
    empty = np.diff(seen.indptr) == 0
    assert empty.any() and (found.labels[empty] == -1).all() and (found.labels[~empty] >= 0).all()


def test_undersampled_mixtures_are_refused():
    seen = sample(noisy_mixtures(100, 60, 5, seed=0), per_row=2, seed=1)
    with pytest.raises(ValueError, match="with 5 profiles 1500 entries are needed, there are 200"):
        mixture_moment(seen, 5)
    with pytest.raises(ValueError, match="components must be at least 2"):
        mixture_moment(seen, 1)


def test_noise_has_the_stated_size_and_leaves_rarely_seen_pairs_out(tall):
    moment = second_moment(tall[1])
    noisy = release(moment, noise_std=2.0, seed=0)
    assert len(noisy.count) == len(moment.count)  # pairs are seen about 67 times
    np.testing.assert_allclose(np.std(noisy.count - moment.count), 2.0, rtol=0.1)
    np.testing.assert_allclose(np.std(noisy.total - moment.total), 2.0, rtol=0.1)
    rare = second_moment(tall[1][:50])
    assert len(release(rare, noise_std=2.0, seed=0).count) < len(rare.count)
    same = release(moment, noise_std=0.0, seed=0)
    np.testing.assert_array_equal(same.pair_values, moment.pair_values)


def test_sensitivity_is_what_the_most_influential_row_changes():
    """A row of C entries of size b adds 1 and b² to C (C + 1)/2 pairs."""
    moment = second_moment(sample(np.full((1, 9), 3.0), per_row=4, seed=0))
    counts, sums = sensitivity(per_row=4, bound=3.0)
    np.testing.assert_allclose([np.linalg.norm(moment.count), np.linalg.norm(moment.total)], [counts, sums])


def test_taylor_moments_of_a_ratio_agree_with_simulation():
    """A and B normal with small coefficient of variation: third-order terms are below a part in 10³."""
    generator = np.random.default_rng(0)
    b = 100 + 3 * generator.standard_normal(2_000_000)
    a = 50 + 0.7 * (b - 100) + generator.standard_normal(len(b))
    found = ratio_moments(50.0, 100.0, 0.49 * 9 + 1, 9.0, 0.7 * 9)
    np.testing.assert_allclose((a / b).mean() - 0.5, found.mean - 0.5, rtol=0.1)
    np.testing.assert_allclose((a / b).var(), found.variance, rtol=0.01)


def test_second_order_terms_of_the_estimator_cancel_and_its_variance_is_that_of_masks():
    M = np.random.default_rng(0).standard_normal((3000, 2)) + 1
    found = hajek_moments(M[:, 0], M[:, 1], p=0.3)
    np.testing.assert_allclose(found.mean, found.first_order, rtol=1e-12)
    np.testing.assert_allclose(found.mean, (M[:, 0] * M[:, 1]).mean(), rtol=1e-12)
    over_masks = [second_moment(sample(M, p=0.3, seed=seed)).to_dense()[0, 1] for seed in range(600)]
    np.testing.assert_allclose(np.var(over_masks), found.variance, rtol=0.2)  # 3.5 standard errors of a variance
    with pytest.raises(ValueError, match="mean_b must be positive"):
        ratio_moments(1.0, 0.0, 1.0, 1.0, 0.0)


def test_directions_are_surer_with_more_rows_and_their_errors_are_those_of_new_data():
    M = linear_mixtures(40_000, 15, 2, seed=0)
    truth = np.linalg.svd(M, full_matrices=False)[2][:2].T
    limits, angles = [], []
    for rows in (2000, 40_000):
        found = bootstrap_directions(sample(M[:rows], p=0.4, seed=1), rank=2, replicates=20)
        cosines = np.linalg.svd(truth.T @ found.vectors, compute_uv=False)
        angles.append(np.degrees(np.arccos(cosines.min())))
        limits.append(found.limit()[1])
    assert limits[1] < limits[0] / 2
    # The true span lies within twice the limit that 95 % of resamples keep.
    assert angles[0] < 2 * limits[0] and angles[1] < 2 * limits[1]
