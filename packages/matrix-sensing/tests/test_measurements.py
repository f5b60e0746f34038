import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reprise.matrix_sensing import (
    CallableMeasurements,
    DenseMeasurements,
    EntryMeasurements,
    GaussianMeasurements,
    RankOneMeasurements,
    SparseMeasurements,
)


def random_sparse(m, d, rng):
    return SparseMeasurements.from_scipy(sparse.random_array((m, d * d), density=0.3, rng=rng))


def as_callable(m, d, rng):
    A = torch.as_tensor(rng.standard_normal((m, d, d)))
    return CallableMeasurements(
        lambda X: torch.einsum("mij,ij->m", A, X),
        lambda w: torch.einsum("m,mij->ij", w, A),
        dimension=d,
        count=m,
    )


KINDS = {
    "dense": lambda m, d, rng: DenseMeasurements.from_matrices(rng.standard_normal((m, d, d))),
    "gaussian": lambda m, d, rng: GaussianMeasurements(
        m, d, generator=torch.Generator().manual_seed(int(rng.integers(2**31)))
    ),
    "rank one": lambda m, d, rng: RankOneMeasurements(rng.standard_normal((m, d))),
    "entries": lambda m, d, rng: EntryMeasurements(rng.integers(d, size=m), rng.integers(d, size=m), d, weight=1.5),
    "sparse": random_sparse,
    "callable": as_callable,
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@given(d=st.integers(1, 7), m=st.integers(1, 9), k=st.integers(1, 4), seed=st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def check_against_matrices(make, d, m, k, seed):
    rng = np.random.default_rng(seed)
    operator = make(m, d, rng)
    A = operator.matrices()
    factor = torch.as_tensor(rng.standard_normal((d, k)))
    X = factor @ factor.mT
    weights = torch.as_tensor(rng.standard_normal(m))
    expected = torch.einsum("mij,ij->m", A, X)
    summed = torch.einsum("m,mij->ij", weights, A)
    torch.testing.assert_close(A, A.mT)
    torch.testing.assert_close(operator.forward(factor), expected)
    torch.testing.assert_close(operator.apply(X), expected)
    torch.testing.assert_close(operator.adjoint(weights), summed)
    torch.testing.assert_close(operator.square_sum(), (A @ A).sum(0))
    torch.testing.assert_close(operator.traces(), A.diagonal(dim1=1, dim2=2).sum(1))
    predictions, product = operator.pullback(factor, lambda p: p * weights)
    torch.testing.assert_close(predictions, expected)
    torch.testing.assert_close(product, torch.einsum("m,mij,jk->ik", expected * weights, A, factor))


def test_every_operation_equals_that_of_the_matrices_formed_in_full(kind):
    check_against_matrices(kind)


def test_a_batch_of_factors_is_measured_one_by_one(kind):
    rng = np.random.default_rng(3)
    operator = kind(6, 4, rng)
    factors = torch.as_tensor(rng.standard_normal((3, 4, 2)))
    weights = torch.as_tensor(rng.standard_normal((3, 6)))
    torch.testing.assert_close(operator.forward(factors), torch.stack([operator.forward(U) for U in factors]))
    torch.testing.assert_close(operator.adjoint(weights), torch.stack([operator.adjoint(w) for w in weights]))
    _, product = operator.pullback(factors, lambda p: p - 1)
    torch.testing.assert_close(product, torch.stack([operator.pullback(U, lambda p: p - 1)[1] for U in factors]))


def test_adjoint_is_the_transpose_of_apply(kind):
    rng = np.random.default_rng(4)
    operator = kind(8, 5, rng)
    X = torch.as_tensor(rng.standard_normal((5, 5)))
    X = X + X.mT
    w = torch.as_tensor(rng.standard_normal(8))
    torch.testing.assert_close(operator.apply(X) @ w, (X * operator.adjoint(w)).sum())


def test_selected_rows_are_those_of_the_whole(kind):
    rng = np.random.default_rng(5)
    operator = kind(7, 4, rng)
    rows = torch.tensor([5, 0, 3])
    if isinstance(operator, CallableMeasurements):
        with pytest.raises(TypeError, match="mini-batches"):
            operator.select(rows)
        return
    torch.testing.assert_close(operator.select(rows).matrices(), operator.matrices()[rows])


@pytest.mark.parametrize("name", ["gaussian", "rank one"])
def test_a_stack_measures_each_matrix_by_its_own_operator(name):
    rng = np.random.default_rng(6)
    operators = [KINDS[name](6, 4, rng) for _ in range(3)]
    stacked = type(operators[0]).stack(operators)
    factors = torch.as_tensor(rng.standard_normal((3, 4, 2)))
    weights = torch.as_tensor(rng.standard_normal((3, 6)))
    each = list(zip(operators, factors, weights))
    torch.testing.assert_close(stacked.forward(factors), torch.stack([A.forward(U) for A, U, _ in each]))
    torch.testing.assert_close(stacked.adjoint(weights), torch.stack([A.adjoint(w) for A, _, w in each]))
    torch.testing.assert_close(stacked.square_sum(), torch.stack([A.square_sum() for A in operators]))
    torch.testing.assert_close(stacked.item(1).matrices(), operators[1].matrices())


def test_gaussian_measurements_are_an_isometry_on_average():
    # (1/m) Σ ⟨A, X⟩² has relative standard deviation √(2/m): 0.7 % here, and the tolerance is five of them.
    operator = GaussianMeasurements(40_000, 6, generator=torch.Generator().manual_seed(0))
    X = torch.diag(torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0, 3.0], dtype=torch.float64))
    X[0, 1] = X[1, 0] = 0.7
    assert operator.apply(X).square().mean() == pytest.approx(float(X.square().sum()), rel=0.035)


