"""Noise stability: how a function's mean changes under Gaussian noise says the trace of its Hessian.

(f(θ+U) + f(θ−U))/2 − f(θ) = (σ²/2)·tr H + O(σ⁴) for U ~ N(0, σ²I): no second derivative is taken at all (Zhang, Li and
Ju 2024, noise stability optimization).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .curvature import CurvatureOperator
from .probes import probes


def noise_samples(
    operator: CurvatureOperator, samples: int, sigma: float, generator: torch.Generator, *, centre: float
) -> Tensor:
    """Independent samples of tr H from values of the function alone.

    Parameters
    ----------
    operator : CurvatureOperator
        Whose function to evaluate.
    samples : int
        Number of noise vectors; each takes four evaluations.
    sigma : float
        Standard deviation of the noise, at least so large that the change of f is far above rounding.
    generator : torch.Generator
        Source of the noise.
    centre : float
        f(θ).

    Returns
    -------
    Tensor, shape (samples,), float64
        (4 t(σ/2) − t(σ))/3 with t(σ) = (f(θ+U) + f(θ−U) − 2f(θ))/σ²: Richardson's extrapolation removes the O(σ²) term.

    Raises
    ------
    ValueError
        If `sigma` is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    found = []
    for _ in range(samples):
        direction = probes(operator, 1, generator, distribution="gaussian")[0]
        wide, narrow = (
            (operator.value(size * direction) + operator.value(-size * direction) - 2 * centre) / size**2
            for size in (sigma, sigma / 2)
        )
        found.append((4 * narrow - wide) / 3)
    return torch.tensor(found, dtype=torch.float64)
