"""Several linear maps as one product: a step of a small network is a hundred tiny products, whose calls take its time.

The maps stay modules of their own, by which their weights are known; a forward pass joins the weights once, for all of
its steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class SideBySide:
    """Linear maps of one input, whose outputs are wanted one by one.

    Parameters
    ----------
    maps : sequence of nn.Linear
        With biases.
    """

    def __init__(self, maps: Sequence[nn.Linear]) -> None:
        self.sizes = [linear.out_features for linear in maps]
        if maps:
            self.weight = torch.cat([linear.weight for linear in maps])
            self.bias = torch.cat([linear.bias for linear in maps])

    def __call__(self, values: Tensor) -> tuple[Tensor, ...]:
        """Outputs, shape (…, outputs) each, of an input, shape (…, inputs)."""
        if not self.sizes:
            return ()
        return torch.split(functional.linear(values, self.weight, self.bias), self.sizes, dim=-1)


class Summed:
    """Linear maps of different inputs, whose outputs are added.

    Parameters
    ----------
    maps : sequence of nn.Linear
        With biases.
    """

    def __init__(self, maps: Sequence[nn.Linear]) -> None:
        self.count = len(maps)
        if maps:
            self.weight = torch.cat([linear.weight for linear in maps], dim=1)
            self.bias = torch.stack([linear.bias for linear in maps]).sum(0)

    def __call__(self, total: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """`total` and the outputs for one input per map, shape (…, inputs) each."""
        if not self.count:
            return total
        return total + functional.linear(torch.cat(list(parts), dim=-1), self.weight, self.bias)
