"""Estimators on matrices of known spectrum: exactness, unbiasedness, calibrated errors."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.hvp import (
    FromProduct,
    GaussNewton,
    Hessian,
    Inverse,
    Matrix,
    diagonal,
    eigsh,
    explain,
    layer_traces,
    per_example_quadratic,
    per_example_traces,
    quadratic_positive,
    solve,
    spectral_density,
    trace,
)


def symmetric(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.as_tensor(values, dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)).Q
    A = Q @ torch.diag(values) @ Q.T
    return (A + A.T) / 2


def decaying(size, power=2.0):
    return torch.arange(1, size + 1, dtype=torch.float64) ** -power


INDEFINITE = symmetric(torch.linspace(-1, 2, 20))


@pytest.mark.parametrize(
    ("method", "distribution"),
    [
        ("hutchinson", "rademacher"),
        ("hutchinson", "gaussian"),
        ("hutchinson", "sphere"),
        ("hutch++", "rademacher"),
        ("xtrace", "sphere"),
        ("xtrace", "rademacher"),
    ],
)
def test_trace_estimates_are_unbiased(method, distribution):
    generator = torch.Generator().manual_seed(1)
    repeats = 10_000 if (method, distribution) == ("hutchinson", "rademacher") else 2_000
    values = torch.tensor(
        [
            trace(INDEFINITE, method=method, products=8, distribution=distribution, generator=generator).value
            for _ in range(repeats)
        ]
    )
    if method == "xtrace" and distribution == "rademacher":
        # without the sphere's correction the leave-one-out residual is unbiased only to the projection's spread
        assert abs(values.mean() - INDEFINITE.trace()) < 4 * values.std() / math.sqrt(repeats) + 0.02
    else:
        assert abs(values.mean() - INDEFINITE.trace()) < 4 * values.std() / math.sqrt(repeats)


def test_xnystrace_is_unbiased_on_positive_semidefinite_matrices():
    A = symmetric(decaying(20))
    generator = torch.Generator().manual_seed(1)
    values = torch.tensor(
        [trace(A, method="xnystrace", products=5, generator=generator).value for _ in range(2000)], dtype=torch.float64
    )
    assert abs(values.mean() - A.trace()) < 4 * values.std() / math.sqrt(2000)


@pytest.mark.parametrize("method", ["xtrace", "xnystrace", "hutch++"])
def test_trace_is_exact_at_low_rank(method):
    A = symmetric([5.0, 3.0, 1.0] + [0.0] * 37)
    estimate = trace(A, method=method, products=30)
    assert estimate.value == pytest.approx(9.0, rel=1e-9)
    assert trace(A.float(), method=method, products=30).value == pytest.approx(9.0, rel=1e-4)


def test_xtrace_is_exact_at_full_rank():
    estimate = trace(INDEFINITE, products=40)
    assert estimate.value == pytest.approx(float(INDEFINITE.trace()), rel=1e-9)


def test_hutchinson_is_exact_on_diagonal_matrices():
    estimate = trace(torch.diag(torch.tensor([1.0, -2.0, 3.0])), method="hutchinson", products=3)
    assert estimate.value == 2.0
    assert estimate.stderr == 0.0


def test_hutchinson_intervals_cover_as_they_say():
    generator = torch.Generator().manual_seed(2)
    truth, hits, repeats = float(INDEFINITE.trace()), 0, 2000
    for _ in range(repeats):
        estimate = trace(INDEFINITE, method="hutchinson", products=100, generator=generator)
        hits += abs(estimate.value - truth) <= 1.96 * estimate.stderr
    assert 0.93 <= hits / repeats <= 0.97


def test_hutchinson_variance_is_the_closed_form():
    generator = torch.Generator().manual_seed(3)
    estimate = trace(INDEFINITE, method="hutchinson", products=20_000, generator=generator)
    expected = 2 * (INDEFINITE.square().sum() - INDEFINITE.diagonal().square().sum())
    # the variance of a sample variance, with the light tails of a quadratic form
    assert float(estimate.samples.var()) == pytest.approx(float(expected), rel=0.05)


def test_xtrace_beats_hutchinson_on_decaying_spectra_and_knows_its_error():
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
def test_traces_stop_at_the_requested_accuracy(method):
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
    H = Hessian.of(lambda x: torch.cosh(x).sum() + x.prod(), x)
    exact = float(H.dense().trace())
    estimate = trace(H, method="noise", products=8001, sigma=0.05)
    assert abs(estimate.value - exact) < 5 * estimate.stderr
    assert estimate.stderr < 0.05 * exact
    assert estimate.products == 8001


@given(st.integers(1, 4), st.integers(5, 15), st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_xdiag_is_exact_once_it_spans_the_matrix(rank, size, seed):
    A = symmetric([*range(1, rank + 1), *([0.0] * (size - rank))], seed)
    estimate = diagonal(A, products=2 * rank + 2, generator=seed)
    torch.testing.assert_close(estimate.value, A.diagonal(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", ["xdiag", "hutchinson"])
def test_diagonal_errors_are_of_the_size_they_say(method):
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


def test_leaving_out_cross_terms_lowers_the_variance(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    joint, alone = (layer_traces(H, products=400, cross_terms=cross) for cross in (True, False))
    assert sum(e.stderr**2 for e in alone.values()) < sum(e.stderr**2 for e in joint.values())


@pytest.mark.parametrize("which", ["LM", "LA", "SA"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenpairs_equal_dense_ones(which, dtype):
    A = symmetric(torch.cat([-decaying(60, 1.0), 1.5 * decaying(140, 0.7)])).to(dtype)
    pairs = eigsh(A, k=5, which=which, tol=1e-5)
    values = torch.linalg.eigvalsh(A)
    wanted = {
        "LM": values[values.abs().argsort(descending=True)][:5],
        "LA": values.flip(0)[:5],
        "SA": values[:5],
    }[which]
    assert bool(pairs.converged.all())
    # the error of a Ritz value is the square of its residual over the gap
    torch.testing.assert_close(pairs.values, wanted, rtol=1e-5, atol=1e-5)
    true = (A @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0)
    torch.testing.assert_close(true, pairs.residuals, rtol=1e-2, atol=1e-5)
    torch.testing.assert_close(pairs.vectors.T @ pairs.vectors, torch.eye(5, dtype=dtype), rtol=0.0, atol=1e-5)


def test_lanczos_finds_multiple_eigenvalues_and_no_ghosts():
    A = symmetric([3.0] * 4 + [2.0] * 4 + [1.0] * 92).float()
    pairs = eigsh(A, k=8, which="LA", tol=1e-4)
    torch.testing.assert_close(pairs.values, torch.tensor([3.0] * 4 + [2.0] * 4), rtol=1e-4, atol=0.0)
    identity = eigsh(torch.eye(7), k=3)
    torch.testing.assert_close(identity.values, torch.ones(3))


def test_restarts_keep_the_basis_small():
    A = symmetric(torch.linspace(0, 1, 400))
    pairs = eigsh(A, k=2, which="LA", tol=1e-6, max_products=5000)
    assert bool(pairs.converged.all())
    assert pairs.products > 26  # more than one basis of 3k + 20
    assert float(pairs.values[0]) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("method", ["lanczos", "lobpcg"])
def test_unconverged_pairs_are_flagged_and_warned_about(method):
    A = symmetric(torch.linspace(0, 1, 400))
    with pytest.warns(RuntimeWarning, match="not converged"):
        pairs = eigsh(A, k=3, which="LA", tol=1e-10, max_products=12, method=method)
    assert not bool(pairs.converged.all())


@pytest.mark.parametrize("which", ["LA", "SA"])
def test_lobpcg_equals_dense(which):
    A = symmetric(torch.cat([-decaying(50), decaying(50)]))
    pairs = eigsh(A, k=3, which=which, method="lobpcg", tol=1e-6, max_products=3000)
    values = torch.linalg.eigvalsh(A)
    torch.testing.assert_close(pairs.values, values.flip(0)[:3] if which == "LA" else values[:3], rtol=1e-8, atol=1e-8)


def test_scipy_finds_the_same_eigenvalues():
    from scipy.sparse.linalg import eigsh as reference

    A = symmetric(decaying(50))
    values = reference(Matrix(A).to_scipy(), k=3, return_eigenvectors=False)
    torch.testing.assert_close(eigsh(A, k=3, tol=1e-8).values, torch.tensor(values).sort(descending=True).values)


def test_quadrature_is_exact_for_polynomials():
    A = symmetric(torch.linspace(-1, 1, 30))
    density = spectral_density(A, starts=3, steps=5)
    generator = torch.Generator().manual_seed(0)
    from reprise.hvp.probes import probes

    starts = probes(Matrix(A), 3, generator, distribution="sphere") / math.sqrt(30)
    for degree in range(10):
        moments = torch.stack([v @ torch.linalg.matrix_power(A, degree) @ v for v in starts])
        torch.testing.assert_close((density.weights * density.nodes**degree).sum(1), moments)


def test_density_knows_fractions_signs_and_functions():
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


def test_density_adds_starts_until_the_trace_is_accurate():
    A = symmetric(decaying(100, 1.0))
    density = spectral_density(A, starts=3, steps=20, rtol=0.02, max_starts=300)
    assert density.trace_of().relative_error <= 0.02
    assert len(density.nodes) > 3


def test_density_of_a_tiny_or_exhausted_matrix():
    density = spectral_density(torch.eye(3, dtype=torch.float64), starts=2, steps=80)
    assert density.trace_of().value == pytest.approx(3.0)
    assert density.signs().positive == pytest.approx(1.0)


def test_positive_part_equals_dense():
    A = symmetric(torch.cat([torch.full((10,), 4.0) * decaying(10), 0.1 * torch.linspace(-1, 1, 50)]))
    v = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values, vectors = torch.linalg.eigh(A)
    exact = float(v @ vectors @ torch.diag(values.clamp_min(0)) @ vectors.T @ v)
    assert quadratic_positive(A, v, steps=60).value == pytest.approx(exact, rel=1e-9)
    rough = quadratic_positive(A, v, steps=20)
    assert rough.value == pytest.approx(exact, rel=1e-2)
    assert rough.stderr < 0.05 * exact


def test_solutions_of_definite_and_indefinite_systems():
    b = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    definite = symmetric(decaying(20))
    for A, method in ((definite, "cg"), (INDEFINITE, "minres")):
        solution = solve(A, b, tol=1e-10)
        assert solution.method == method
        assert solution.converged
        assert float((A @ solution.x - b).norm() / b.norm()) < 2e-10
    damped = solve(definite, b, damping=0.5, tol=1e-10)
    torch.testing.assert_close((definite + 0.5 * torch.eye(20, dtype=torch.float64)) @ damped.x, b)


def test_preconditioning_saves_products():
    A = torch.diag(torch.logspace(0, 6, 50, dtype=torch.float64))
    b = torch.ones(50, dtype=torch.float64)
    plain = solve(A, b, tol=1e-8, max_products=2000)
    better = solve(A, b, tol=1e-8, preconditioner=lambda r: r / A.diagonal())
    assert better.products < plain.products / 5
    torch.testing.assert_close(better.x, plain.x, rtol=1e-4, atol=1e-8)


def test_unsolved_systems_are_flagged_and_warned_about():
    with pytest.warns(RuntimeWarning, match="relative residual"):
        solution = solve(symmetric(decaying(50, 3.0)), torch.ones(50, dtype=torch.float64), tol=1e-12, max_products=3)
    assert not solution.converged


def test_inverse_is_an_operator():
    A = symmetric(decaying(10))
    V = torch.randn(10, 3, dtype=torch.float64)
    inverse = Inverse(A, damping=0.1, tol=1e-12)
    torch.testing.assert_close(
        inverse @ V, torch.linalg.solve(A + 0.1 * torch.eye(10, dtype=torch.float64), V), rtol=1e-8, atol=1e-8
    )
    assert len(inverse.solutions) == 3


def test_algebra_equals_that_of_matrices():
    A, B = symmetric(decaying(6)), symmetric(torch.linspace(-1, 1, 6), seed=1)
    combined = 2 * Matrix(A) - Matrix(B) + (-Matrix(A)).shift(0.5)
    torch.testing.assert_close(combined.dense(), A - B + 0.5 * torch.eye(6))
    assert combined.T is combined
    assert combined.shape == (6, 6)


def test_functions_of_vectors_are_operators():
    A = INDEFINITE
    operator = FromProduct(lambda v: A @ v, 20, dtype=torch.float64)
    torch.testing.assert_close(operator.dense(), A)


def test_dict_vectors_come_back_as_dicts(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    tree = {name: torch.randn_like(p) for name, p in problem.model.named_parameters()}
    product = H @ tree
    assert {name: t.shape for name, t in product.items()} == {name: t.shape for name, t in tree.items()}
    torch.testing.assert_close(H.space.flatten(product), H @ H.space.flatten(tree))


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize("per_layer", [False, True])
def test_per_example_forms_equal_those_of_single_examples(make_problem, kind, per_layer):
    problem = make_problem("mlp-tanh")
    operator = kind(problem.model, problem.loss, problem.data, strategy="retained")
    v = torch.randn(operator.size, dtype=operator.dtype)
    found = per_example_quadratic(operator, v, per_layer=per_layer)
    expected = []
    for x, y in problem.data:
        for n in range(len(x)):
            one = kind(problem.model, problem.loss, [(x[n : n + 1], y[n : n + 1])], strategy="retained", check=False)
            M = one.dense()
            layers = (
                [torch.arange(one.size)]
                if not per_layer
                else [
                    torch.cat([torch.arange(one.size)[one.space.slices[p]] for p in names])
                    for names in one.space.layers().values()
                ]
            )
            expected.append(torch.stack([v[rows] @ M[rows][:, rows] @ v[rows] for rows in layers]))
    expected = torch.stack(expected)
    torch.testing.assert_close(found, expected if per_layer else expected[:, 0], rtol=1e-8, atol=1e-12)


def test_gauss_newton_forms_have_the_closed_form_of_cross_entropy(make_problem):
    problem = make_problem("mlp-relu")
    G = GaussNewton(problem.model, problem.loss, problem.data, strategy="retained")
    v = torch.randn(G.size, dtype=G.dtype)
    x = torch.cat([x for x, _ in problem.data])
    params = {n: p.detach() for n, p in problem.model.named_parameters()}
    out, t = torch.func.jvp(
        lambda p: torch.func.functional_call(problem.model, p, (x,)), (params,), (G.space.unflatten(v),)
    )
    p = out.softmax(1)
    torch.testing.assert_close(per_example_quadratic(G, v), (p * t**2).sum(1) - (p * t).sum(1) ** 2)


def test_per_example_positive_parts_equal_dense(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    v = torch.randn(H.size, dtype=H.dtype)
    found = per_example_quadratic(H, v, per_layer=True, positive=True, steps=35, chunk_size=4)
    x, y = problem.data[0]
    rows = torch.arange(30)  # the first layer, of 30 parameters: Lanczos is exhausted
    M = Hessian(problem.model, problem.loss, [(x[:1], y[:1])], strategy="retained").dense()[rows][:, rows]
    values, vectors = torch.linalg.eigh(M)
    exact = (vectors.T @ v[rows]).square() @ values.clamp_min(0)
    assert float(found[0, 0]) == pytest.approx(float(exact), rel=1e-6)


def test_per_example_traces_and_their_maximum(make_problem):
    problem = make_problem("regression")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    traces = per_example_traces(H, products=200)
    expected = torch.stack(
        [
            Hessian(problem.model, problem.loss, [(x[n : n + 1], y[n : n + 1])], strategy="retained", check=False)
            .dense()
            .trace()
            for x, y in problem.data
            for n in range(len(x))
        ]
    )
    assert bool(((traces.values - expected).abs() < 5 * traces.stderr).all())
    assert traces.maximum == float(traces.values.max())
    assert traces.argmax == int(expected.argmax())


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


def test_progress_is_reported():
    seen = []
    trace(INDEFINITE, method="hutchinson", products=20, progress=lambda done, most: seen.append((done, most)))
    assert seen[-1] == (20, 20)
    seen.clear()
    eigsh(INDEFINITE, k=2, progress=lambda done, most: seen.append(done))
    assert seen == sorted(seen)
    assert seen


def test_same_seed_same_numbers():
    first, second = (trace(INDEFINITE, method="hutchinson", products=9, generator=5) for _ in range(2))
    assert first.value == second.value
    assert first.value != trace(INDEFINITE, method="hutchinson", products=9, generator=6).value
