import numpy as np
import pytest
from sklearn.base import clone

from reprise.matrix_sensing import ConvergenceWarning, EntryMeasurements, MatrixSensing

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
    model = MatrixSensing(tolerance=1e-5).fit(vectors, np.einsum("mi,ij,mj->m", vectors, X, vectors))
    assert np.linalg.norm(model.matrix_ - X) < 0.02 * np.linalg.norm(X)
    rows, columns = np.triu_indices(15)
    seen = RNG.choice(len(rows), 90, replace=False)
    entries = EntryMeasurements(rows[seen], columns[seen], 15)
    model = MatrixSensing(tolerance=1e-5).fit(entries, X[rows[seen], columns[seen]])
    assert np.linalg.norm(model.matrix_ - X) < 0.02 * np.linalg.norm(X)


def test_single_precision_stays_single():
    X, A, y = data()
    model = MatrixSensing(tolerance=1e-6).fit(A.astype(np.float32), y.astype(np.float32))
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
        found = MatrixSensing(tolerance=0.01).fit(A, noisy)
        assert found.converged_
        errors[0.01].append(np.linalg.norm(found.matrix_ - X))
        with pytest.warns(ConvergenceWarning, match="set tolerance to the share of noise in the targets"):
            found = MatrixSensing(tolerance=1e-10).fit(A, noisy)
        assert not found.converged_
        errors[1e-10].append(np.linalg.norm(found.matrix_ - X))
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
        MatrixSensing(tolerance=0.5).fit(A, y).predict(np.ones((2, 4, 4)))


def strange(array):
    """The same numbers in forms that torch takes badly."""
    frozen = array.copy()
    frozen.setflags(write=False)
    return [
        frozen,
        np.ascontiguousarray(array[::-1])[::-1],
        array.astype(array.dtype.newbyteorder()),
        np.asfortranarray(array),
        array.tolist(),
        array.astype(np.longdouble),
    ]


def test_arrays_of_any_layout_give_the_same_matrix():
    _, A, y = data(d=6, r=1, m=40)
    expected = MatrixSensing().fit(A, y).matrix_
    for form, targets in zip(strange(A), strange(y)):
        found = MatrixSensing().fit(form, targets).matrix_
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected)


def test_half_precision_and_integers_are_computed_in_double():
    rng = np.random.default_rng(0)
    A = rng.integers(-3, 4, (60, 6, 6))
    X = np.outer([1, 2, 0, -1, 1, 3], [1, 2, 0, -1, 1, 3])
    for kind in (np.int64, np.float16, np.int8):
        model = MatrixSensing(seed=np.int64(0)).fit(A.astype(kind), np.einsum("mij,ij->m", A, X))
        assert model.matrix_.dtype == np.float64
        np.testing.assert_allclose(model.matrix_, X, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"device": "cudaa"}, ValueError, "device must be auto, cpu or cuda, got 'cudaa'"),
        ({"seed": 1.5}, TypeError, "seed must be an integer, got 1.5"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"batch": True}, TypeError, "batch must be an integer, got True"),
    ],
)
def test_bad_parameters_are_named(arguments, error, message):
    _, A, y = data(d=6, r=1, m=40)
    with pytest.raises(error, match=message):
        MatrixSensing(**arguments).fit(A, y)


@pytest.mark.parametrize("A", [["a", "b"], [[1.0], [1.0, 2.0]], np.ones((3, 2, 2), complex), None])
def test_what_is_no_array_of_numbers_is_refused(A):
    with pytest.raises(TypeError, match="A must be an array of"):
        MatrixSensing().fit(A, [1.0, 2.0, 3.0])


def test_score_asks_for_one_target_per_measurement():
    _, A, y = data(d=6, r=1, m=40)
    with pytest.raises(ValueError, match=r"y must have shape \(40,\), got \(39,\)"):
        MatrixSensing().fit(A, y).score(A, y[1:])
