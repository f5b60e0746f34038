"""The training loop, self-labelling, re-weighting, gap, noise in the weights, norm bounds, the certificate."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from reprise.robust_fine_tuning import (
    NSO,
    SAM,
    Certificate,
    ConsistentLoss,
    DistancePenalty,
    LayerConstraints,
    Relabel,
    Reweight,
    fine_tune,
    generalization_gap,
    hessian_distance,
    pac_bayes_norm_bound,
    perturbed_loss,
    symmetric_confusion,
)


def problem(seed=0, n=60):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    y = torch.arange(n) % 3
    x = torch.randn(n, 4) + 3 * nn.functional.one_hot(y, 4)
    return model, state, (x, y)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05)


def test_one_full_batch_step_is_projected_gradient_descent():
    model, state, (x, y) = problem()
    nn.functional.cross_entropy(model(x), y).backward()
    expected = {name: p.detach() - 0.05 * p.grad for name, p in model.named_parameters()}
    moved = expected["0.weight"] - state["0.weight"]
    expected["0.weight"] = state["0.weight"] + moved * 1e-3 / moved.norm()
    model.zero_grad()
    balls = LayerConstraints(model, state, {"0.weight": 1e-3})
    fine_tune(model, (x, y), optimizer=sgd, epochs=1, batch_size=60, constraints=balls)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-4, atol=1e-6)


def test_every_layer_stays_in_its_ball_and_the_loss_falls():
    model, state, data = problem()
    balls = LayerConstraints(model, state, {"0.weight": 0.2, "2.weight": 0.3})
    history = fine_tune(model, data, optimizer=sgd, epochs=10, constraints=balls)
    assert all(distance <= radius * 1.001 for distance, radius in zip(balls.distances().values(), (0.2, 0.3)))
    assert history.column("train_loss")[-1] < history.column("train_loss")[0]


@pytest.mark.parametrize("kind", [NSO, SAM])
def test_flat_optimizers_train_and_take_two_gradients_a_step(kind):
    model, _, data = problem()
    made = []

    def optimizer(parameters):
        made.append(kind(parameters, torch.optim.SGD, lr=0.05, **({"sigma": 0.01} if kind is NSO else {})))
        return made[0]

    history = fine_tune(model, data, optimizer=optimizer, epochs=5, batch_size=20, decay_every=2)
    assert made[0].evaluations == 2 * 5 * 3
    assert made[0].param_groups[0]["lr"] == pytest.approx(0.05 * 0.1**2)
    assert history.column("train_loss")[-1] < history.column("train_loss")[0]


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator():
    before = torch.get_rng_state()
    runs = []
    for _ in range(2):
        model, _, data = problem()
        torch.set_rng_state(before)
        fine_tune(model, data, optimizer=sgd, epochs=2, mixup=0.2, seed=np.int64(7))
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(model.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_the_best_epoch_is_kept_and_patience_ends_the_run():
    model, _, data = problem()
    flipped = (data[0], (data[1] + 1) % 3)  # validation gets worse while training goes on
    history = fine_tune(model, data, optimizer=sgd, epochs=30, validation=flipped, patience=3)
    assert history.stopped_early and len(history.epochs) == history.best_epoch + 3
    accuracy = float((model.eval()(data[0]).argmax(1) == flipped[1]).double().mean())
    assert accuracy == pytest.approx(max(history.column("validation_accuracy")))


def test_labels_are_corrected_for_good_and_the_given_ones_left_alone():
    model, _, (x, y) = problem(n=90)
    noisy = y.clone()
    noisy[:9] = (noisy[:9] + 1) % 3
    given = noisy.clone()
    history = fine_tune(
        model,
        (x, noisy),
        optimizer=lambda p: torch.optim.Adam(p, lr=0.01),
        epochs=40,
        decay_every=None,
        relabel=Relabel(15, 0.9),
        reweight=Reweight(5),
    )
    assert torch.equal(noisy, given)
    changed = history.labels != given
    assert changed.any() and history.epochs[13]["changed_labels"] == 0
    assert float((history.labels == y).double().mean()) > float((given == y).double().mean())


def test_weights_sum_to_one_trust_small_losses_and_carry_no_gradient():
    losses = torch.tensor([0.1, 3.0], requires_grad=True)
    Reweight(1, temperature=2.0).mean(losses, 1).backward()
    expected = (-losses.detach() / 2.0).softmax(0)
    torch.testing.assert_close(losses.grad, expected)
    assert float(losses.grad.sum()) == pytest.approx(1.0)


def test_the_corrected_loss_starts_at_its_epoch():
    runs = []
    for start in (1, 3):
        model, _, data = problem()
        loss = ConsistentLoss(symmetric_confusion(3, 0.3))
        runs.append(fine_tune(model, data, optimizer=sgd, epochs=2, loss=loss, loss_from=start).column("train_loss"))
    model, _, data = problem()
    plain = fine_tune(model, data, optimizer=sgd, epochs=2).column("train_loss")
    assert runs[1] == plain and runs[0] != plain


def test_the_penalty_keeps_weights_nearer():
    distances = []
    for strength in (0.0, 1.0):
        model, state, data = problem()
        fine_tune(model, data, optimizer=sgd, epochs=10, penalty=DistancePenalty(model, state, strength))
        distances.append(float((model[0].weight.detach() - state["0.weight"]).norm()))
    assert distances[1] < 0.5 * distances[0]


def test_a_loss_that_explodes_is_said():
    model, _, data = problem()
    with pytest.raises(ValueError, match="not finite after epoch"):
        fine_tune(model, data, optimizer=lambda p: torch.optim.SGD(p, lr=1e30), epochs=3)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"epochs": True}, TypeError, "epochs must be a whole number"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number"),
        ({"mixup": -1.0}, ValueError, "mixup must be finite, at least 0"),
        ({"train": (torch.zeros(3, 4), [0, 1, 5])}, ValueError, "at most 2"),
        ({"train": torch.zeros(3, 4)}, TypeError, "pair"),
        ({"train": ("x", [0])}, TypeError, r"train\[0\] must be a tensor"),
        ({"validation": (torch.zeros(3, 4), [0, 1])}, ValueError, "as many inputs as labels"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)
def test_bad_input_changes_no_weight(change, error, match):
    model, state, data = problem()
    with pytest.raises(error, match=match):
        fine_tune(**({"model": model, "train": data, "epochs": 1} | change))
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("start", "threshold"), [(0, 0.9), (1, 1.5)])
def test_malformed_self_labelling_is_refused(start, threshold):
    with pytest.raises(ValueError, match=r"start must be|threshold must be"):
        Relabel(start, threshold)


def test_the_gap_is_test_loss_minus_training_loss():
    model, _, data = problem()
    other = (data[0] + 1, data[1])
    found = generalization_gap(model, data, other)
    with torch.no_grad():
        train, test = (nn.functional.cross_entropy(model(x), y) for x, y in (data, other))
    assert found.gap == pytest.approx(float(test - train), rel=1e-5)


def test_the_perturbed_loss_has_half_sigma_squared_times_the_trace():
    """E ℓ(W + U) = ℓ(W) + (σ²/2) tr H + O(σ⁴), by Hessian of a small network in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(30, 3).double(), torch.arange(30) % 3
    names, values = zip(*model.named_parameters())
    sizes = [p.numel() for p in values]

    def loss(flat):
        parts = {n: part.view_as(p) for n, p, part in zip(names, values, torch.split(flat, sizes))}
        return nn.functional.cross_entropy(torch.func.functional_call(model, parts, (x,)), y)

    flat = torch.cat([p.detach().flatten() for p in values])
    curvature = float(torch.autograd.functional.hessian(loss, flat).trace())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    sigma, samples = 0.02, 1000
    mean, std = perturbed_loss(model, (x, y), sigma, samples=samples, generator=np.random.default_rng(0))
    expected = 0.5 * sigma**2 * curvature
    assert mean - float(loss(flat)) == pytest.approx(expected, abs=4 * std / samples**0.5 + 0.02 * expected)
    one_sided = perturbed_loss(model, (x, y), sigma, samples=50, two_sided=False)[1]
    assert std < 0.5 * one_sided
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_weights_are_put_back_when_the_model_fails():
    model, state, data = problem()
    passes = []

    def fail(*_):
        passes.append(model.state_dict()["0.weight"].clone())
        if len(passes) == 3:  # one to see the classes, one at W + U
            raise RuntimeError("no more")

    handle = model.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="no more"):
        perturbed_loss(model, data, 0.1)
    handle.remove()
    assert not torch.equal(passes[1], state["0.weight"])
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="sigma must be finite, at least 0"):
        perturbed_loss(model, (torch.zeros(2, 4), [0, 1]), -1.0)


