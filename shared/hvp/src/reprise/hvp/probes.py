"""Random vectors for stochastic estimators, from one seeded generator."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from .linear import SymmetricOperator

Distribution = Literal["rademacher", "gaussian", "sphere"]


def random_generator(generator: torch.Generator | int | None, device: torch.device) -> torch.Generator:
    """The generator itself, or a new one from a seed (0 when None) on `device`."""
    if isinstance(generator, torch.Generator):
        return generator
    if generator is not None and not isinstance(generator, int):
        raise TypeError(f"generator must be a torch.Generator, an int or None, got {type(generator).__name__}")
    return torch.Generator(device).manual_seed(0 if generator is None else generator)


def probes(
    operator: SymmetricOperator, count: int, generator: torch.Generator, *, distribution: Distribution = "rademacher"
) -> Tensor:
    """Independent random rows with identity covariance, shape (count, P).

    ``"rademacher"``: entries ±1; ``"gaussian"``: standard normal; ``"sphere"``: uniform on the sphere of radius √P.
    Processes that share the operator get those of the first one.
    """
    if distribution not in get_args(Distribution):
        raise ValueError(f"distribution must be one of {get_args(Distribution)}, got {distribution!r}")
    shape = (count, operator.size)
    if distribution == "rademacher":
        signs = torch.randint(0, 2, shape, generator=generator, device=generator.device, dtype=torch.int8)
        return operator.agreed(signs.to(operator.device, operator.dtype).mul_(2).sub_(1))
    rows = torch.randn(shape, generator=generator, device=generator.device, dtype=operator.dtype).to(operator.device)
    if distribution == "sphere":
        rows *= math.sqrt(operator.size) / rows.norm(dim=1, keepdim=True)
    return operator.agreed(rows)
