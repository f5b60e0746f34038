"""Eigenpairs against dense eigenvalue decompositions."""

import pytest
import torch

from reprise.hvp import Matrix, eigsh


@pytest.mark.parametrize("which", ["LM", "LA", "SA"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenpairs_equal_dense_ones(which, dtype, symmetric, decaying):
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


def test_lanczos_finds_multiple_eigenvalues_and_no_ghosts(symmetric):
    A = symmetric([3.0] * 4 + [2.0] * 4 + [1.0] * 92).float()
    pairs = eigsh(A, k=8, which="LA", tol=1e-4)
    torch.testing.assert_close(pairs.values, torch.tensor([3.0] * 4 + [2.0] * 4), rtol=1e-4, atol=0.0)
    identity = eigsh(torch.eye(7), k=3)
    torch.testing.assert_close(identity.values, torch.ones(3))


def test_restarts_keep_the_basis_small(symmetric):
    A = symmetric(torch.linspace(0, 1, 400))
    pairs = eigsh(A, k=2, which="LA", tol=1e-6, max_products=5000)
    assert bool(pairs.converged.all())
    assert pairs.products > 26  # more than one basis of 3k + 20
    assert float(pairs.values[0]) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("method", ["lanczos", "lobpcg"])
def test_unconverged_pairs_are_flagged_and_warned_about(method, symmetric):
    A = symmetric(torch.linspace(0, 1, 400))
    with pytest.warns(RuntimeWarning, match="not converged"):
        pairs = eigsh(A, k=3, which="LA", tol=1e-10, max_products=12, method=method)
    assert not bool(pairs.converged.all())


@pytest.mark.parametrize("which", ["LA", "SA"])
def test_lobpcg_equals_dense(which, symmetric, decaying):
    A = symmetric(torch.cat([-decaying(50), decaying(50)]))
    pairs = eigsh(A, k=3, which=which, method="lobpcg", tol=1e-6, max_products=3000)
    values = torch.linalg.eigvalsh(A)
    torch.testing.assert_close(pairs.values, values.flip(0)[:3] if which == "LA" else values[:3], rtol=1e-8, atol=1e-8)


def test_scipy_finds_the_same_eigenvalues(symmetric, decaying):
    from scipy.sparse.linalg import eigsh as reference

    A = symmetric(decaying(50))
    values = reference(Matrix(A).to_scipy(), k=3, return_eigenvectors=False)
    torch.testing.assert_close(eigsh(A, k=3, tol=1e-8).values, torch.tensor(values).sort(descending=True).values)
