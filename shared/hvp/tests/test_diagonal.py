"""Diagonals, traces of layers, and the explanation made of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.hvp import Hessian, Matrix, diagonal, explain, layer_traces, spectral_density


@given(st.integers(1, 4), st.integers(25, 40), st.integers(0, 2**20))  # so large that signs are not dependent
@settings(max_examples=25, deadline=None)
def test_xdiag_is_exact_once_it_spans_the_matrix(symmetric, rank, size, seed):
    A = symmetric([*range(1, rank + 1), *([0.0] * (size - rank))], seed)
    estimate = diagonal(A, products=2 * rank + 2, generator=seed)
    torch.testing.assert_close(estimate.value, A.diagonal(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", ["xdiag", "hutchinson"])
def test_diagonals_are_unbiased(indefinite, method):
    generator = torch.Generator().manual_seed(1)
    operator, repeats = Matrix(indefinite), 10_000
    values = torch.stack(
        [diagonal(operator, method=method, products=8, generator=generator).value for _ in range(repeats)]
    )
    z = (values.mean(0) - indefinite.diagonal()) / (values.std(0) / math.sqrt(repeats))
    assert bool((z.abs() < 4).all())


@pytest.mark.parametrize("method", ["xdiag", "hutchinson"])
def test_diagonals_stop_at_the_requested_accuracy(symmetric, decaying, method):
    A = symmetric(decaying(200))
    seen = []
    estimate = diagonal(A, method=method, products=4000, rtol=0.3, progress=lambda done, most: seen.append(done))
    assert estimate.converged
    assert estimate.relative_error <= 0.3
    assert estimate.products == seen[-1] < 4000
    assert not diagonal(A, method=method, products=10, rtol=1e-6).converged


@pytest.mark.parametrize("method", ["xdiag", "hutchinson"])
def test_diagonal_errors_are_of_the_size_they_say(method, symmetric, decaying):
    A = symmetric(decaying(100))
    estimate = diagonal(A, method=method, products=60)
    error = (estimate.value - A.diagonal()) / estimate.stderr
    assert 0.5 < float(error.square().mean().sqrt()) < 2.0


@pytest.mark.parametrize("cross_terms", [True, False])
def test_layer_traces_are_those_of_the_blocks(make_problem, cross_terms):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    estimates = layer_traces(H, products=200, cross_terms=cross_terms)
    assert list(estimates) == ["0", "2", "4"]
    for layer, block in H.blocks().items():
        assert abs(estimates[layer].value - float(block.dense().trace())) < 5 * estimates[layer].stderr


@pytest.mark.parametrize("cross_terms", [True, False])
def test_layer_traces_stop_at_the_requested_accuracy(make_problem, cross_terms):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    estimates = layer_traces(H, products=4000, rtol=0.1, cross_terms=cross_terms)
    largest = max(abs(e.value) for e in estimates.values())
    assert all(e.converged and e.stderr <= 0.1 * largest and e.products < 4000 for e in estimates.values())
    assert not any(e.converged for e in layer_traces(H, products=8, rtol=1e-6).values())


def test_leaving_out_cross_terms_lowers_the_variance(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    joint, alone = (layer_traces(H, products=400, cross_terms=cross) for cross in (True, False))
    assert sum(e.stderr**2 for e in alone.values()) < sum(e.stderr**2 for e in joint.values())


def test_explain_shares_add_up(make_problem):
    problem = make_problem("cnn-batchnorm")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    explanation = explain(H, products=20)
    assert sum(row.trace_share for row in explanation.layers) == pytest.approx(1.0)
    assert sum(row.eigenvector_share for row in explanation.layers) == pytest.approx(1.0, abs=1e-9)
    assert [row.layer for row in explanation.layers] == ["0", "1", "5"]
    assert explanation.table().count("\n") == 4


def test_pictures_are_drawn(make_problem):
    import matplotlib as mpl

    mpl.use("Agg")
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    assert len(spectral_density(H, starts=2, steps=10).plot().lines) == 1
    assert len(explain(H, products=4).plot().patches) == 6