@pytest.mark.parametrize("kind", ["distance", "spectral", "infinity"])
def test_norm_bounds_fall_with_n_and_exceed_the_measure(kind):
    model, state, data = problem()
    fine_tune(model, data, optimizer=sgd, epochs=5)
    small, large = (pac_bayes_norm_bound(model, state, n, kind=kind, slack=1e-3) for n in (100, 10000))
    assert large < small
    assert large - 1e-3 == pytest.approx((small - 1e-3) / 10, rel=0.2)
    assert small > hessian_distance(model.eval(), state, data, method="ggn").measure


def test_the_distance_bound_is_the_formula():
    model = nn.Linear(2, 2, bias=False)
    state = {"weight": torch.eye(2)}
    with torch.no_grad():
        model.weight.copy_(torch.eye(2) * 2)
    d = math.sqrt(2)  # ‖I‖_F; B = 1; one layer: the product over itself is 1
    main = 36 / 0.1**2 * 2 * 2 * math.log(4 * 1 * 2 * 1.5) * d**2
    expected = 0.1 + 1.5 * math.sqrt((main + 3 * math.log(50 / 0.01) + 8) / 50)
    assert pac_bayes_norm_bound(model, state, 50, loss_bound=1.5) == pytest.approx(expected)
    with pytest.raises(ValueError, match="kind must be one of"):
        pac_bayes_norm_bound(model, state, 50, kind="rademacher")


def test_the_certificate_is_the_measure_on_its_sample():
    model, state, data = problem()
    seen = []
    certificate = Certificate(model, state, data, count=20, log=seen.append)
    history = fine_tune(model, data, optimizer=sgd, epochs=3, validation=data, keep_best=False, callbacks=[certificate])
    expected = hessian_distance(model.eval(), state, certificate.sample, method="ggn", n=60)
    assert history.epochs[-1]["measure"] == pytest.approx(expected.measure)
    assert history.epochs[-1]["loss_bound"] == pytest.approx(expected.loss_bound)
    assert len(seen) == 3 and {"measure", "gap"} <= seen[0].keys()
