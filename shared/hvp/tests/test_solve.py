"""Linear systems, and operators made of operators."""

import pytest
import torch

from reprise.hvp import FromProduct, Hessian, Inverse, Matrix, solve


def test_solutions_of_definite_and_indefinite_systems(symmetric, decaying, indefinite):
    b = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    definite = symmetric(decaying(20))
    for A, method in ((definite, "cg"), (indefinite, "minres")):
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


def test_unsolved_systems_are_flagged_and_warned_about(symmetric, decaying):
    with pytest.warns(RuntimeWarning, match="relative residual"):
        solution = solve(symmetric(decaying(50, 3.0)), torch.ones(50, dtype=torch.float64), tol=1e-12, max_products=3)
    assert not solution.converged


def test_inverse_is_an_operator(symmetric, decaying):
    A = symmetric(decaying(10))
    V = torch.randn(10, 3, dtype=torch.float64)
    inverse = Inverse(A, damping=0.1, tol=1e-12)
    torch.testing.assert_close(
        inverse @ V, torch.linalg.solve(A + 0.1 * torch.eye(10, dtype=torch.float64), V), rtol=1e-8, atol=1e-8
    )
    assert len(inverse.solutions) == 3


def test_algebra_equals_that_of_matrices(symmetric, decaying):
    A, B = symmetric(decaying(6)), symmetric(torch.linspace(-1, 1, 6), seed=1)
    combined = 2 * Matrix(A) - Matrix(B) + (-Matrix(A)).shift(0.5)
    torch.testing.assert_close(combined.dense(), A - B + 0.5 * torch.eye(6))
    assert combined.T is combined
    assert combined.shape == (6, 6)


def test_functions_of_vectors_are_operators(indefinite):
    A = indefinite
    operator = FromProduct(lambda v: A @ v, 20, dtype=torch.float64)
    torch.testing.assert_close(operator.dense(), A)


def test_dict_vectors_come_back_as_dicts(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    tree = {name: torch.randn_like(p) for name, p in problem.model.named_parameters()}
    product = H @ tree
    assert {name: t.shape for name, t in product.items()} == {name: t.shape for name, t in tree.items()}
    torch.testing.assert_close(H.space.flatten(product), H @ H.space.flatten(tree))
