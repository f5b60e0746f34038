"""What the functions of this package refuse, and in which words; and the kinds of numbers that they take."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from reprise.robust_fine_tuning import (
    NSO,
    SAM,
    Certificate,
    ConsistentLoss,
    LayerConstraints,
    Relabel,
    choose_radii,
    estimate_confusion,
    fine_tune,
    flip_labels,
    generalization_gap,
    hessian_distance,
    keyword_labels,
    layer_distances,
    layer_radii,
    noisy_label_bound,
    pac_bayes_norm_bound,
    perturbed_loss,
    replace_labels,
    symmetric_confusion,
    tokenize,
    trace_bound,
    weight_layers,
)

SGD = torch.optim.SGD


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def data(labels=(0, 1, 1)):
    return torch.arange(9.0).view(3, 3), list(labels)


def state(**changes):
    return dict(model().state_dict()) | changes


class WholeNumbers(nn.Module):
    """A model with a weight of integers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3, dtype=torch.long), requires_grad=False)


def corrected(noisy):
    return ConsistentLoss([[0.8, 0.2], [0.2, 0.8]])(torch.zeros(2, 2), torch.tensor(noisy))


CASES = {
    "confusion that is not square": (lambda: ConsistentLoss([[1.0, 0.0]]), ValueError, "confusion must be square"),
    "rows that do not sum to 1": (
        lambda: ConsistentLoss([[0.9, 0.1 + 2e-6], [0.1, 0.9]]),
        ValueError,
        "rows must sum to 1, but row 0",
    ),
    "a singular confusion": (
        lambda: ConsistentLoss(torch.full((3, 3), 1 / 3)),
        ValueError,
        r"condition number.*k = 3.*ρ = 0.6667",
    ),
    "singular symmetric noise": (lambda: symmetric_confusion(4, 0.75), ValueError, r"k = 4"),
    "a radius of zero": (lambda: layer_radii(model(), model(), 0), ValueError, "D must be finite, above 0"),
    "a negative radius": (lambda: layer_radii(model(), model(), -1.0), ValueError, "D must be finite, above 0"),
    "a radius that is not a number": (lambda: layer_radii(model(), model(), math.nan), ValueError, "D must be finite"),
    "one bad radius of several": (
        lambda: LayerConstraints(model(), model(), {"0.weight": 1.0, "2.weight": math.inf}),
        ValueError,
        r"radii\['2.weight'\] must be finite",
    ),
    "radii in a list": (lambda: LayerConstraints(model(), model(), [1.0]), TypeError, "radii must map names"),
    "a reference that lacks a layer": (
        lambda: hessian_distance(model(), {"0.weight": torch.zeros(4, 3)}, data()),
        ValueError,
        "reference lacks layer '2.weight'",
    ),
    "a reference of another shape": (
        lambda: layer_radii(model(), state(**{"2.weight": torch.zeros(5, 4)}), 1.0),
        ValueError,
        r"reference\['2.weight'\] must have shape \(2, 4\), got \(5, 4\)",
    ),
    "a reference that holds no tensor": (
        lambda: layer_distances(model(), state(**{"2.weight": 3})),
        TypeError,
        r"reference\['2.weight'\] must be a tensor, got int",
    ),
    "a label above k - 1": (lambda: hessian_distance(model(), model(), data((0, 1, 2))), ValueError, "at most 1"),
    "a negative label": (lambda: generalization_gap(model(), data((0, -1, 1)), data()), ValueError, "at least 0"),
    "labels of floating point": (lambda: fine_tune(model(), data((0.0, 1.0, 1.0))), TypeError, "whole numbers"),
    "a noisy label above k - 1": (lambda: flip_labels([0, 2], torch.eye(2)), ValueError, "at most 1"),
    "more labels than probabilities": (
        lambda: estimate_confusion([[0.5, 0.5]], [0, 1]),
        ValueError,
        "as long as probabilities",
    ),
    "a share of labels above one": (lambda: replace_labels([0, 1], 1.5, 2), ValueError, "rate must be finite"),
    "noise of negative sigma": (lambda: NSO(model().parameters(), SGD, sigma=-0.1, lr=1.0), ValueError, "sigma"),
    "noise of infinite sigma": (lambda: NSO(model().parameters(), SGD, sigma=math.inf, lr=1.0), ValueError, "sigma"),
    "no perturbation": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, perturbations=0, lr=1.0),
        ValueError,
        "perturbations must be a whole number of at least 1, got 0",
    ),
    "an unknown law": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, noise="cauchy", lr=1.0),
        ValueError,
        "noise must be one of",
    ),
    "a law of mean 2": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, noise="binomial", lr=1.0),
        ValueError,
        "symmetric about 0 with variance 1",
    ),
    "a sigma that is a truth value": (
        lambda: NSO(model().parameters(), SGD, sigma=True, lr=1.0),
        TypeError,
        "sigma must be a number, got True",
    ),
    "a sigma in words": (lambda: NSO(model().parameters(), SGD, sigma="0.1", lr=1.0), TypeError, "sigma must be a num"),
    "half a perturbation": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, perturbations=1.5, lr=1.0),
        TypeError,
        "perturbations must be a whole number of at least 1, got 1.5",
    ),
    "a seed for a generator": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, generator=3, lr=1.0),
        TypeError,
        "generator must be a torch.Generator or None, got 3",
    ),
    "no closure": (
        lambda: NSO(model().parameters(), SGD, sigma=0.1, lr=1.0).step(None),
        TypeError,
        "closure must be callable",
    ),
    "nothing to optimize": (
        lambda: SAM([torch.ones(2, dtype=torch.long)], SGD, lr=1.0),
        ValueError,
        "params must hold a tensor that requires a gradient",
    ),
    "a rho in words": (lambda: SAM(model().parameters(), SGD, rho="a", lr=1.0), TypeError, "rho must be a number"),
    "a negative rho": (lambda: SAM(model().parameters(), SGD, rho=-1.0, lr=1.0), ValueError, "rho"),
    "a negative sigma of the perturbed loss": (
        lambda: perturbed_loss(model(), data(), -1),
        ValueError,
        "sigma must be finite, at least 0",
    ),
    "dropout in train mode": (
        lambda: hessian_distance(nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)), {}, data(), head="1"),
        ValueError,
        r"evaluation mode: 0 \(Dropout\) is in train mode.*eval_mode=True",
    ),
    "batch normalisation in train mode": (
        lambda: trace_bound(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)), {}, data(), head="1"),
        ValueError,
        r"evaluation mode: 0 \(BatchNorm1d\)",
    ),
    "no layers": (lambda: weight_layers(model(), []), ValueError, "layers must name at least one weight"),
    "a model without weights": (lambda: weight_layers(nn.ReLU()), ValueError, "no trainable 2-D or 4-D weight"),
    "a layer that is not there": (lambda: weight_layers(model(), "9.weight"), ValueError, "no parameter '9.weight'"),
    "a weight of integers": (
        lambda: weight_layers(WholeNumbers(), ["weight"]),
        TypeError,
        "weight must be of real floating point, got torch.int64",
    ),
    "no model": (lambda: layer_distances("model", {}), TypeError, r"model must be a torch.nn.Module, got str"),
    "no examples": (lambda: hessian_distance(model(), model(), []), ValueError, "at least one example"),
    "a reference with NaN": (
        lambda: layer_radii(model(), state(**{"2.weight": torch.full((2, 4), math.nan)}), 1.0),
        ValueError,
        r"reference\['2.weight'\] must be finite, got 8 NaN",
    ),
    "a head that is no name": (lambda: layer_radii(model(), model(), 1.0, head=2), TypeError, "head must hold names"),
    "layers that are no names": (lambda: weight_layers(model(), 3), TypeError, "layers must hold names"),
    "groups that are no groups": (
        lambda: layer_radii(model(), model(), 1.0, groups="layer1"),
        TypeError,
        "groups must be an iterable of groups",
    ),
    "no radii": (lambda: LayerConstraints(model(), model(), {}), ValueError, "radii must name at least one layer"),
    "a noisy label of -1 in the consistent loss": (lambda: corrected([0, -1]), ValueError, "noisy must be at least 0"),
    "a noisy label of k in the consistent loss": (lambda: corrected([0, 2]), ValueError, "noisy must be .* at most 1"),
    "truth values for noisy labels": (lambda: corrected([True, False]), TypeError, "noisy must be whole numbers"),
    "fewer noisy labels than logits": (lambda: corrected([1]), ValueError, r"noisy must have shape \(2,\)"),
    "logits in a list": (
        lambda: ConsistentLoss([[0.8, 0.2], [0.2, 0.8]])([[1.0, 2.0]], [0]),
        TypeError,
        "logits and noisy must be tensors",
    ),
    "a bound with a negative loss bound": (
        lambda: noisy_label_bound(1.0, torch.eye(2), {"a": 1.0}, {"a": 1.0}, loss_bound=-1, n=3),
        ValueError,
        "loss_bound must be finite, above 0",
    ),
    "a bound with radii in a list": (
        lambda: noisy_label_bound(1.0, torch.eye(2), [1.0], [1.0], loss_bound=1, n=3),
        TypeError,
        "radii must map names",
    ),
    "inputs of another width": (
        lambda: hessian_distance(model(), model(), (torch.zeros(3, 5), [0, 1, 1])),
        ValueError,
        r"data\[0\] must be inputs that model takes",
    ),
    "validation inputs of another width": (
        lambda: fine_tune(model(), data(), validation=(torch.zeros(3, 5), [0, 1, 1])),
        ValueError,
        r"validation\[0\] must be inputs that model takes",
    ),
    "labels that the perturbed loss has no logit for": (
        lambda: perturbed_loss(model(), data((0, 1, 2)), 0.1),
        ValueError,
        "at most 1",
    ),
    "an unknown device": (
        lambda: hessian_distance(model(), model(), data(), device="gpu"),
        ValueError,
        "device must be a device of torch such as 'cpu' or 'cuda', got 'gpu'",
    ),
    "another device": (
        lambda: hessian_distance(model(), model(), data(), device="cuda"),
        ValueError,
        r"device must be where the model is \(cpu\), got cuda",
    ),
    "an optimizer in words": (
        lambda: fine_tune(model(), data(), optimizer="adam"),
        TypeError,
        "optimizer must be call",
    ),
    "what makes no optimizer": (
        lambda: fine_tune(model(), data(), optimizer=lambda _: None),
        TypeError,
        "optimizer must make a torch.optim.Optimizer",
    ),
    "constraints in a dict": (
        lambda: fine_tune(model(), data(), constraints={"0.weight": 1.0}),
        TypeError,
        "constraints must be a LayerConstraints or None",
    ),
    "constraints of another model": (
        lambda: fine_tune(model(), data(), constraints=layer_radii(model(), model(), 1.0)),
        ValueError,
        "constraints must be made of this model's weights",
    ),
    "a penalty that is a number": (
        lambda: fine_tune(model(), data(), penalty=0.1),
        TypeError,
        "penalty must be a Dist",
    ),
    "self-labelling that is a truth value": (
        lambda: fine_tune(model(), data(), relabel=True),
        TypeError,
        "relabel must be a Relabel or None",
    ),
    "a loss in words": (lambda: fine_tune(model(), data(), loss="ce"), TypeError, "loss must be callable"),
    "a loss for each example": (
        lambda: fine_tune(model(), data(), loss=partial(nn.functional.cross_entropy, reduction="none")),
        ValueError,
        r"loss must give a mean over the batch, shape \(\), got shape \(3,\)",
    ),
    "a callback that is a number": (lambda: fine_tune(model(), data(), callbacks=3), TypeError, "callbacks must hold"),
    "a certificate by an unknown method": (
        lambda: Certificate(model(), model(), data(), method="newton"),
        ValueError,
        "method must be one of",
    ),
    "one text instead of several": (lambda: tokenize("abc"), TypeError, "texts must be a sequence of str"),
    "one question instead of several": (
        lambda: keyword_labels("who"),
        TypeError,
        "questions must be a sequence of str",
    ),
    "inputs with NaN": (
        lambda: fine_tune(model(), (torch.full((1, 3), math.nan), [0])),
        ValueError,
        "finite, got NaN",
    ),
    "a seed that is a truth value": (lambda: fine_tune(model(), data(), seed=True), TypeError, "seed must be a whole"),
    "a negative seed": (lambda: Certificate(model(), model(), data(), seed=-1), ValueError, "seed must be at least 0"),
    "a threshold above one": (lambda: Relabel(threshold=2), ValueError, "threshold must be finite"),
    "a bound for no examples": (lambda: pac_bayes_norm_bound(model(), model(), 0), ValueError, "n must be at least 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_one_sentence_that_names_it(name):
    call, error, match = CASES[name]
    with pytest.raises(error, match=match) as found:
        call()
    assert type(found.value) is error and "\n" not in str(found.value)


def test_what_is_refused_changes_no_weight():
    held = model()
    before = {name: value.clone() for name, value in held.state_dict().items()}
    for bad in ({"epochs": 0}, {"batch_size": 0}, {"seed": -1}, {"mixup": -1.0}, {"loss_from": 0}, {"patience": 0}):
        with pytest.raises(ValueError, match="must be"):
            fine_tune(held, data(), **bad)
    assert all(torch.equal(before[name], value) for name, value in held.state_dict().items())


@pytest.mark.parametrize("kind", ["list", "float16", "float64", "read-only", "reversed", "big-endian"])
def test_inputs_may_be_lists_and_arrays_of_any_layout(kind):
    x, y = np.arange(9, dtype=np.float32).reshape(3, 3) / 8, np.array([0, 1, 1])
    forms = {
        "list": (x.tolist(), y.tolist()),
        "float16": (x.astype(np.float16), y.astype(np.int8)),
        "float64": (x.astype(np.float64), y.astype(np.int32)),
        "read-only": (np.frombuffer(x.tobytes(), np.float32).reshape(3, 3), y),
        "reversed": (x[::-1].copy()[::-1], y[::-1].copy()[::-1]),
        "big-endian": (x.astype(">f4"), y.astype(">i8")),
    }
    held = model().eval()
    expected = hessian_distance(held, state(), (torch.from_numpy(x), torch.from_numpy(y)), head="2", method="ggn")
    found = hessian_distance(held, state(), forms[kind], head="2", method="ggn")
    torch.testing.assert_close(found.per_example, expected.per_example)


def test_arrays_are_taken_in_the_precision_of_the_model():
    x, y = np.arange(9.0).reshape(3, 3) / 8, np.array([0, 1, 1])
    held = model().double().eval()
    arrays = {name: (value * 0.5).numpy() for name, value in held.state_dict().items()}
    found = hessian_distance(held, arrays, (x, y), method="lanczos")
    assert found.per_example.dtype == torch.float64 and found.measure > 0
    assert generalization_gap(held, (x, y), (x.tolist(), y)).gap == pytest.approx(0.0, abs=1e-12)
    half = hessian_distance(model().half(), arrays, (x, y), method="lanczos")
    assert half.measure == pytest.approx(found.measure, rel=1e-2)  # of half precision


def test_probabilities_may_come_in_half_precision():
    exact = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]], dtype=torch.float64)
    half = estimate_confusion(exact.half(), [0, 1, 2], quantile=1.0)
    torch.testing.assert_close(half, estimate_confusion(exact, [0, 1, 2], quantile=1.0), rtol=0, atol=1e-3)
    assert float((half.sum(1) - 1).abs().max()) < 1e-12


def test_labels_of_eight_bits_are_positions_and_no_mask():
    loss = ConsistentLoss([[0.8, 0.2], [0.2, 0.8]])
    logits, noisy = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([1, 1])
    assert float(loss(logits, noisy.to(torch.uint8))) == float(loss(logits, noisy))


def test_numbers_may_be_numpys():
    assert choose_radii(model(), data(), np.float32(1), seed=np.int64(1)).radii
    constraints = layer_radii(model(), model(), np.float32(0.5), np.int64(2))
    assert constraints.radii == {"0.weight": 0.5, "2.weight": 1.0}
    history = fine_tune(model(), data(), epochs=np.int64(1), batch_size=np.int32(2), seed=np.uint8(3))
    assert len(history.epochs) == 1
    assert symmetric_confusion(np.int64(3), np.float64(0.5)).shape == (3, 3)
