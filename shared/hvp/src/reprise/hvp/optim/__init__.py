"""Optimizers that look for flat minima, around any optimizer of torch.

>>> import torch
>>> model = torch.nn.Linear(2, 1)
>>> optimizer = NSO(model.parameters(), torch.optim.AdamW, sigma=0.01, lr=1e-3)
>>> loss = optimizer.step(lambda: model(torch.ones(4, 2)).square().mean())
"""

from .nso import NSO
from .sam import SAM

__all__ = ["NSO", "SAM"]
