"""Small matrices are slower on several threads than on one."""

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def network():
    """A fine-tuned network in float64, its pretrained state and twelve examples; the activation may be chosen."""

    def make(activation=nn.ReLU, seed=0):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 5), activation(), nn.Linear(5, 4), activation(), nn.Linear(4, 3)).double()
        state = {name: p.detach() + 0.4 * torch.randn_like(p) for name, p in model.named_parameters()}
        return model, state, (torch.randn(12, 6).double(), torch.arange(12) % 3)

    return make
