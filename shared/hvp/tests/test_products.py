"""Products against dense Hessians by brute force, on every architecture and by every strategy."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reprise.hvp import EmpiricalFisher, GaussNewton, Hessian

EXACT = ["linearize", "retained", "forward-over-reverse", "reverse-over-reverse"]


@pytest.mark.parametrize("strategy", EXACT)
def test_hessian_equals_brute_force(problem, exact, strategy):
    H = Hessian(problem.model, problem.loss, problem.data, strategy=strategy)
    V = torch.randn(H.size, 6, dtype=H.dtype)
    # float64 rounding through a few layers; transformers computes its loss in float32
    tolerance = 1e-10 if problem.loss else 1e-6
    expected = exact @ V
    torch.testing.assert_close(H @ V, expected, rtol=100 * tolerance, atol=tolerance * float(expected.abs().max()))
    assert H.strategy == strategy


def test_dense_equals_brute_force(problem, exact):
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    tolerance = 1e-10 if problem.loss else 1e-6
    torch.testing.assert_close(H.dense(), exact, rtol=100 * tolerance, atol=tolerance * float(exact.abs().max()))


@pytest.mark.parametrize("name", ["cnn-batchnorm", "torch-geometric"])
def test_automatic_choice_is_one_of_the_kept_strategies_and_exact(make_problem, name):
    problem = make_problem(name)
    H = Hessian(problem.model, problem.loss, problem.data)
    V = torch.randn(H.size, 6, dtype=H.dtype)
    expected = problem.dense() @ V
    torch.testing.assert_close(H @ V, expected, rtol=1e-8, atol=1e-10 * float(expected.abs().max()))
    assert H.strategy in ("linearize", "retained")


def test_hessian_equals_torch_func_hessian(make_problem):
    problem = make_problem("mlp-gelu")
    H = Hessian(problem.model, problem.loss, problem.data)
    params = dict(problem.model.named_parameters())
    exact = torch.func.hessian(lambda v: problem.mean_loss(H.space.unflatten(v)))(H.space.flatten(params).detach())
    torch.testing.assert_close(H.dense(), exact, rtol=1e-8, atol=1e-12)


def test_finite_differences_are_close_and_marked_approximate(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="finite-difference")
    assert H.approximate
    exact = problem.dense()
    # truncation and rounding of the central difference meet near ε^{2/3} ≈ 4e-11, times third derivatives
    torch.testing.assert_close(H.dense(), exact, rtol=1e-4, atol=1e-6 * float(exact.abs().max()))


@pytest.mark.parametrize("strategy", [*EXACT, "auto"])
@pytest.mark.parametrize("block", ["loop", "vmap", "auto"])
def test_blocks_of_vectors_equal_single_products(make_problem, strategy, block):
    problem = make_problem("cnn-batchnorm")
    H = Hessian(problem.model, problem.loss, problem.data, strategy=strategy, block=block, chunk_size=2)
    V = torch.randn(H.size, 5, dtype=H.dtype)
    torch.testing.assert_close(H @ V, torch.stack([H @ v for v in V.T], dim=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["transformer-tied", "lstm", "torch-geometric"])
def test_vectors_at_once_equal_single_ones_on_other_models(make_problem, name):
    problem = make_problem(name)
    H = Hessian(problem.model, problem.loss, problem.data, strategy="linearize", block="vmap", chunk_size=3)
    V = torch.randn(H.size, 4, dtype=H.dtype)
    looped = torch.stack([H @ v for v in V.T], dim=1)
    torch.testing.assert_close(H @ V, looped, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
def test_compiled_products_equal_others(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="linearize", compile=True)
    torch.testing.assert_close(H.dense(), problem.dense(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("resident", [True, False, "auto"])
@pytest.mark.parametrize("budget", [0, 20_000, None])
def test_what_is_kept_does_not_change_the_product(make_problem, resident, budget):
    problem = make_problem("mlp-tanh")
    options = {"resident": resident, "memory_budget": budget}
    H = Hessian(problem.model, problem.loss, problem.data, strategy="linearize", **options)
    torch.testing.assert_close(H.dense(), problem.dense(), rtol=1e-9, atol=1e-12)
    kept = len(H._engine.kept)
    assert kept == (3 if resident is True else 0 if resident is False or budget == 0 else kept)


def test_one_trace_serves_all_batches_of_the_same_shapes(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="linearize")
    H @ torch.ones(H.size, dtype=H.dtype)
    assert len(H._engine.products.programs) == 2  # batches of 6, 6 and 3


def test_a_trace_that_froze_a_value_of_its_batch_is_not_reused():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x):
            return (x * self.weight).sum(1) * len(x[x > 0])

    model = Counting()
    inputs = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, 1.0]]]).double()
    data = [(x, torch.zeros(2).double()) for x in inputs]
    H = Hessian(model, F.mse_loss, data, strategy="linearize")
    # f = mean over examples of (count·xᵀw)², with counts 4 and 3
    expected = sum(2 * count**2 * x.T @ x / 4 for count, x in zip((4, 3), inputs))
    torch.testing.assert_close(H.dense(), expected)


@pytest.mark.parametrize("strategy", ["linearize", "retained"])
def test_products_follow_the_parameters(make_problem, strategy):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data, strategy=strategy)
    before = H.dense()
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.mul_(1.5)
    after = H.dense()
    torch.testing.assert_close(after, problem.dense(), rtol=1e-8, atol=1e-12)
    assert not torch.allclose(before, after)
    for parameter in problem.model.parameters():
        parameter.data = parameter.data / 1.5
    torch.testing.assert_close(H.dense(), before, rtol=1e-8, atol=1e-12)


def test_refresh_sees_writes_that_leave_no_trace(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data)
    H @ torch.ones(H.size, dtype=H.dtype)
    problem.model[0].weight.data.mul_(2.0)
    H.refresh()
    torch.testing.assert_close(H.dense(), problem.dense(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("0.weight", ["0.weight"]),
        ("*.bias", ["0.bias", "2.bias", "4.bias"]),
        ("2", ["2.weight", "2.bias"]),
        (["0", "4.bias"], ["0.weight", "0.bias", "4.bias"]),
        (lambda name, p: p.ndim == 2, ["0.weight", "2.weight", "4.weight"]),
        ("module", ["2.weight", "2.bias"]),
    ],
)
@pytest.mark.parametrize("strategy", ["linearize", "retained"])
def test_subsets_of_parameters(make_problem, selection, names, strategy):
    problem = make_problem("mlp-tanh")
    selection = problem.model[2] if selection == "module" else selection
    exact = problem.dense(names)
    H = Hessian(problem.model, problem.loss, problem.data, parameters=selection, strategy=strategy)
    assert H.space.names == names
    torch.testing.assert_close(H.dense(), exact, rtol=1e-8, atol=1e-12)
    block = Hessian(problem.model, problem.loss, problem.data, strategy=strategy).block(selection)
    torch.testing.assert_close(block.dense(), exact, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["cnn-batchnorm", "transformer-tied", "lstm", "torch-geometric"])
def test_blocks_are_the_diagonal_blocks_of_all_layers(make_problem, name):
    problem = make_problem(name)
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    whole = H.dense()
    for by in ("module", "parameter"):
        for layer, block in H.blocks(by).items():
            rows = torch.cat([torch.arange(H.size)[H.space.slices[name]] for name in block.space.names])
            assert by == "module" or [layer] == block.space.names
            expected = whole[rows][:, rows]
            torch.testing.assert_close(block.dense(), expected, rtol=1e-7, atol=1e-10 * float(whole.abs().max()))


def test_unused_parameters_are_zero_rows(make_problem):
    problem = make_problem("unused")
    H = Hessian(problem.model, problem.loss, problem.data)
    rows = H.dense()[H.space.slices["unused.weight"]]
    assert not rows.any()


def test_tied_weights_count_once(make_problem):
    problem = make_problem("transformer-tied")
    names = Hessian(problem.model, problem.loss, problem.data).space.names
    assert "embedding.weight" in names
    assert "readout.weight" not in names


def test_gradient_and_value(problem):
    H = Hessian(problem.model, problem.loss, problem.data, check=False)
    params = {n: p.detach().requires_grad_() for n, p in problem.model.named_parameters()}
    value = problem.mean_loss(params)
    expected = torch.autograd.grad(value, list(params.values()), materialize_grads=True)
    torch.testing.assert_close(H.gradient(), torch.cat([g.flatten() for g in expected]), rtol=1e-6, atol=1e-8)
    assert H.value() == pytest.approx(float(value.detach()), rel=1e-12 if problem.loss else 1e-6)


@pytest.mark.parametrize("strategy", ["linearize", "retained", "forward-over-reverse", "reverse-over-reverse"])
def test_gauss_newton_equals_its_definition(make_problem, strategy):
    for name in ("mlp-relu", "regression", "cnn-batchnorm"):
        problem = make_problem(name)
        G = GaussNewton(problem.model, problem.loss, problem.data, strategy=strategy)
        params = {n: p.detach() for n, p in problem.model.named_parameters()}
        total, count = 0.0, 0
        for x, _ in problem.data:
            model = problem.model
            J = torch.func.jacrev(lambda p, x=x, model=model: torch.func.functional_call(model, p, (x,)))(params)
            J = torch.cat([part.flatten(2) for part in J.values()], dim=2)
            out = problem.model(x).detach()
            if problem.loss is F.cross_entropy:
                p = out.softmax(1)
                S = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
            else:
                S = (2 / out.shape[1] * torch.eye(out.shape[1])).double().expand(len(x), -1, -1)
            total, count = total + torch.einsum("ncp,ncd,ndq->pq", J, S, J), count + len(x)
        torch.testing.assert_close(G.dense(), total / count, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("strategy", ["linearize", "retained"])
def test_empirical_fisher_equals_the_outer_products(make_problem, strategy):
    problem = make_problem("cnn-batchnorm")
    fisher = EmpiricalFisher(problem.model, problem.loss, problem.data, strategy=strategy)
    total, count = 0.0, 0
    for x, y in problem.data:
        for n in range(len(x)):
            loss = problem.loss(problem.model(x[n : n + 1]), y[n : n + 1])
            g = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(problem.model.parameters()))])
            total, count = total + torch.outer(g, g), count + 1
    torch.testing.assert_close(fisher.dense(), total / count, rtol=1e-8, atol=1e-12)


def test_quadratic_has_its_matrix_as_hessian():
    B = torch.randn(6, 6, dtype=torch.float64)
    A = B + B.T
    H = Hessian.of(lambda x: x @ A @ x / 2, torch.randn(6, dtype=torch.float64))
    torch.testing.assert_close(H.dense(), A, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(H.gradient(), A @ H.space.tensors["x"], rtol=1e-12, atol=1e-12)


def test_logistic_regression_has_its_closed_form():
    X = torch.randn(20, 4, dtype=torch.float64)
    y = torch.randint(2, (20,)).double()
    model = nn.Linear(4, 1, bias=False).double()
    loss = lambda out, target: F.binary_cross_entropy_with_logits(out[:, 0], target)  # noqa: E731
    p = torch.sigmoid(model(X)[:, 0]).detach()
    expected = X.T @ torch.diag(p * (1 - p)) @ X / 20
    torch.testing.assert_close(Hessian(model, loss, [(X, y)]).dense(), expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(GaussNewton(model, loss, [(X, y)]).dense(), expected, rtol=1e-10, atol=1e-14)


def test_matrix_factorisation_at_zero_loss_has_its_closed_trace():
    d, k, m = 5, 2, 30
    U = torch.randn(d, k, dtype=torch.float64)
    A = torch.randn(m, d, d, dtype=torch.float64)
    y = torch.einsum("mij,ij->m", A, U @ U.T)
    H = Hessian.of(lambda W: ((torch.einsum("mij,ij->m", A, W @ W.T) - y) ** 2).mean() / 2, U)
    expected = ((A + A.transpose(1, 2)) @ U).square().sum() / m
    torch.testing.assert_close(H.dense().trace(), expected, rtol=1e-12, atol=0.0)


def test_functions_that_are_linear_have_zero_hessian():
    for strategy in EXACT:
        H = Hessian.of(
            lambda p: p["a"].sum() + 0 * p["b"].sum(), {"a": torch.ones(2), "b": torch.ones(1)}, strategy=strategy
        )
        assert not H.dense().any()


def test_padded_tokens_count_by_the_declared_weight():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 3), nn.Tanh(), nn.Linear(3, 6)).double()
    tokens = torch.randint(6, (4, 5))
    targets = torch.randint(6, (4, 5))
    targets[:2, 2:] = -100
    loss = lambda out, target: F.cross_entropy(out.flatten(0, 1), target.flatten())  # noqa: E731
    halves = [(tokens[:2], targets[:2]), (tokens[2:], targets[2:])]
    counted = Hessian(model, loss, halves, weight=lambda batch: int((batch[1] != -100).sum()))
    whole = Hessian(model, loss, [(tokens, targets)])
    torch.testing.assert_close(counted.dense(), whole.dense(), rtol=1e-9, atol=1e-13)


def test_bfloat16_models_multiply_float32_vectors():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(torch.bfloat16)
    data = [(torch.randn(16, 4, dtype=torch.bfloat16), torch.randint(3, (16,)))]
    H = Hessian(model, F.cross_entropy, data)
    assert H.dtype == torch.float32
    found = H.dense()
    exact = Hessian(model.float(), F.cross_entropy, [(data[0][0].float(), data[0][1])]).dense()
    # 8 bits of mantissa through two layers
    assert (found - exact).norm() < 0.05 * exact.norm()