def test_precision_follows_to(kind):
    operator = kind(5, 3, np.random.default_rng(7))
    if isinstance(operator, CallableMeasurements):
        assert operator.to(dtype=torch.float64) is operator
        with pytest.raises(TypeError, match="precision"):
            operator.to(dtype=torch.float32)
        return
    single = operator.to(dtype=torch.float32)
    assert single.forward(torch.ones(3, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DenseMeasurements.from_matrices(np.zeros((3, 2, 4))),
            r"A must have shape \(m, d, d\), got \(3, 2, 4\)",
        ),
        (lambda: DenseMeasurements.from_matrices(np.full((1, 2, 2), np.nan)), "A must be finite, got 4 NaN"),
        (lambda: DenseMeasurements(torch.zeros(3, 4), 2), "packed must have 3 columns for dimension 2, got 4"),
        (lambda: RankOneMeasurements(np.zeros(3)), r"vectors must have shape \(m, d\), got \(3,\)"),
        (lambda: EntryMeasurements([0, 5], [0, 1], 3), r"rows must lie between 0 and dimension - 1 \(2\), got 0 to 5"),
        (lambda: EntryMeasurements([0], [0, 1], 3), "rows and columns must have one length, got 1 and 2"),
        (lambda: SparseMeasurements.from_scipy(sparse.random_array((2, 5))), "A must have d² columns"),
        (
            lambda: SparseMeasurements([0], [0], [3], [1.0], count=1, dimension=2),
            "columns must lie between 0 and 1, got 3 to 3",
        ),
        (
            lambda: CallableMeasurements(lambda X: X[0], lambda w: torch.outer(w, w), dimension=3, count=3),
            "adjoint must be the transpose of apply",
        ),
        (
            lambda: CallableMeasurements(lambda X: X[0], lambda w: w, dimension=3, count=4),
            r"apply must return shape \(4,\), got \(3,\)",
        ),
    ],
)
def test_bad_measurements_are_refused_with_the_reason(make, message):
    with pytest.raises(ValueError, match=message):
        make()
