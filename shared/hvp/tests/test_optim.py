"""NSO and SAM: what they compute, what they leave alone, and that torch takes them for optimizers."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from reprise.hvp import NSO, SAM
from reprise.hvp.optim.nso import unit_noise

LAWS = ("normal", "laplace", "uniform", "rademacher")


def quadratic(dimension: int = 6, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    b = torch.randn(dimension, generator=generator, dtype=torch.float64)
    w = nn.Parameter(torch.randn(dimension, generator=generator, dtype=torch.float64))
    A = root + root.T
    return A, b, w, lambda: 0.5 * w @ A @ w + b @ w


def network(*, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    between = ([nn.BatchNorm1d(8)] if norm else []) + [nn.Tanh(), nn.Dropout(dropout)]
    return nn.Sequential(nn.Linear(4, 8), *between, nn.Linear(8, 3))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 4, generator=generator), torch.randint(3, (16,), generator=generator)


@settings(deadline=None)
@given(sigma=st.floats(0, 10), perturbations=st.integers(1, 3), law=st.sampled_from(LAWS), seed=st.integers(0, 99))
def test_two_point_gradient_is_exact_on_a_quadratic(sigma, perturbations, law, seed):
    A, b, w, loss = quadratic(seed=seed)
    before = w.detach().clone()
    generator = torch.Generator().manual_seed(seed)
    optimizer = NSO(
        [w], torch.optim.SGD, sigma=sigma, perturbations=perturbations, noise=law, generator=generator, lr=0.1
    )
    optimizer.step(loss)
    torch.testing.assert_close(w.detach(), before - 0.1 * (A @ before + b), rtol=1e-9, atol=1e-9 * (1 + sigma))


def test_one_point_gradient_has_covariance_sigma_squared_hessian_squared():
    A, _, w, loss = quadratic(dimension=3)
    before, sigma, draws = w.detach().clone(), 0.3, 2_000
    generator = torch.Generator().manual_seed(0)
    optimizer = NSO([w], torch.optim.SGD, sigma=sigma, two_point=False, generator=generator, lr=1.0)
    steps = torch.empty(draws, 3, dtype=torch.float64)
    for step in steps:
        w.data.copy_(before)
        optimizer.step(loss)
        step.copy_(before - w.detach())
    exact = sigma**2 * A @ A
    # an entry of a sample covariance has the variance (c_ii c_jj + c_ij²)/draws; six of its deviations
    error = ((exact.diag()[:, None] * exact.diag() + exact**2) / draws).sqrt()
    assert ((steps.T.cov() - exact).abs() < 6 * error).all()


def test_two_point_gradient_of_a_cubic_shifts_by_the_gradient_of_the_trace():
    w = nn.Parameter(torch.tensor([0.7, -0.4], dtype=torch.float64))
    before, sigma, draws = w.detach().clone(), 0.5, 2_000
    generator = torch.Generator().manual_seed(0)
    optimizer = NSO([w], torch.optim.SGD, sigma=sigma, perturbations=draws, generator=generator, lr=1.0)
    optimizer.step(lambda: (w**3).sum() / 6)
    # f = Σ w³/6: ∇f = w²/2, and (σ²/2)∇tr∇²f = σ²/2; the average of u²/2 over draws varies by σ²/√(2 draws)
    shift = (before - w.detach()) - before**2 / 2
    assert ((shift - sigma**2 / 2).abs() < 5 * sigma**2 / (2 * draws) ** 0.5).all()


def test_gradient_is_the_average_written_by_hand():
    _, b, w, _ = quadratic()
    target = w.detach().clone()

    def loss():
        return (w**4).sum() + b @ w

    generator, twin = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    optimizer = NSO([w], torch.optim.SGD, sigma=0.2, perturbations=3, clean_weight=0.4, generator=generator, lr=1e-3)
    value = optimizer.step(loss)

    def g(x):
        return 4 * x**3 + b

    def f(x):
        return (x**4).sum() + b @ x

    draws = [0.2 * torch.randn(6, generator=twin, dtype=torch.float64) for _ in range(3)]
    expected = 0.4 * g(target) + 0.6 / 6 * sum(g(target + u) + g(target - u) for u in draws)
    torch.testing.assert_close(w.detach(), target - 1e-3 * expected)
    torch.testing.assert_close(value, 0.4 * f(target) + 0.6 / 6 * sum(f(target + u) + f(target - u) for u in draws))


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        ({}, 2),
        ({"perturbations": 3}, 6),
        ({"clean_weight": 0.5}, 3),
        ({"clean_weight": 1.0}, 1),
        ({"two_point": False}, 1),
    ],
)
def test_a_step_takes_as_many_gradients_as_the_formula_and_no_more(options, evaluations):
    model, (x, y) = network(), batch()
    calls = []
    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.1, lr=0.1, **options)
    optimizer.step(lambda: calls.append(1) or cross_entropy(model(x), y))
    assert len(calls) == optimizer.evaluations == evaluations


@pytest.mark.parametrize(
    "make", [lambda p: NSO(p, torch.optim.SGD, sigma=0.3, lr=0.0), lambda p: SAM(p, torch.optim.SGD, lr=0.0)]
)
def test_weights_come_back_bit_for_bit(make):
    model, (x, y) = network(), batch()
    before = copy.deepcopy(model.state_dict())
    make(model.parameters()).step(lambda: cross_entropy(model(x), y))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "make", [lambda p: NSO(p, torch.optim.SGD, sigma=0.3, lr=0.1), lambda p: SAM(p, torch.optim.SGD, lr=0.1)]
)
def test_weights_come_back_bit_for_bit_when_the_closure_raises(make):
    model, (x, y) = network(), batch()
    before = copy.deepcopy(model.state_dict())
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of data")
        return cross_entropy(model(x), y)

    with pytest.raises(RuntimeError, match="out of data"):
        make(model.parameters()).step(closure)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "make", [lambda p: NSO(p, torch.optim.SGD, sigma=0.0, lr=0.1), lambda p: SAM(p, torch.optim.SGD, rho=0.0, lr=0.1)]
)
def test_both_passes_draw_the_same_dropout_mask(make):
    model, (x, y) = network(dropout=0.5), batch()
    losses = []

    def closure():
        loss = cross_entropy(model(x), y)
        losses.append(loss.detach())
        return loss

    optimizer = make(model.parameters())
    optimizer.step(closure)
    optimizer.step(closure)
    first, second, third, _ = losses
    assert torch.equal(first, second) and not torch.equal(second, third)


def test_dropout_goes_on_as_if_one_pass_had_drawn():
    model, (x, y) = network(dropout=0.5), batch()
    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.1, lr=0.1, generator=torch.Generator())
    torch.manual_seed(3)
    model(x)
    expected = torch.rand(1)
    torch.manual_seed(3)
    optimizer.step(lambda: cross_entropy(model(x), y))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(("options", "passes"), [({}, 1), ({"clean_weight": 0.5}, 1), ({"clean_statistics": True}, 1)])
def test_batch_normalisation_is_written_once_a_step(options, passes):
    model, (x, y) = network(norm=True), batch()
    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.3, model=model, lr=0.1, **options)
    clean = copy.deepcopy(model)
    clean(x)
    optimizer.step(lambda: cross_entropy(model(x), y))
    assert model[1].num_batches_tracked == passes
    assert torch.equal(model[1].running_mean, clean[1].running_mean) == bool(options)
    assert model[1].track_running_stats


def test_clean_statistics_cost_no_gradient():
    model, (x, y) = network(norm=True), batch()
    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.3, model=model, clean_statistics=True, lr=0.1)
    optimizer.step(lambda: cross_entropy(model(x), y))
    assert optimizer.evaluations == 2


def test_batch_normalisation_of_an_evaluated_model_is_not_written():
    model, (x, y) = network(norm=True).eval(), batch()
    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.3, model=model, lr=0.1)
    optimizer.step(lambda: cross_entropy(model(x), y))
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize("backward", [False, True])
def test_a_closure_may_or_may_not_call_backward(backward):
    model, (x, y) = network(), batch()
    reference = copy.deepcopy(model)

    def closure():
        loss = cross_entropy(model(x), y)
        if backward:
            optimizer.zero_grad()
            loss.backward()
        return loss

    optimizer = NSO(model.parameters(), torch.optim.SGD, sigma=0.0, lr=0.1)
    cross_entropy(model(x) * 3, y).backward()  # a gradient from before, which does not count
    optimizer.step(closure)
    plain = torch.optim.SGD(reference.parameters(), lr=0.1)
    cross_entropy(reference(x), y).backward()
    plain.step()
    for ours, theirs in zip(model.parameters(), reference.parameters()):
        torch.testing.assert_close(ours, theirs)


def test_noise_of_a_parameter_does_not_depend_on_those_after_it():
    def first(extra: int) -> torch.Tensor:
        parameters = [nn.Parameter(torch.zeros(20)), nn.Parameter(torch.zeros(extra))]
        seen = []
        optimizer = NSO(
            parameters, torch.optim.SGD, sigma=1.0, generator=torch.Generator().manual_seed(0), noise="uniform", lr=0.1
        )
        optimizer.step(lambda: seen.append(parameters[0].detach().clone()) or sum(p.sum() for p in parameters))
        return seen[0]

    assert torch.equal(first(3), first(30))


@pytest.mark.parametrize("law", LAWS)
def test_noise_is_symmetric_with_unit_variance(law):
    draws = unit_noise(law, 400_000, torch.Generator().manual_seed(0), dtype=torch.float64, device=torch.device("cpu"))
    fourth = {"normal": 3.0, "laplace": 6.0, "uniform": 1.8, "rademacher": 1.0}[law]
    assert abs(float(draws.mean())) < 5 / 400_000**0.5
    assert abs(float((draws**2).mean()) - 1) <= 5 * ((fourth - 1) / 400_000) ** 0.5
    assert abs(float((draws**4).mean()) / fourth - 1) < 0.1  # it is that law, not just one of unit variance
    assert draws.isfinite().all()


def test_a_group_has_its_own_sigma():
    quiet, loud = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    seen = []
    groups = [{"params": [quiet], "sigma": 0.0}, {"params": [loud]}]
    optimizer = NSO(groups, torch.optim.SGD, sigma=1.0, lr=0.1)
    optimizer.step(lambda: seen.append((quiet.detach().clone(), loud.detach().clone())) or (quiet + loud).sum())
    assert all(not q.any() and bool(v.any()) for q, v in seen)


def test_unused_and_frozen_parameters_are_left_alone():
    used, unused, frozen = (nn.Parameter(torch.ones(2)) for _ in range(3))
    frozen.requires_grad_(False)
    optimizer = NSO([used, unused, frozen], torch.optim.Adam, sigma=0.1, lr=0.1)
    optimizer.step(lambda: (used * frozen).sum())
    assert torch.equal(unused, torch.ones(2)) and torch.equal(frozen, torch.ones(2))
    assert unused.grad is None and not torch.equal(used, torch.ones(2))


@pytest.mark.parametrize("kind", [NSO, SAM])
def test_schedulers_and_checkpoints_see_one_optimizer(kind):
    own = {"sigma": 0.1, "generator": torch.Generator().manual_seed(0)} if kind is NSO else {}
    model, (x, y) = network(), batch()
    optimizer = kind(model.parameters(), torch.optim.AdamW, lr=0.1, **own)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step(lambda: cross_entropy(model(x), y))
    scheduler.step()
    assert optimizer.base.param_groups[0]["lr"] == 0.05

    other = copy.deepcopy(model)
    again = kind(other.parameters(), torch.optim.AdamW, lr=9.0, **copy.deepcopy(own))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    if kind is NSO:
        again.generator.set_state(optimizer.generator.get_state())
    optimizer.step(lambda: cross_entropy(model(x), y))
    again.step(lambda: cross_entropy(other(x), y))
    for ours, theirs in zip(model.parameters(), other.parameters()):
        assert torch.equal(ours, theirs)


def test_a_group_added_later_takes_part():
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = NSO([first], torch.optim.SGD, sigma=0.1, lr=0.1)
    optimizer.add_param_group({"params": [second], "sigma": 0.0})
    optimizer.step(lambda: (first**2 + second**2).sum())
    torch.testing.assert_close(second.detach(), torch.full((2,), 0.8))
    copied = copy.deepcopy(optimizer)
    assert copied.base.param_groups is copied.param_groups


def test_sam_takes_the_gradient_at_the_worst_point_nearby():
    A, b, w, loss = quadratic()
    before = w.detach().clone()
    optimizer = SAM([w], torch.optim.SGD, rho=0.3, lr=0.1)
    value = optimizer.step(loss)
    g = A @ before + b
    torch.testing.assert_close(w.detach(), before - 0.1 * (A @ (before + 0.3 * g / g.norm()) + b))
    torch.testing.assert_close(value, 0.5 * before @ A @ before + b @ before)
    assert optimizer.evaluations == 2


def test_sam_stays_where_the_gradient_is_zero():
    w = nn.Parameter(torch.zeros(3))
    SAM([w], torch.optim.SGD, lr=0.1).step(lambda: (w**2).sum())
    assert torch.equal(w.detach(), torch.zeros(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1.0}, "sigma must be finite and at least 0, got -1.0"),
        ({"sigma": float("nan")}, "sigma"),
        ({"sigma": 0.1, "perturbations": 0}, "perturbations must be a whole number of at least 1, got 0"),
        ({"sigma": 0.1, "clean_weight": 1.1}, "clean_weight must lie between 0 and 1, got 1.1"),
        ({"sigma": 0.1, "noise": "cauchy"}, "noise must be one of .*variance 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NSO([nn.Parameter(torch.ones(2))], torch.optim.SGD, lr=0.1, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": True}, "sigma must be a number, got True"),
        ({"sigma": "0.1"}, "sigma must be a number"),
        ({"sigma": 0.1, "perturbations": 1.5}, "perturbations must be a whole number of at least 1, got 1.5"),
        ({"sigma": 0.1, "perturbations": True}, "perturbations must be a whole number"),
        ({"sigma": 0.1, "clean_weight": "half"}, "clean_weight must be a number, got 'half'"),
        ({"sigma": 0.1, "generator": 3}, "generator must be a torch.Generator or None, got 3"),
    ],
)
def test_options_of_another_kind_are_named(options, message):
    with pytest.raises(TypeError, match=message):
        NSO([nn.Parameter(torch.ones(2))], torch.optim.SGD, lr=0.1, **options)


def test_without_anything_to_optimize_or_a_closure_it_says_so():
    with pytest.raises(ValueError, match="params must hold a tensor that requires a gradient, got none"):
        NSO([torch.ones(2, dtype=torch.long)], torch.optim.SGD, sigma=0.1, lr=0.1)
    for optimizer in (NSO, SAM):
        options = {"sigma": 0.1} if optimizer is NSO else {}
        with pytest.raises(TypeError, match="closure must be callable and return the loss, got None"):
            optimizer([nn.Parameter(torch.ones(2))], torch.optim.SGD, lr=0.1, **options).step(None)


def test_bad_parts_are_named():
    parameter = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="rho must be finite and at least 0"):
        SAM([parameter], torch.optim.SGD, rho=-0.1, lr=0.1)
    with pytest.raises(ValueError, match="LBFGS"):
        NSO([parameter], torch.optim.LBFGS, sigma=0.1)
    with pytest.raises(TypeError, match="base must be an optimizer's class"):
        NSO([parameter], "adam", sigma=0.1)
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got int"):
        SAM([parameter], torch.optim.SGD, model=3, lr=0.1)
    with pytest.raises(ValueError, match="sigma must be finite"):
        NSO([{"params": [parameter], "sigma": -1.0}], torch.optim.SGD, sigma=0.1, lr=0.1)
    optimizer = NSO([parameter], torch.optim.SGD, sigma=0.1, lr=0.1)
    with pytest.raises(TypeError, match="closure must return the loss, a tensor of one number, got NoneType"):
        optimizer.step(lambda: None)
    with pytest.raises(ValueError, match="closure must return a loss that depends on the parameters"):
        optimizer.step(lambda: torch.ones(()))
    assert torch.equal(parameter.detach(), torch.ones(2))
