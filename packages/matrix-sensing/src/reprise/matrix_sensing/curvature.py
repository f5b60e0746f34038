"""The trace of the Hessian of the sensing loss, which at zero loss is the nuclear norm in disguise.

For f(U) = 1/(2m) Σ_i (⟨A_i, U Uᵀ⟩ − y_i)² with residuals ε_i and S_i = (A_i + A_iᵀ)/2, the gradient of a prediction is
2 S_i U and its Hessian 2 S_i ⊗ I_k, so

    tr ∇²f(U) = (4/m) Σ_i ‖S_i U‖_F² + (2k/m) Σ_i ε_i tr A_i.

At zero loss the second term is gone; for Gaussian measurements E S_i² = (d + 1)/2 · I, and the trace is
(2d + 2)‖U‖_F² = (2d + 2)‖U Uᵀ‖_* on average: the flattest interpolant has the least nuclear norm (Zhang, Li and Ju,
2024).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reprise.hvp import Hessian, trace
from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.validation import finite_tensor, positive_integer

_BLOCK = 64  # Hessian-vector products at a time


def sensing_loss(problem: SensingProblem) -> Callable[[Tensor], Tensor]:
    """f(U) = 1/(2m) Σ_i (⟨A_i, U Uᵀ⟩ − y_i)² as a differentiable function of U, shape (d, k)."""
    return lambda factor: (problem.measurements.forward(factor) - problem.targets).square().mean() / 2


def hessian_trace(
    problem: SensingProblem, factor: Tensor, method: str = "exact", *, products: int | None = None, seed: int = 0
) -> float:
    """Trace of ∇²f at U.

    Parameters
    ----------
    problem : SensingProblem
    factor : Tensor, shape (d, k)
        U.
    method : "exact" or "hvp"
        The closed form, or Hessian-vector products by automatic differentiation (`reprise.hvp`).
    products : int, optional
        With "hvp": number of random products for an estimate; all d·k coordinate directions, hence no estimate, when
        not given.
    seed : int
        Of the estimate.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the factor has the wrong shape or the method is unknown.

    Notes
    -----
    The closed form costs O(m d³) once for dense measurements, O(m d²) for rank-one ones.

    Examples
    --------
    >>> problem = SensingProblem.gaussian(dimension=6, rank=1, measurements=30, seed=0)
    >>> U = torch.eye(6, 2, dtype=torch.float64)
    >>> abs(hessian_trace(problem, U) / hessian_trace(problem, U, "hvp") - 1) < 1e-10
    True
    """
    factor = finite_tensor("factor", factor, dtype=problem.targets.dtype, device=problem.targets.device)
    if factor.ndim != 2 or len(factor) != problem.dimension:
        raise ValueError(f"factor must have shape ({problem.dimension}, k), got {tuple(factor.shape)}")
    if method == "exact":
        return _closed_form(problem, factor)
    if method != "hvp":
        raise ValueError(f"method must be 'exact' or 'hvp', got {method!r}")
    hessian = Hessian.of(sensing_loss(problem), factor)
    if products is not None:
        positive_integer("products", products)
        return trace(hessian, products=products, generator=seed).value
    total = 0.0
    for rows in torch.split(torch.eye(factor.numel(), dtype=factor.dtype, device=factor.device), _BLOCK):
        total += float((rows * hessian.apply(rows)).sum())
    return total


def _closed_form(problem: SensingProblem, factor: Tensor) -> float:
    measurements = problem.measurements
    residual = measurements.forward(factor) - problem.targets
    first = 4 * (measurements.square_sum() * (factor @ factor.mT)).sum()
    second = 2 * factor.shape[1] * (residual * measurements.traces()).sum()
    return float(first + second) / measurements.count
