"""Spectral densities and positive parts against dense matrices."""

import math

import pytest
import torch

from reprise.hvp import Matrix, quadratic_positive, spectral_density


def test_quadrature_is_exact_for_polynomials(symmetric):
    A = symmetric(torch.linspace(-1, 1, 30))
    density = spectral_density(A, starts=3, steps=5)
    generator = torch.Generator().manual_seed(0)
    from reprise.hvp.probes import probes

    starts = probes(Matrix(A), 3, generator, distribution="sphere") / math.sqrt(30)
    for degree in range(10):
        moments = torch.stack([v @ torch.linalg.matrix_power(A, degree) @ v for v in starts])
        torch.testing.assert_close((density.weights * density.nodes**degree).sum(1), moments)


def test_density_knows_fractions_signs_and_functions(symmetric):
    values = torch.cat([torch.full((30,), -2.0), torch.zeros(50), torch.linspace(1, 3, 120)])
    A = symmetric(values)
    density = spectral_density(A, starts=40, steps=30)
    signs = density.signs(epsilon=0.1)
    for share, expected, stderr in zip((signs.negative, signs.zero, signs.positive), (0.15, 0.25, 0.6), signs.stderr):
        assert abs(share - expected) < 4 * stderr
    positive = density.trace_of(lambda t: t.clamp_min(0))
    assert abs(positive.value - float(values.clamp_min(0).sum())) < 4 * positive.stderr
    assert density.fraction(-2.5, -1.5).value == pytest.approx(signs.negative, abs=1e-9)
    t = torch.linspace(-3, 4, 4000, dtype=torch.float64)
    assert float(torch.trapezoid(density.pdf(t, 0.05), t)) == pytest.approx(1.0, abs=1e-6)
    assert density.signs().epsilon == pytest.approx(3e-3, rel=1e-2)


def test_density_adds_starts_until_the_trace_is_accurate(symmetric, decaying):
    A = symmetric(decaying(100, 1.0))
    # n starts have the relative standard error √(2‖A‖_F²/n)/tr A = 0.35/√n, so that about 308 are needed
    density = spectral_density(A, starts=3, steps=20, rtol=0.02, max_starts=600)
    assert density.converged
    assert density.trace_of().relative_error <= 0.02
    assert 250 < len(density.nodes) < 500
    assert not spectral_density(A, starts=3, steps=20, rtol=0.02, max_starts=20).converged


@pytest.mark.parametrize("function", [torch.clone, torch.square, torch.exp])
def test_traces_of_functions_are_unbiased(indefinite, function):
    estimate = spectral_density(indefinite, starts=10_000, steps=20).trace_of(function)
    exact = float(function(torch.linalg.eigvalsh(indefinite)).sum())
    assert abs(estimate.value - exact) < 4 * estimate.stderr


def test_density_of_a_tiny_or_exhausted_matrix():
    density = spectral_density(torch.eye(3, dtype=torch.float64), starts=2, steps=80)
    assert density.trace_of().value == pytest.approx(3.0)
    assert density.signs().positive == pytest.approx(1.0)


def test_positive_part_equals_dense(symmetric, decaying):
    A = symmetric(torch.cat([torch.full((10,), 4.0) * decaying(10), 0.1 * torch.linspace(-1, 1, 50)]))
    v = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values, vectors = torch.linalg.eigh(A)
    exact = float(v @ vectors @ torch.diag(values.clamp_min(0)) @ vectors.T @ v)
    assert quadratic_positive(A, v, steps=60).value == pytest.approx(exact, rel=1e-9)
    rough = quadratic_positive(A, v, steps=20)
    assert rough.value == pytest.approx(exact, rel=1e-2)
    assert rough.stderr < 0.05 * exact
    accurate = quadratic_positive(A, v, steps=60, rtol=1e-4)
    assert accurate.converged
    assert accurate.products < 60
    assert accurate.value == pytest.approx(exact, rel=1e-3)
    assert not quadratic_positive(A, v, steps=3, rtol=1e-6).converged
