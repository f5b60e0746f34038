import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reprise.one_sided_completion import observe, pairs, sample, second_moment, second_moment_from
from reprise.one_sided_completion.moment import SecondMoment


def brute_force(values, mask):
    """The estimate, the counts and the sums of squares by three loops over the definition."""
    n, d = values.shape
    total, count, square = np.zeros((3, d, d))
    for k in range(n):
        for i in range(d):
            for j in range(d):
                if mask[k, i] and mask[k, j]:
                    count[i, j] += 1
                    total[i, j] += values[k, i] * values[k, j]
                    square[i, j] += (values[k, i] * values[k, j]) ** 2
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, 0.0), count, square


small = st.tuples(st.integers(1, 12), st.integers(1, 7), st.integers(0, 2**31), st.floats(0.05, 1.0))


def draw(n, d, seed, share):
    generator = np.random.default_rng(seed)
    # Few different integers: zeros are among what is seen.
    return generator.integers(-2, 3, (n, d)).astype(float), generator.random((n, d)) < share


@given(small)
@settings(max_examples=60, deadline=None)
def test_estimate_and_counts_equal_brute_force(sizes):
    values, mask = draw(*sizes)
    moment = second_moment(observe(values, mask))
    estimate, count, square = brute_force(values, mask)
    np.testing.assert_allclose(moment.to_dense(), estimate, atol=1e-12)
    np.testing.assert_array_equal(moment.counts.toarray(), count)
    np.testing.assert_allclose(moment.symmetric(moment.square).toarray(), square, atol=1e-12)


@given(small)
@settings(max_examples=30, deadline=None)
def test_all_ways_over_the_pairs_give_the_same_sums(sizes):
    n, d, seed, share = sizes
    values, mask = draw(n, d, seed, share)
    ratings = observe(values, mask)
    by_rows = pairs._compress(pairs._add_rows(ratings.indptr, ratings.indices, ratings.data, d), d)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "DENSE_DIMENSION", 0)
        by_columns = pairs.pair_sums(ratings)
        patch.setattr(pairs, "LARGE", 0)
        counted_first = pairs.pair_sums(ratings)
    for one, other, third in zip(by_rows, by_columns, counted_first):
        np.testing.assert_allclose(one, other, atol=1e-12)
        np.testing.assert_array_equal(other, third)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**31))
def test_few_of_many_columns_are_found_and_sorted(n, seed):
    """Rows of two or three of 300 columns: most columns are walked twice, instead of scanned."""
    ratings = sample(np.random.default_rng(seed).standard_normal((n, 300)), per_row=3, seed=seed)
    moment = second_moment(ratings)
    dense, mask = ratings.toarray(), ratings.toarray() != 0
    np.testing.assert_array_equal(moment.counts.toarray(), mask.T.astype(float) @ mask)
    np.testing.assert_allclose(moment.symmetric(moment.total).toarray(), dense.T @ dense, atol=1e-12)


