import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from reprise.tasks import binary_margin, log_probability_margin, multiclass_margin, pointer_margin


def normal(*shape, scale=2.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_binary_logistic_loss_is_binary_cross_entropy():
    logits, labels = normal(20), torch.arange(20) % 2
    margins, signs = binary_margin(logits, labels)
    expected = binary_cross_entropy_with_logits(logits, labels.double(), reduction="none")
    torch.testing.assert_close(softplus(-signs * margins), expected)


def test_multiclass_logistic_loss_is_cross_entropy_before_clipping():
    logits, labels = normal(6, 4, 5), torch.arange(24).reshape(6, 4) % 5
    margins = multiclass_margin(logits, labels, clip=None)
    expected = cross_entropy(logits.reshape(-1, 5), labels.reshape(-1), reduction="none").reshape(6, 4)
    torch.testing.assert_close(softplus(-margins), expected)


def test_pointer_margin_is_the_multiclass_margin_of_each_node():
    logits, targets = normal(2, 7, 7), torch.arange(14).reshape(2, 7) % 7
    torch.testing.assert_close(pointer_margin(logits, targets), multiclass_margin(logits, targets))


def test_log_probability_margin_agrees_with_the_multiclass_margin():
    logits, labels = normal(30, 5), torch.arange(30) % 5
    chosen = logits.log_softmax(-1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(log_probability_margin(chosen), multiclass_margin(logits, labels))


def test_clipping_p_bounds_the_margin_and_stops_its_gradient():
    logits = torch.tensor([[30.0, 0.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    margins = multiclass_margin(logits, torch.zeros(2, dtype=torch.int64), clip=1e-4)
    assert margins[0].item() == pytest.approx(math.log((1 - 1e-4) / 1e-4))
    margins.sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[0.0, 0.0], [1.0, -1.0]], dtype=torch.float64))


@pytest.mark.parametrize("target", [0, 1])
def test_choices_ruled_out_by_minus_infinity_give_finite_margins_and_gradients(target):
    logits = torch.tensor([0.3, -torch.inf, -torch.inf], requires_grad=True)
    margin = multiclass_margin(logits, torch.tensor(target))
    margin.backward()
    assert margin.abs() < 9.3 and torch.isfinite(logits.grad).all()


def test_margins_run_under_vmap_and_grad():
    logits, labels = normal(8, 5), torch.arange(8) % 5
    gradients = torch.func.vmap(torch.func.grad(lambda row, label: multiclass_margin(row, label)))(logits, labels)
    # dF/dz of the true class is 1, of the others minus their share among themselves
    assert torch.allclose(gradients.gather(1, labels[:, None]), torch.ones(8, 1, dtype=torch.float64))
    assert torch.allclose(gradients.sum(1), torch.zeros(8, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binary_margin(torch.zeros(3), torch.zeros(2)), r"shape of logits, \(3,\), got \(2,\)"),
        (lambda: multiclass_margin(torch.zeros(3, 1), torch.zeros(3)), "classes >= 2"),
        (lambda: multiclass_margin(torch.zeros(3, 2), torch.zeros(2)), r"got \(3, 2\) and \(2,\)"),
        (lambda: multiclass_margin(torch.zeros(3, 2), torch.zeros(3), clip=0.7), "clip must lie in"),
        (lambda: pointer_margin(torch.zeros(3, 4), torch.zeros(3)), "nodes, nodes"),
    ],
)
def test_margins_of_the_wrong_shape_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
