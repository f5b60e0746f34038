import numpy as np
import pytest
from sklearn.base import clone

from reprise.one_sided_completion import SecondMomentCompletion, observe, sample, second_moment


def test_it_learns_moment_row_space_and_rows(tall, truth):
    M, seen = tall
    model = SecondMomentCompletion(rank=3).fit(seen)
    assert np.linalg.norm(model.moment_ - truth) < 0.1 * np.linalg.norm(truth)
    basis = model.row_space()
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-10)
    span = np.linalg.svd(M, full_matrices=False)[2][:3]
    assert np.linalg.svd(span @ basis, compute_uv=False).min() > 0.95
    rows = model.complete(sample(M[:50], p=0.8, seed=3))
    assert rows.shape == (50, 3)
    k, j = np.repeat(np.arange(50), 40), np.tile(np.arange(40), 50)
    assert np.linalg.norm(model.predict(k, j) - M[:50].ravel()) < 0.1 * np.linalg.norm(M[:50])
    np.testing.assert_allclose(model.moment_at([1, 2], [3, 4]), model.moment_[[1, 2], [3, 4]])
    assert model.converged_ and model.n_iter_ == len(model.history_) - 1


def test_ratings_and_their_moment_give_the_same_model(tall):
    _, seen = tall
    one, other = SecondMomentCompletion(rank=3).fit(seen), SecondMomentCompletion(rank=3).fit(second_moment(seen))
    np.testing.assert_array_equal(one.factor_, other.factor_)


def test_it_can_be_cloned_and_set():
    model = clone(SecondMomentCompletion(rank=4, weights="counts"))
    assert model.get_params()["weights"] == "counts" and model.set_params(rank=2).rank == 2
    with pytest.raises(ValueError, match="depth is no parameter"):
        model.set_params(depth=3)


def test_what_the_theory_does_not_cover_is_warned_of():
    M = np.ones((6, 8))
    mask = np.ones(M.shape, bool)
    mask[:, 3] = False
    with pytest.warns(UserWarning, match="rows and|hold no entry") as caught:
        model = SecondMomentCompletion(rank=1).fit(observe(M, mask))
    texts = [str(each.message) for each in caught]
    assert any("6 rows and 8 columns" in text for text in texts)
    assert any(r"1 columns hold no entry (3)" in text for text in texts)
    assert model.empty_columns_.tolist() == [3] and model.factor_[3, 0] == 0


def test_use_before_fit_and_indices_out_of_range_are_refused(tall):
    model = SecondMomentCompletion(rank=3)
    with pytest.raises(AttributeError, match="not fitted yet"):
        model.row_space()
    model.fit(tall[1])
    with pytest.raises(AttributeError, match="call complete"):
        model.predict([0], [0])
    model.complete(tall[1][:5])
    with pytest.raises(ValueError, match="rows must lie between 0 and 4"):
        model.predict([5], [0])
    with pytest.raises(ValueError, match="columns must lie between 0 and 39"):
        model.predict([0], [-1])
    with pytest.raises(TypeError, match="integers"):
        model.predict([0.5], [0])
    with pytest.raises(ValueError, match="ratings must have 40 columns"):
        model.complete(tall[1][:, :5])
