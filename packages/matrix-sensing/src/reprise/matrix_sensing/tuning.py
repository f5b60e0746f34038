"""Step size and starting scale from the measurements alone, so that `fit(A, y)` needs no tuning (beyond the paper).

Two numbers decide: L = ‖(1/m) 𝒜*𝒜‖ over symmetric matrices, by power iteration, and ‖X*‖₂, by fitting the targets with
the best multiple of 𝒜(v vᵀ), v the leading eigenvector of the spectral estimate (1/m) Σ y_i A_i.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reprise.matrix_sensing.measurements import Measurements


def operator_norm(measurements: Measurements, *, iterations: int = 30) -> float:
    """Largest eigenvalue of X ↦ (1/m) Σ ⟨A_i, X⟩ (A_i + A_iᵀ)/2 on symmetric matrices, by power iteration.

    For Gaussian measurements it is near (1 + √(d(d+1)/2m))²; for rank-one measurements x xᵀ it is near d + 2, reached
    at the identity. A lower bound that is tight to a percent or so after the default number of iterations.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (measurements.dimension, measurements.dimension)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    matrix = (noise + noise.mT + torch.eye(measurements.dimension)).to(measurements.device, measurements.dtype)
    value = torch.zeros((), dtype=measurements.dtype, device=measurements.device)
    for _ in range(iterations):
        norm = torch.linalg.matrix_norm(matrix)
        if float(norm) == 0.0:
            raise ValueError("measurements must not all be zero")
        image = measurements.adjoint(measurements.apply(matrix / norm)) / measurements.count
        value = torch.linalg.matrix_norm(image)
        matrix = image
    return float(value)


def spectral_norm_estimate(measurements: Measurements, targets: Tensor) -> float:
    """Estimate of ‖X*‖₂ from the targets, whatever the measurements' normalisation.

    v is the leading eigenvector of Σ y_i A_i and the estimate is the c ≥ 0 that minimises ‖c 𝒜(v vᵀ) − y‖: exact for
    rank one and noiseless targets as m grows. For rank r and rank-one measurements it is between ‖X*‖₂ and
    ((2 + r)/3)‖X*‖₂, on the safe side for a step size.

    Raises
    ------
    ValueError
        If no positive semidefinite matrix correlates with the targets.
    """
    values, vectors = torch.linalg.eigh(measurements.adjoint(targets))
    measured = measurements.apply(torch.outer(vectors[:, -1], vectors[:, -1]))
    energy = float(measured @ measured)
    if float(values[-1]) <= 0.0 or energy == 0.0:
        raise ValueError("y must correlate with some positive semidefinite matrix, got targets that do not (all zero?)")
    return float(values[-1]) / energy


def safe_step(measurements: Measurements, targets: Tensor) -> float:
    """A step size at which gradient descent does not diverge: 1 / (4 ‖(1/m)𝒜*𝒜‖ ‖X*‖₂), both estimated."""
    return 1.0 / (4.0 * operator_norm(measurements) * spectral_norm_estimate(measurements, targets))
