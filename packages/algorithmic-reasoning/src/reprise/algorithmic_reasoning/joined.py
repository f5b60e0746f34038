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
    """Linear maps of one input, whose outputs are wanted in parts.

    Parameters
    ----------
    parts : sequence of sequences of nn.Linear
        With biases; the outputs of each inner sequence lie side by side.
    """

    def __init__(self, parts: Sequence[Sequence[nn.Linear]]) -> None:
        self.sizes = [sum(linear.out_features for linear in maps) for maps in parts]
        if parts:
            self.weight = torch.cat([linear.weight for maps in parts for linear in maps])
            self.bias = torch.cat([linear.bias for maps in parts for linear in maps])

    def __call__(self, values: Tensor) -> tuple[Tensor, ...]:
        """Outputs of every part, shape (…, outputs), of an input, shape (…, inputs)."""
        if not self.sizes:
            return ()
        found = functional.linear(values, self.weight, self.bias)
        return (found,) if len(self.sizes) == 1 else torch.split(found, self.sizes, dim=-1)


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
        """`total` and the outputs for the inputs of all maps, which `parts` hold side by side, shape (…, inputs)."""
        if not self.count:
            return total
        joined = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)
        return total + functional.linear(joined, self.weight, self.bias)


class Diagonal:
    """Linear maps, each of its own part of an input whose parts lie side by side.

    Parameters
    ----------
    maps : sequence of nn.Linear
        With biases.
    """

    def __init__(self, maps: Sequence[nn.Linear]) -> None:
        self.weight = torch.block_diag(*[linear.weight for linear in maps])  # type: ignore[no-untyped-call]
        self.bias = torch.cat([linear.bias for linear in maps])

    def __call__(self, values: Tensor, *, bias: bool = True) -> Tensor:
        """Their outputs side by side, shape (…, outputs), with or without the constants."""
        return functional.linear(values, self.weight, self.bias if bias else None)
