"""Bad input gets one clear error."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reprise.hvp import (
    EmpiricalFisher,
    GaussNewton,
    Hessian,
    diagonal,
    eigsh,
    layer_traces,
    per_example_quadratic,
    per_example_traces,
    quadratic_positive,
    solve,
    spectral_density,
    trace,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


@pytest.fixture
def data():
    torch.manual_seed(1)
    return [(torch.randn(5, 3), torch.randint(2, (5,)))]


@pytest.fixture
def operator(model, data):
    return Hessian(model, F.cross_entropy, data, strategy="retained")


def test_loss_that_is_not_a_scalar(model, data):
    with pytest.raises(ValueError, match=r"loss must be a scalar.*got shape \(5,\)"):
        Hessian(model, lambda out, y: F.cross_entropy(out, y, reduction="none"), data)


def test_loss_that_is_not_a_tensor(model, data):
    with pytest.raises(TypeError, match="loss must return a tensor, got float"):
        Hessian(model, lambda out, y: 1.0, data, check=False) @ torch.ones(26)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_names_the_batch(model, data, bad):
    x, y = data[0]
    H = Hessian(model, F.cross_entropy, [(x, y), (x * bad, y)])
    with pytest.raises(ValueError, match="loss must be finite, got nan on batch 1"):
        H @ torch.ones(H.size)


def test_empty_data(model):
    with pytest.raises(ValueError, match="data must hold at least one batch"):
        Hessian(model, F.cross_entropy, [])
    with pytest.raises(TypeError, match="data must be an iterable of batches, got int"):
        Hessian(model, F.cross_entropy, 3)


def test_model_without_parameters(data):
    with pytest.raises(ValueError, match="none that requires a gradient"):
        Hessian(nn.Tanh(), F.cross_entropy, data)
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got function"):
        Hessian(lambda x: x, F.cross_entropy, data)


def test_vectors_of_the_wrong_form(operator):
    with pytest.raises(ValueError, match="length P = 26, got 25"):
        operator @ torch.ones(25)
    with pytest.raises(TypeError, match=r"dtype torch\.float32, got torch\.float64"):
        operator @ torch.ones(26).double()
    with pytest.raises(ValueError, match=r"shape \(26,\), got \(26, 1, 1\)"):
        operator @ torch.ones(26, 1, 1)
    with pytest.raises(ValueError, match="must lie on cpu, got meta"):
        operator @ torch.ones(26, device="meta")
    with pytest.raises(ValueError, match="must have the names"):
        operator @ {"0.weight": torch.ones(4, 3)}
    with pytest.raises(TypeError, match="tensor or a dict of tensors, got list"):
        operator @ [1.0]


def test_pattern_that_matches_nothing_lists_the_names(model, data):
    with pytest.raises(ValueError, match=r"'layer\*' matches none of 0.weight, 0.bias, 2.weight, 2.bias"):
        Hessian(model, F.cross_entropy, data, parameters="layer*")
    with pytest.raises(ValueError, match="Conv2d matches none"):
        Hessian(model, F.cross_entropy, data, parameters=nn.Conv2d(1, 1, 1))
    with pytest.raises(ValueError, match="predicate matches none"):
        Hessian(model, F.cross_entropy, data, parameters=lambda name, p: False)


def test_parameters_that_cannot_be_differentiated(model, data):
    model[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"0.weight requires no gradient"):
        Hessian(model, F.cross_entropy, data, parameters="0.weight")
    assert Hessian(model, F.cross_entropy, data, strategy="retained").space.names == ["0.bias", "2.weight", "2.bias"]
    with pytest.raises(TypeError, match=r"'x'.*real floating point, got torch.int64"):
        Hessian.of(lambda x: x.sum(), torch.ones(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="must be a tensor, got float"):
        Hessian.of(lambda p: p["a"], {"a": 1.0})
    with pytest.raises(TypeError, match="f must be callable"):
        Hessian.of(1.0, torch.ones(2))


@pytest.mark.parametrize(
    ("name", "value"),
    [("strategy", "fast"), ("block", "batch"), ("batch_norm", "train"), ("resident", "maybe"), ("chunk_size", 0)],
)
def test_unknown_settings(model, data, name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Hessian(model, F.cross_entropy, data, **{name: value})


def test_group_without_processes(model, data):
    with pytest.raises(ValueError, match="process_group needs"):
        Hessian(model, F.cross_entropy, data, process_group="world")


def test_device_where_the_model_is_not(model, data):
    with pytest.raises(ValueError, match="device must be where the model is"):
        Hessian(model, F.cross_entropy, data, device="meta")


def test_curvature_that_needs_a_loss(data):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 2)

        def forward(self, x, labels):
            return F.cross_entropy(self.inner(x), labels)

    x, y = data[0]
    batches = [{"x": x, "labels": y}]
    model = Wrapped()
    H = Hessian(model, None, batches, strategy="retained")
    torch.testing.assert_close(H.dense(), Hessian(model.inner, F.cross_entropy, data, strategy="retained").dense())
    for kind in (GaussNewton, EmpiricalFisher):
        with pytest.raises(ValueError, match="loss must be given"):
            kind(model, None, batches)
    with pytest.raises(ValueError, match="loss must be a scalar"):
        Hessian(nn.Linear(3, 2), None, [x])


def test_estimators_name_what_is_wrong(operator):
    A = torch.eye(4)
    for call, message in (
        (lambda: trace(A, method="exact"), "method must be one of"),
        (lambda: trace(A, products=1), "products must be at least 2"),
        (lambda: trace(A, rtol=-1.0), "rtol must be positive"),
        (lambda: trace(A, method="xtrace", distribution="gaussian"), "distribution must be 'sphere' or 'rademacher'"),
        (lambda: trace(A, method="hutchinson", distribution="uniform"), "distribution must be one of"),
        (lambda: trace(-A, method="xnystrace"), "positive semi-definite"),
        (lambda: trace(operator, method="noise", sigma=0.0), "sigma must be positive"),
        (lambda: trace(torch.ones(2, 3)), "matrix must be square"),
        (lambda: trace(torch.tensor([[0.0, 1.0], [0.0, 0.0]])), "matrix must be symmetric"),
        (lambda: diagonal(A, rtol=0.0), "rtol must be positive"),
        (lambda: layer_traces(operator, rtol=0.0), "rtol must be positive"),
        (lambda: spectral_density(A, rtol=0.0), "rtol must be positive"),
        (lambda: quadratic_positive(A, torch.ones(4), rtol=0.0), "rtol must be positive"),
        (lambda: per_example_traces(operator, rtol=0.0), "rtol must be positive"),
        (lambda: per_example_traces(operator, products=1), "products must be at least 2"),
        (lambda: diagonal(A, method="exact"), "method must be"),
        (lambda: diagonal(A, products=2), "products must be at least 4"),
        (lambda: layer_traces(operator, by="block"), "by must be"),
        (lambda: operator.blocks("row"), "by must be"),
        (lambda: eigsh(A, k=5), r"k must be between 1 and P \(4\), got 5"),
        (lambda: eigsh(A, k=1, which="SM"), "which must be one of"),
        (lambda: eigsh(A, k=1, method="lobpcg"), "which must be 'LA' or 'SA'"),
        (lambda: eigsh(A, k=1, tol=0.0), "tol must be positive"),
        (lambda: spectral_density(A, starts=0), "starts must be at least 1"),
        (lambda: spectral_density(A, steps=0), "steps must be at least 1"),
        (lambda: spectral_density(A).pdf(torch.ones(1), sigma=-1.0), "sigma must be positive"),
        (lambda: spectral_density(A).fraction(1.0, 0.0), "lower must be at most upper"),
        (lambda: spectral_density(A).signs(-1.0), "epsilon must be at least 0"),
        (lambda: solve(A, torch.ones(4), damping=-1.0), "damping must be at least 0"),
        (lambda: solve(A, torch.full((4,), float("nan"))), "b must be finite"),
        (lambda: solve(-A, torch.ones(4), method="cg"), "negative curvature"),
        (lambda: solve(A, torch.ones(4), method="lu"), "method must be"),
        (lambda: quadratic_positive(A, torch.ones(4), steps=0), "steps must be at least 1"),
        (lambda: quadratic_positive(A, torch.ones(3)), "length P = 4, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for call, message in (
        (lambda: trace([[1.0]]), "operator must be a SymmetricOperator or a square tensor"),
        (lambda: trace(A, method="noise"), "operator must have a function"),
        (lambda: trace(A, generator="seed"), "generator must be a torch.Generator"),
        (lambda: per_example_quadratic(A, torch.ones(4)), "operator must be a Hessian or GaussNewton"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_dense_refuses_large_operators():
    H = Hessian.of(lambda x: (x**2).sum(), torch.zeros(20_001), check=False)
    with pytest.raises(ValueError, match=r"dense.*needs P"):
        H.dense()
