"""Extreme eigenpairs by thick-restart Lanczos (Wu and Simon 2000), with the residual of every pair."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .linear import SymmetricOperator, as_operator
from .probes import probes, random_generator

Which = Literal["LM", "LA", "SA"]


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (k,), eigenvectors (P, k) as columns, residuals ‖Av − λv‖ (k,), and which pairs converged (k,)."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: Tensor
    products: int


def eigsh(
    operator: SymmetricOperator | Tensor,
    k: int = 6,
    *,
    which: Which = "LM",
    tol: float = 1e-3,
    max_products: int | None = None,
    generator: torch.Generator | int | None = None,
) -> Eigenpairs:
    """The k eigenpairs of largest magnitude (LM), largest (LA) or smallest (SA) eigenvalue.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
    k : int
        Number of pairs, at most P.
    which : "LM", "LA" or "SA"
    tol : float
        A pair has converged when ``‖Av − λv‖ ≤ tol·max|λ|``.
    max_products : int, optional
        Most products to use; 20 times the basis by default.
    generator : torch.Generator or int, optional
        Source of the random start or its seed; seed 0 by default.

    Returns
    -------
    Eigenpairs
        In the order of `which`, the most wanted first.

    Examples
    --------
    >>> import torch
    >>> pairs = eigsh(torch.diag(torch.tensor([1.0, -5.0, 3.0, 2.0])), k=2)
    >>> [round(value, 4) for value in pairs.values.tolist()]
    [-5.0, 3.0]
    """
    operator = as_operator(operator)
    if which not in get_args(Which):
        raise ValueError(f"which must be one of {get_args(Which)}, got {which!r}")
    if not 1 <= k <= operator.size:
        raise ValueError(f"k must be between 1 and P ({operator.size}), got {k}")
    source = random_generator(generator, operator.device)
    width = min(operator.size, 3 * k + 20)
    limit = max_products or 20 * width
    basis = torch.zeros(width + 1, operator.size, dtype=operator.dtype, device=operator.device)
    projected = torch.zeros(width, width, dtype=torch.float64)
    basis[0] = probes(operator, 1, source, distribution="gaussian")[0]
    basis[0] /= basis[0].norm()
    kept, products = 0, 0
    while True:
        coupling = 0.0
        for step in range(kept, width):
            image = operator.apply(basis[step : step + 1])[0]
            products += 1
            image, coefficients = _orthogonalise(image, basis[: step + 1])
            projected[: step + 1, step] = projected[step, : step + 1] = coefficients
            coupling = float(image.norm())
            scale = float(projected[: step + 1, : step + 1].abs().max())
            if coupling <= 10 * torch.finfo(operator.dtype).eps * scale:
                coupling = 0.0
                image = probes(operator, 1, source, distribution="gaussian")[0]
                image, _ = _orthogonalise(image, basis[: step + 1])
            basis[step + 1] = image / image.norm()
        values, rotation = torch.linalg.eigh(projected)
        order = _order(values, which)
        residuals = coupling * rotation[-1, order[:k]].abs()
        converged = residuals <= tol * values.abs().max()
        if bool(converged.all()) or products >= limit or width == operator.size:
            break
        keep = order[: k + (width - k) // 2]
        kept = len(keep)
        basis[:kept] = rotation[:, keep].T.to(basis) @ basis[:width]
        basis[kept] = basis[width].clone()
        projected.zero_()
        projected[range(kept), range(kept)] = values[keep]
    chosen = order[:k]
    if not bool(converged.all()):
        warnings.warn(f"eigsh: {int((~converged).sum())} of {k} pairs not converged", RuntimeWarning, stacklevel=2)
    return Eigenpairs(
        values[chosen].to(basis), (rotation[:, chosen].T.to(basis) @ basis[:width]).T, residuals, converged, products
    )


def _orthogonalise(vector: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    first = rows @ vector
    vector = vector - first @ rows
    second = rows @ vector
    return vector - second @ rows, (first + second).double().cpu()


def _order(values: Tensor, which: Which) -> Tensor:
    if which == "LM":
        return values.abs().argsort(descending=True)
    return values.argsort(descending=which == "LA")
