"""Trace estimates: exact where they must be, unbiased, with errors of the size that they say."""

import math

import pytest
import torch

from reprise.hvp import Hessian, Matrix, eigsh, trace


@pytest.mark.parametrize(
    ("method", "distribution", "products"),
    [
        ("hutchinson", "rademacher", 1),
        ("hutchinson", "gaussian", 1),
        ("hutchinson", "sphere", 1),
        ("hutch++", "rademacher", 9),
        ("xtrace", "sphere", 8),
        pytest.param("xtrace", "rademacher", 8, marks=pytest.mark.slow),
        ("xnystrace", "sphere", 5),
        pytest.param("xnystrace", "rademacher", 5, marks=pytest.mark.slow),
    ],
)
def test_trace_estimates_are_unbiased(symmetric, decaying, indefinite, method, distribution, products):
    matrix = symmetric(decaying(20)) if method == "xnystrace" else indefinite
    generator = torch.Generator().manual_seed(1)
    repeats = 10_000
    options = {"method": method, "products": products, "distribution": distribution, "generator": generator}
    operator = Matrix(matrix)
    values = torch.tensor([trace(operator, **options).value for _ in range(repeats)], dtype=torch.float64)
    assert abs(values.mean() - matrix.trace()) < 4 * values.std() / math.sqrt(repeats)


@pytest.mark.parametrize("method", ["xtrace", "xnystrace", "hutch++"])
def test_trace_is_exact_at_low_rank(method, symmetric):
    A = symmetric([5.0, 3.0, 1.0] + [0.0] * 37)
    estimate = trace(A, method=method, products=30)
    assert estimate.value == pytest.approx(9.0, rel=1e-9)
    assert trace(A.float(), method=method, products=30).value == pytest.approx(9.0, rel=1e-4)


def test_xtrace_is_exact_at_full_rank(indefinite):
    estimate = trace(indefinite, products=40)
    assert estimate.value == pytest.approx(float(indefinite.trace()), rel=1e-9)


def test_hutchinson_is_exact_on_diagonal_matrices():
    estimate = trace(torch.diag(torch.tensor([1.0, -2.0, 3.0])), method="hutchinson", products=3)
    assert estimate.value == 2.0
    assert estimate.stderr == 0.0


def test_hutchinson_intervals_cover_as_they_say(indefinite):
    generator = torch.Generator().manual_seed(2)
    truth, hits, repeats = float(indefinite.trace()), 0, 2000
    for _ in range(repeats):
        estimate = trace(indefinite, method="hutchinson", products=100, generator=generator)
        hits += abs(estimate.value - truth) <= 1.96 * estimate.stderr
    assert 0.93 <= hits / repeats <= 0.97


def test_hutchinson_variance_is_the_closed_form(indefinite):
    generator = torch.Generator().manual_seed(3)
    estimate = trace(indefinite, method="hutchinson", products=20_000, generator=generator)
    expected = 2 * (indefinite.square().sum() - indefinite.diagonal().square().sum())
    # the variance of a sample variance, with the light tails of a quadratic form
    assert float(estimate.samples.var()) == pytest.approx(float(expected), rel=0.05)


def test_xtrace_beats_hutchinson_on_decaying_spectra_and_knows_its_error(symmetric, decaying):
    A = symmetric(decaying(300))
    truth = float(A.trace())
    xtrace = [trace(A, products=60, generator=seed) for seed in range(60)]
    plain = [trace(A, method="hutchinson", products=60, generator=seed) for seed in range(60)]

    def spread(estimates):
        return math.sqrt(sum((e.value - truth) ** 2 for e in estimates) / len(estimates))

    assert spread(xtrace) < spread(plain) / 20
    covered = sum(abs(e.value - truth) <= 1.96 * e.stderr for e in xtrace) / 60
    assert covered > 0.75  # 86-90 % over many repeats


@pytest.mark.parametrize("method", ["xtrace", "xnystrace", "hutch++", "hutchinson"])
def test_traces_stop_at_the_requested_accuracy(method, symmetric, decaying):
    A = symmetric(decaying(200))
    estimate = trace(A, method=method, products=4000, rtol=0.02)
    assert estimate.converged
    assert estimate.relative_error <= 0.02
    assert estimate.products < 4000
    assert abs(estimate.value - A.trace()) < 5 * max(estimate.stderr, 1e-12)
    assert not trace(A, method=method, products=6, rtol=1e-9).converged


def test_noise_trace_tends_to_the_trace():
    torch.manual_seed(0)
    x = torch.randn(12, dtype=torch.float64)
    H = Hessian.of(lambda x: torch.cosh(x).sum() + x.prod(), x, strategy="retained")
    exact = float(H.dense().trace())
    estimate = trace(H, method="noise", products=8001, sigma=0.05)
    assert abs(estimate.value - exact) < 5 * estimate.stderr
    assert estimate.stderr < 0.05 * exact
    assert estimate.products == 8001


def test_extrapolated_noise_has_no_quadratic_bias():
    # f = Σ x⁴ at 0 has no trace; without extrapolation its samples would be 2σ²·Σ z⁴
    H = Hessian.of(lambda x: (x**4).sum(), torch.zeros(5, dtype=torch.float64), strategy="retained")
    assert trace(H, method="noise", products=41, sigma=0.5).samples.abs().max() < 1e-12


def test_noise_stops_at_the_requested_accuracy():
    H = Hessian.of(lambda x: (x**2).sum(), torch.zeros(50, dtype=torch.float64), strategy="retained")
    estimate = trace(H, method="noise", products=4001, rtol=0.05)
    assert estimate.converged
    assert estimate.relative_error <= 0.05
    assert estimate.products < 400
    assert not trace(H, method="noise", products=21, rtol=1e-9).converged


def test_progress_is_reported(indefinite):
    seen = []
    trace(indefinite, method="hutchinson", products=20, progress=lambda done, most: seen.append((done, most)))
    assert seen[-1] == (20, 20)
    seen.clear()
    eigsh(indefinite, k=2, progress=lambda done, most: seen.append(done))
    assert seen == sorted(seen)
    assert seen


def test_same_seed_same_numbers(indefinite):
    first, second = (trace(indefinite, method="hutchinson", products=9, generator=5) for _ in range(2))
    assert first.value == second.value
    assert first.value != trace(indefinite, method="hutchinson", products=9, generator=6).value
