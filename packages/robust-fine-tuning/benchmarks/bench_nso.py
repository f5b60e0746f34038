"""A step of NSO: two gradients against the authors' three, and two gradients against SAM's two."""

import time

import torch
from torch import nn

from reprise.core.ratios import compare, write
from reprise.robust_fine_tuning import NSO, SAM


def official(model, optimizer, sigma, closure):
    """The authors' step: a clean gradient whose weight is 0, then one at W + U and one at W − U."""
    optimizer.zero_grad()
    closure().backward()  # not used where its weight is 0
    parameters = list(model.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    draws = [sigma * torch.randn_like(p) for p in parameters]
    for side in (1, -2):
        for p, draw in zip(parameters, draws):
            p.data.add_(draw, alpha=side)
        optimizer.zero_grad()
        closure().backward()
        for part, p in zip(total, parameters):
            part.add_(p.grad, alpha=0.5)
    for p, draw, part in zip(parameters, draws, total):
        p.data.add_(draw)
        p.grad = part
    optimizer.step()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, 10))
    x, y = torch.randn(256, 256), torch.arange(256) % 10

    def closure():
        """Loss of the batch."""
        return nn.functional.cross_entropy(model(x), y)

    ours = NSO(model.parameters(), torch.optim.SGD, sigma=0.01, lr=1e-4)
    plain = torch.optim.SGD(model.parameters(), lr=1e-4)
    sam = SAM(model.parameters(), torch.optim.SGD, rho=0.01, lr=1e-4)
    results = [
        compare(
            "NSO step, k = 1, against three gradients",
            lambda: ours.step(closure),
            lambda: official(model, plain, 0.01, closure),
            calls=3,
            repeats=7,
            clock=time.process_time,
            goal=1.3,
            our_gradients=2,
            peer_gradients=3,
        ),
        compare(
            "NSO step against SAM's",
            lambda: ours.step(closure),
            lambda: sam.step(closure),
            calls=3,
            repeats=7,
            clock=time.process_time,
        ),
    ]
    write(__file__, results, libraries=("torch", "pyhessian"))