@given(small, st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_moments_of_two_halves_add_up(sizes, cut):
    values, mask = draw(*sizes)
    cut = min(cut, len(values) - 1)
    ratings = observe(values, mask)
    whole = second_moment(ratings)
    blocks = [ratings[:cut], ratings[cut:]] if cut else [ratings]
    for parts in (blocks, blocks[::-1]):
        added = second_moment_from(parts)
        assert added.rows == whole.rows
        np.testing.assert_array_equal(added.indices, whole.indices)
        np.testing.assert_allclose(added.total, whole.total, atol=1e-12)
        np.testing.assert_array_equal(added.count, whole.count)
        np.testing.assert_allclose(added.square, whole.square, atol=1e-12)


@given(small, st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_does_not_matter_and_columns_permute_along(sizes, seed):
    values, mask = draw(*sizes)
    generator = np.random.default_rng(seed)
    rows, columns = generator.permutation(len(values)), generator.permutation(values.shape[1])
    one = second_moment(observe(values, mask)).to_dense()
    other = second_moment(observe(values[rows][:, columns], mask[rows][:, columns])).to_dense()
    np.testing.assert_allclose(one[np.ix_(columns, columns)], other, atol=1e-12)


@given(small, st.floats(-3, 3).filter(lambda c: abs(c) > 1e-3))
@settings(max_examples=40, deadline=None)
def test_scaled_ratings_scale_the_moment_by_the_square(sizes, factor):
    values, mask = draw(*sizes)
    one = second_moment(observe(values, mask))
    other = second_moment(observe(factor * values, mask))
    np.testing.assert_allclose(other.to_dense(), factor**2 * one.to_dense(), atol=1e-9)


def test_with_everything_seen_it_is_the_exact_moment():
    M = np.random.default_rng(0).standard_normal((30, 6))
    full = observe(M, np.ones(M.shape, bool))
    for moment in (second_moment(full), second_moment(full, estimator="horvitz-thompson", p=1.0)):
        np.testing.assert_allclose(moment.to_dense(), M.T @ M / 30, atol=1e-12)
        assert moment.seen_fraction == 1.0


@pytest.mark.parametrize("how", [{"p": 0.1}, {"p": 0.4}, {"per_row": 3}])
def test_hajek_is_unbiased_over_masks(how):
    """The mean over masks of what a pair shows, given that it is seen, is T_ij: within 4.5 errors for all pairs.

    With 400 masks and 55 pairs a true estimator fails this with chance 55 · 7e-6 < 1e-3 (and the seed is fixed).
    """
    M = np.random.default_rng(3).standard_normal((60, 10)) + 0.5
    truth = M.T @ M / len(M)
    runs = [second_moment(sample(M, seed=seed, **how)).to_dense(missing=np.nan) for seed in range(400)]
    seen = np.array(runs)
    mean, error = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0, ddof=1) / np.sqrt((~np.isnan(seen)).sum(axis=0))
    assert (np.abs(mean - truth) < 4.5 * error).all()


def test_horvitz_thompson_is_unbiased_over_uniform_masks_and_its_error_is_larger():
    M = np.random.default_rng(3).standard_normal((60, 10)) + 2.0
    truth = M.T @ M / len(M)
    moments = [second_moment(sample(M, p=0.3, seed=seed)) for seed in range(400)]
    other = [each.with_estimator("horvitz-thompson", p=0.3).to_dense() for each in moments]
    mean, spread = np.mean(other, axis=0), np.std(other, axis=0, ddof=1)
    assert (np.abs(mean - truth) < 4.5 * spread / 20).all()
    own = np.std([each.to_dense() for each in moments], axis=0)
    assert (own < spread)[~np.eye(10, dtype=bool)].all()


@pytest.mark.parametrize("estimator", ["hajek", "horvitz-thompson"])
def test_standard_errors_are_the_spread_over_masks(estimator):
    """Mean variance of the pairs within 10 %, of 300 masks; p² = 0.01 of the rows shows a pair: all but independent."""
    M = np.random.default_rng(4).standard_normal((4000, 6)) + 1.0
    moments = [second_moment(sample(M, p=0.1, seed=seed)).with_estimator(estimator, p=0.1) for seed in range(300)]
    spread = np.var([each.to_dense() for each in moments], axis=0, ddof=1)
    claimed = np.mean([each.standard_error().toarray() ** 2 for each in moments], axis=0)
    np.testing.assert_allclose((claimed / spread)[~np.eye(6, dtype=bool)].mean(), 1.0, atol=0.1)


def test_one_row_says_nothing_of_the_spread():
    moment = second_moment(observe([[1.0, 2.0]], [[True, True]]))
    assert np.isinf(moment.standard_error().toarray()).all()


def test_an_observed_zero_is_not_missing():
    moment = second_moment(observe([[0.0, 3.0], [0.0, 0.0]], [[True, True], [True, False]]))
    np.testing.assert_array_equal(moment.counts.toarray(), [[2, 1], [1, 1]])
    assert moment.values.nnz == 4 and moment.to_dense()[0, 1] == 0.0


def test_large_moments_are_not_made_dense_by_accident():
    moment = second_moment(sparse.csr_array(([1.0], ([0], [5001])), shape=(2, 5002)))
    with pytest.raises(ValueError, match="allow_large"):
        moment.to_dense()
    assert moment.to_dense(allow_large=True).shape == (5002, 5002)
    assert len(moment.empty_columns) == 5001


@pytest.mark.parametrize(
    ("ratings", "error", "message"),
    [
        (np.ones((3, 2)), TypeError, "observe"),
        (sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2)), ValueError, r"repeated: \(0, 1\)"),
        (sparse.csr_array(([1.0, 2.0], [1, 1], [0, 0, 2]), shape=(2, 2)), ValueError, r"repeated: \(1, 1\)"),
        (sparse.csr_array([[np.nan, 1.0]]), ValueError, "1 NaN or infinite"),
        (sparse.csr_array([[1j, 1.0]]), TypeError, "real"),
        (sparse.csr_array((0, 3)), ValueError, "none of them 0"),
    ],
)
def test_bad_ratings_are_refused(ratings, error, message):
    with pytest.raises(error, match=message):
        second_moment(ratings)


def test_neighbouring_rows_may_end_and_begin_with_one_column():
    assert second_moment(sparse.csr_array(([1.0, 2.0], [1, 1], [0, 1, 2]), shape=(2, 2))).count.tolist() == [2.0]


def test_bad_options_are_refused():
    one = second_moment(observe([[1.0, 2.0]], [[True, True]]))
    with pytest.raises(ValueError, match="p must be given"):
        one.with_estimator("horvitz-thompson")
    with pytest.raises(ValueError, match="p must be greater than 0 and at most 1"):
        one.with_estimator("horvitz-thompson", p=1.5)
    with pytest.raises(ValueError, match="estimator must be one of"):
        one.with_estimator("mean")
    with pytest.raises(ValueError, match="2 columns, hajek"):
        one + second_moment(observe([[1.0]], [[True]]))
    with pytest.raises(ValueError, match="at least one block"):
        second_moment_from([])
    assert isinstance(one + one, SecondMoment)
