"""Curvature of single examples against their dense matrices."""

import pytest
import torch

from reprise.hvp import GaussNewton, Hessian, per_example_quadratic, per_example_traces
from reprise.hvp.positive import positive_forms


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


def test_forms_can_be_split_by_parameter(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, problem.data)
    v = torch.randn(H.size, dtype=H.dtype)
    found = per_example_quadratic(H, v, per_layer=True, by="parameter")
    assert found.shape[1] == len(H.space.names) > len(H.space.layers())
    for column, name in zip(found.T, H.space.names):
        alone = torch.zeros_like(v)
        alone[H.space.slices[name]] = v[H.space.slices[name]]
        torch.testing.assert_close(column, per_example_quadratic(H, alone))
    with pytest.raises(ValueError, match="by must be"):
        per_example_quadratic(H, v, per_layer=True, by="row")


def test_each_entry_of_a_parameter_list_is_a_layer():
    class Listed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.ParameterList([torch.ones(2, 2), torch.ones(2, 1)])

        def forward(self, x):
            return (x @ self.weights[0]).tanh() @ self.weights[1]

    H = Hessian(Listed(), torch.nn.functional.mse_loss, [(torch.ones(3, 2), torch.zeros(3, 1))])
    assert H.space.layers() == {"weights.0": ["weights.0"], "weights.1": ["weights.1"]}
    assert per_example_quadratic(H, torch.ones(6), per_layer=True).shape == (3, 2)


@pytest.mark.parametrize("exponent", [-30, -36, -38, -39, -41, -44])
def test_curvature_at_the_end_of_float32_stays_finite(exponent):
    matrix = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64) * 10.0**exponent).float()
    value, change, _ = positive_forms(lambda rows: rows @ matrix, torch.ones(1, 4), 4)
    assert torch.isfinite(value).all() and torch.isfinite(change).all()
    assert float(value) <= 4 * 4 * 10.0**exponent * 1.1  # no more than the largest eigenvalue allows


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
    x, y = problem.data[0]
    options = {"parameters": "0", "strategy": "retained"}
    H = Hessian(problem.model, problem.loss, [(x, y)], **options)
    v = torch.randn(H.size, dtype=H.dtype)
    found = per_example_quadratic(H, v, positive=True, steps=H.size, chunk_size=4)
    exact = []
    for n in range(len(x)):
        values, vectors = torch.linalg.eigh(
            Hessian(problem.model, problem.loss, [(x[n : n + 1], y[n : n + 1])], **options).dense()
        )
        exact.append((vectors.T @ v).square() @ values.clamp_min(0))
    torch.testing.assert_close(found, torch.stack(exact), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("loss", [torch.nn.functional.mse_loss, torch.nn.MSELoss()])
def test_per_example_positive_parts_of_the_fused_squared_error_equal_dense(loss):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double()
    x, y = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    H = Hessian(model, loss, [(x, y)])
    v = torch.randn(H.size, dtype=H.dtype)
    exact = []
    for n in range(len(x)):
        dense = Hessian(model, loss, [(x[n : n + 1], y[n : n + 1])], strategy="reverse-over-reverse").dense()
        values, vectors = torch.linalg.eigh(dense)
        assert float(values[0]) < -1e-3  # so that the positive part is another matrix
        exact.append((vectors.T @ v).square() @ values.clamp_min(0))
    torch.testing.assert_close(per_example_quadratic(H, v, positive=True, steps=H.size), torch.stack(exact))


@pytest.mark.parametrize("curvature", [2e-30, 2.0, 2e30, 2e37])
def test_positive_parts_of_single_examples_hold_from_one_end_of_float32_to_the_other(curvature):
    model = torch.nn.Linear(2, 1, bias=False)
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]]) * (curvature / 2) ** 0.5
    H = Hessian(model, torch.nn.functional.mse_loss, [(x, torch.zeros(2, 1))], check=False)
    found = per_example_quadratic(H, torch.ones(2), positive=True)
    assert found.tolist() == pytest.approx([curvature, 9 * curvature], rel=1e-5)


@pytest.mark.parametrize("positive", [False, True])
def test_a_loss_without_second_derivatives_is_named(positive):
    H = Hessian(torch.nn.Linear(2, 1), torch.nn.functional.huber_loss, [(torch.ones(3, 2), torch.zeros(3, 1))])
    with pytest.raises(ValueError, match=r"runs huber_loss_backward.*use another kernel$"):
        per_example_quadratic(H, torch.ones(3), positive=positive)


def test_a_loss_that_asks_for_values_is_named():
    def loss(output, target):
        return ((output - torch.nn.functional.one_hot(target, 2)) ** 2).mean()

    H = Hessian(torch.nn.Linear(2, 2), loss, [(torch.ones(3, 2), torch.tensor([0, 1, 1]))], check=False)
    with pytest.raises(ValueError, match=r"asks for the values of a tensor, as \.item\(\) and one_hot do"):
        per_example_quadratic(H, torch.ones(6), positive=True)


def test_per_example_traces_and_their_maximum(make_problem):
    problem = make_problem("regression")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    traces = per_example_traces(H, products=100)
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


def test_per_example_traces_stop_at_the_requested_accuracy(make_problem):
    problem = make_problem("regression")
    H = Hessian(problem.model, problem.loss, problem.data, strategy="retained")
    traces = per_example_traces(H, products=500, rtol=0.3)
    assert traces.converged
    assert traces.products < 500
    assert float(traces.stderr[traces.argmax]) <= 0.3 * traces.maximum
    assert not per_example_traces(H, products=4, rtol=1e-6).converged


def test_changes_tell_how_far_lanczos_is_from_the_end(make_problem):
    problem = make_problem("mlp-tanh")
    H = Hessian(problem.model, problem.loss, [problem.data[0]], parameters="0", strategy="retained")
    v = torch.randn(H.size, dtype=H.dtype)
    exact = per_example_quadratic(H, v, positive=True, steps=H.size)
    values, changes = per_example_quadratic(H, v, positive=True, steps=4, changes=True)
    assert (changes > 0).any()
    assert ((values - exact).abs() <= 10 * changes + 1e-12).all()
    ended = per_example_quadratic(H, v, positive=True, steps=H.size, changes=True)[1]
    assert (ended <= 1e-8 * exact.abs().max()).all()
    assert not per_example_quadratic(H, v, changes=True)[1].any()
