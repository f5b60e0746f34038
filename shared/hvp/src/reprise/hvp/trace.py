"""Estimates of tr A from products, each with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .linear import SymmetricOperator, as_operator
from .probes import Distribution, probes, random_generator


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, the products that it took, and the samples that it is the mean of."""

    value: float
    stderr: float
    products: int
    samples: Tensor
    converged: bool = True


def trace(
    operator: SymmetricOperator | Tensor,
    *,
    method: str = "hutchinson",
    products: int = 100,
    rtol: float | None = None,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | int | None = None,
) -> Estimate:
    """Estimate of tr A by Hutchinson's mean of zᵀAz.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
    method : "hutchinson"
    products : int
        Most products to use.
    rtol : float, optional
        Stop as soon as the relative standard error is no larger.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.

    Examples
    --------
    >>> import torch
    >>> trace(torch.diag(torch.tensor([1.0, 2.0, 3.0])), products=4).value
    6.0
    """
    if method != "hutchinson":
        raise ValueError(f"method must be 'hutchinson', got {method!r}")
    operator = as_operator(operator)
    source = random_generator(generator, operator.device)
    samples = torch.empty(0, dtype=torch.float64)
    error = math.inf
    while len(samples) < products:
        rows = probes(operator, min(8, products - len(samples)), source, distribution=distribution)
        forms = (rows * operator.apply(rows)).sum(1, dtype=torch.float64)
        samples = torch.cat([samples, forms.cpu()])
        error = float(samples.std() / math.sqrt(len(samples))) if len(samples) > 1 else math.inf
        if rtol is not None and error <= rtol * abs(float(samples.mean())):
            break
    return Estimate(float(samples.mean()), error, len(samples), samples)
