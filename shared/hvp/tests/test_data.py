"""Batches are the same ones, in the same order, at every product."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from reprise.hvp import Hessian


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_shuffling_loaders_are_kept_or_refused(model):
    torch.manual_seed(0)
    dataset = TensorDataset(torch.randn(20, 3), torch.randint(2, (20,)))
    loader = DataLoader(dataset, batch_size=6, shuffle=True)
    H = Hessian(model, F.cross_entropy, loader, strategy="retained")
    v = torch.randn(H.size)
    torch.testing.assert_close(H @ v, H @ v, rtol=0.0, atol=0.0)
    whole = Hessian(model, F.cross_entropy, [dataset[:]], strategy="retained")
    torch.testing.assert_close(H @ v, whole @ v, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="data shuffles"):
        Hessian(model, F.cross_entropy, loader, resident=False)


def test_loaders_are_streamed_in_order(model):
    torch.manual_seed(0)
    dataset = TensorDataset(torch.randn(20, 3), torch.randint(2, (20,)))
    loader = DataLoader(dataset, batch_size=6)
    H = Hessian(model, F.cross_entropy, loader, strategy="linearize", resident=False)
    whole = Hessian(model, F.cross_entropy, [dataset[:]], strategy="retained")
    v = torch.randn(H.size)
    torch.testing.assert_close(H @ v, whole @ v, rtol=1e-4, atol=1e-6)
