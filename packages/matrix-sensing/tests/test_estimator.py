import numpy as np
import pytest
from sklearn.base import clone

from reprise.matrix_sensing import EntryMeasurements, MatrixSensing

RNG = np.random.default_rng(0)


def data(d=15, r=2, m=150, size=1.0):
    rng = np.random.default_rng(1)
    U = rng.standard_normal((d, r))
    X, A = size * U @ U.T, rng.standard_normal((m, d, d))
    return X, A, np.einsum("mij,ij->m", A, X)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_it_recovers_matrices_of_any_size_without_tuning(size):
    X, A, y = data(size=size)
    model = MatrixSensing().fit(A, y)
    assert np.linalg.norm(model.matrix_ - X) < 1e-3 * np.linalg.norm(X)
    assert model.rank_ == 2
    np.testing.assert_allclose(model.factor_ @ model.factor_.T, model.matrix_, atol=1e-12 * size)


def test_measurements_of_any_size_do_as_well():
    X, A, y = data()
    model = MatrixSensing().fit(1e-3 * A, 1e-3 * y)
    assert np.linalg.norm(model.matrix_ - X) < 1e-3 * np.linalg.norm(X)


def test_it_recovers_from_vectors_and_from_entries():
    X, _, _ = data()
    vectors = RNG.standard_normal((250, 15))
    model = MatrixSensing().fit(vectors, np.einsum("mi,ij,mj->m", vectors, X, vectors))
    assert np.linalg.norm(model.matrix_ - X) < 0.02 * np.linalg.norm(X)
    rows, columns = np.triu_indices(15)
    seen = RNG.choice(len(rows), 90, replace=False)
    entries = EntryMeasurements(rows[seen], columns[seen], 15)
    model = MatrixSensing().fit(entries, X[rows[seen], columns[seen]])
    assert np.linalg.norm(model.matrix_ - X) < 0.02 * np.linalg.norm(X)


def test_single_precision_stays_single():
    X, A, y = data()
    model = MatrixSensing().fit(A.astype(np.float32), y.astype(np.float32))
    assert model.matrix_.dtype == np.float32
    assert np.linalg.norm(model.matrix_ - X) < 0.02 * np.linalg.norm(X)


def test_predict_and_score_on_new_measurements():
    _, A, y = data()
    model = MatrixSensing().fit(A[:120], y[:120])
    np.testing.assert_allclose(model.predict(A[120:]), y[120:], atol=0.01 * np.abs(y).max())
    assert model.score(A[120:], y[120:]) > 0.999
    assert model.score(A[120:], np.roll(y[120:], 1)) < 0.5


def test_noise_is_not_fitted_when_the_tolerance_says_how_much_there_is():
    X, A, y = data(m=90)
    errors = {0.01: [], 1e-10: []}
    for draw in range(4):
        noisy = y + 0.1 * y.std() * np.random.default_rng(draw).standard_normal(len(y))
        for tolerance, found in errors.items():
            found.append(np.linalg.norm(MatrixSensing(tolerance=tolerance).fit(A, noisy).matrix_ - X))
    assert np.mean(errors[0.01]) < np.mean(errors[1e-10])


def test_it_is_a_scikit_learn_estimator():
    model = MatrixSensing(steps=7, scale=1e-2)
    copy = clone(model)
    assert copy.get_params() == model.get_params() and copy is not model
    assert copy.set_params(steps=9).steps == 9
    with pytest.raises(ValueError, match="depth is no parameter of MatrixSensing"):
        model.set_params(depth=3)


def test_an_automatic_step_that_diverges_is_cut_and_a_given_one_is_not(monkeypatch):
    X, A, y = data()
    monkeypatch.setattr("reprise.matrix_sensing.estimator.safe_step", lambda *_: 2.0)
    model = MatrixSensing().fit(A, y)
    assert model.path_.step < 2.0 and np.linalg.norm(model.matrix_ - X) < 1e-2 * np.linalg.norm(X)
    with pytest.raises(ValueError, match="step is too large"):
        MatrixSensing(step=2.0).fit(A, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MatrixSensing(scale="tiny"), "scale must be 'auto' or a number, got 'tiny'"),
        (MatrixSensing(step="small"), "step must be 'auto' or a number, got 'small'"),
        (MatrixSensing(scale=-1.0), "scale must be greater than 0"),
    ],
)
def test_bad_parameters_are_refused_at_fit(model, message):
    _, A, y = data()
    with pytest.raises(ValueError, match=message):
        model.fit(A, y)


def test_predicting_needs_a_fit_of_that_dimension():
    _, A, y = data()
    with pytest.raises(AttributeError, match="not fitted yet"):
        MatrixSensing().predict(A)
    with pytest.raises(ValueError, match="A must measure matrices of dimension 15, got 4"):
        MatrixSensing(steps=10).fit(A, y).predict(np.ones((2, 4, 4)))
