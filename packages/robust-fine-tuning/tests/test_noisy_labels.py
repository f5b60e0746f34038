"""The consistent loss is unbiased; confusion matrices are estimated and drawn from as they should be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reprise.robust_fine_tuning import (
    ConsistentLoss,
    UnboundedLossWarning,
    empirical_confusion,
    estimate_confusion,
    flip_labels,
    noisy_label_bound,
    replace_labels,
    symmetric_confusion,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**31))
def test_the_consistent_loss_is_unbiased_exactly(k, seed):
    generator = torch.Generator().manual_seed(seed)
    F = 0.6 * torch.eye(k).double() + 0.4 * torch.rand(k, k, generator=generator).double().softmax(1)
    logits = torch.randn(1, k, generator=generator).double()
    loss = ConsistentLoss(F)
    seen = torch.stack([loss(logits, torch.tensor([z])) for z in range(k)])
    clean = -logits.log_softmax(1)[0]
    torch.testing.assert_close(F @ seen, clean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("k", "rate"), [(2, 0.3), (6, 5 / 12), (10, 0.7)])
def test_symmetric_noise_has_the_inverse_of_the_closed_form(k, rate):
    loss = ConsistentLoss(symmetric_confusion(k, rate))
    denominator = (1 - rate) * (k - 1) - rate
    expected = (k - 1) / denominator * torch.eye(k).double() - rate / denominator
    torch.testing.assert_close(loss.inverse, expected)
    torch.testing.assert_close(loss.inverse.sum(1), torch.ones(k).double())
    assert loss.noise_factor == pytest.approx(float(expected.abs().sum(0).max()))


def test_without_noise_it_is_the_cross_entropy_and_takes_gradients():
    logits = torch.randn(5, 3, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1])
    found = ConsistentLoss(torch.eye(3))(logits, labels)
    torch.testing.assert_close(found, nn.functional.cross_entropy(logits, labels))
    found.backward()
    assert bool(logits.grad.abs().sum() > 0)


def test_it_is_unbounded_below_and_warns_when_it_is_over_fitted():
    loss = ConsistentLoss(symmetric_confusion(3, 0.4), patience=3).train()
    logits, labels = torch.tensor([[30.0, 0.0, -60.0]]), torch.tensor([0])
    assert float(loss(logits, labels)) < -10
    loss(logits, labels)
    with pytest.warns(UnboundedLossWarning, match="negative for 3 steps"):
        loss(logits, labels)


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        ([[1.0, 0.0]], "square"),
        ([[0.9, 0.2], [0.1, 0.9]], "row 0 sums to 1.1"),
        ([[0.5, 0.5], [0.5, 0.5]], r"condition number.*k = 2.*ρ = 0.5"),
        ([[1.5, -0.5], [0.0, 1.0]], "probabilities"),
        ([[np.nan, 1.0], [0.0, 1.0]], "finite"),
        ([0.5, 0.5], "2 dimensions"),
    ],
)
def test_matrices_that_are_no_confusion_are_refused(matrix, match):
    with pytest.raises(ValueError, match=match):
        ConsistentLoss(matrix)


def test_wrong_logits_and_kinds_are_named():
    with pytest.raises(ValueError, match="logits must have 2 columns"):
        ConsistentLoss(torch.eye(2))(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(TypeError, match="confusion must be an array of numbers"):
        ConsistentLoss("F")


def test_singular_symmetric_noise_is_refused():
    with pytest.raises(ValueError, match=r"k = 4: F is singular"):
        symmetric_confusion(4, 0.75)
    with pytest.raises(ValueError, match="k must be at least 2"):
        symmetric_confusion(1, 0.1)


def test_flips_follow_the_matrix_and_the_seed():
    F = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]], dtype=">f8")
    labels = np.arange(30000, dtype=np.int32) % 3
    noisy = flip_labels(labels, F, np.int64(5))
    assert torch.equal(noisy, flip_labels(labels[::-1][::-1], F, torch.Generator().manual_seed(5)))
    # a share over 10,000 draws has a standard error below 0.005
    np.testing.assert_allclose(empirical_confusion(labels, noisy, 3), F, atol=0.025)


def test_replaced_labels_are_a_fixed_share_which_may_come_back():
    labels = torch.zeros(1000, dtype=torch.long)
    noisy = replace_labels(labels, 0.5, 5, 3)
    assert int((noisy != 0).sum()) <= 500
    assert float((noisy != 0).double().mean()) == pytest.approx(0.4, abs=0.05)
    assert not bool(labels.any())


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_outside_of_the_matrix_are_refused(labels):
    with pytest.raises(ValueError, match="at most 2"):
        flip_labels(labels, torch.eye(3))


@pytest.mark.parametrize("method", ["dual-t", "anchor"])
def test_estimates_come_near_the_matrix_when_predictions_are_the_noisy_posterior(method):
    torch.manual_seed(0)
    F = torch.tensor([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.25, 0.7]]).double()
    clean = torch.arange(6000) % 3
    sharp = 0.96 * nn.functional.one_hot(clean, 3).double() + 0.04 * torch.rand(6000, 3).double().softmax(1)
    noisy = flip_labels(clean, F, 1)
    found = estimate_confusion(sharp if method == "dual-t" else sharp @ F, noisy, method=method)
    assert float((found - F).abs().max()) < 0.06
    torch.testing.assert_close(found.sum(1), torch.ones(3).double())


def test_estimation_leaves_the_probabilities_and_the_order_of_classes_alone():
    torch.manual_seed(0)
    p = torch.rand(500, 4).double().softmax(1)
    noisy, kept = torch.randint(4, (500,)), p.clone()
    found = estimate_confusion(p, noisy)
    assert torch.equal(p, kept)
    turned = torch.tensor([2, 0, 3, 1])
    place = turned.argsort()
    again = estimate_confusion(p[:, turned], place[noisy])
    torch.testing.assert_close(again, found[turned][:, turned])


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match="rows must be probabilities"):
        estimate_confusion([[2.0, 1.0]], [0])
    with pytest.raises(ValueError, match="as long as probabilities"):
        estimate_confusion([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="method must be"):
        estimate_confusion([[0.5, 0.5]], [0], method="mean")


def test_the_bound_grows_with_noise_and_radii():
    arguments = {"loss_bound": 2.0, "n": 100}
    low = noisy_label_bound(0.5, torch.eye(3), {"a": 1.0}, {"a": 4.0}, **arguments)
    assert low == pytest.approx(0.5 + (2.0 / 100) ** 0.5 * 2.0)
    assert noisy_label_bound(0.5, symmetric_confusion(3, 0.3), {"a": 1.0}, {"a": 4.0}, **arguments) > low
    with pytest.raises(ValueError, match="traces must name"):
        noisy_label_bound(0.5, torch.eye(3), {"a": 1.0}, {"b": 4.0}, **arguments)
