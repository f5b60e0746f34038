"""Solutions of (A + damping·I)x = b by conjugate gradients or MINRES, and the inverse as an operator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .linear import SymmetricOperator, as_operator
from .trace import Progress

Preconditioner = Callable[[Tensor], Tensor]
SolveMethod = Literal["auto", "cg", "minres"]


@dataclass(frozen=True)
class Solution:
    """x (P,), the relative residual ‖b − (A + damping·I)x‖/‖b‖, and what it took.

    Attributes
    ----------
    x : Tensor, shape (P,)
    residual : float
    products : int
    converged : bool
    method : "cg" or "minres"
        The one that found x.
    """

    x: Tensor
    residual: float
    products: int
    converged: bool
    method: str


class _NegativeCurvature(Exception):
    pass


def solve(
    operator: SymmetricOperator | Tensor,
    b: Tensor,
    *,
    damping: float = 0.0,
    tol: float = 1e-4,
    max_products: int = 200,
    method: SolveMethod = "auto",
    preconditioner: Preconditioner | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve (A + damping·I)x = b.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        A.
    b : Tensor, shape (P,)
        Right-hand side.
    damping : float
        Added to the diagonal, at least 0.
    tol : float
        Stop when the relative residual is no larger.
    max_products : int
        Most products to use.
    method : "auto", "cg" or "minres"
        Conjugate gradients for positive definite systems, MINRES (Paige and Saunders 1975) for indefinite ones; "auto"
        begins with the first and turns to the second where it meets a direction of negative curvature.
    preconditioner : callable ``(P,) -> (P,)``, optional
        Symmetric positive definite approximation of the inverse (conjugate gradients only).
    progress : callable ``(products, most) -> object``, optional
        Called after every product.

    Returns
    -------
    Solution
        Without convergence, flagged and warned about.

    Raises
    ------
    ValueError
        For malformed arguments, for negative curvature with method "cg", or a preconditioner with "minres".

    Examples
    --------
    >>> import torch
    >>> solve(torch.diag(torch.tensor([2.0, 4.0])), torch.ones(2)).x.tolist()
    [0.5, 0.25]
    """
    operator = as_operator(operator)
    operator._validate(b, dims=1)
    if not bool(b.isfinite().all()):
        raise ValueError("b must be finite")
    if method not in ("auto", "cg", "minres"):
        raise ValueError(f"method must be 'auto', 'cg' or 'minres', got {method!r}")
    if not damping >= 0:
        raise ValueError(f"damping must be at least 0, got {damping}")
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol}")
    if method == "minres" and preconditioner is not None:
        raise ValueError("preconditioner needs method 'cg'")
    size = float(b.norm())
    if size == 0.0:
        return Solution(torch.zeros_like(b), 0.0, 0, True, "cg")
    count = 0

    def multiply(vector: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if progress is not None:
            progress(count, max_products)
        return operator.apply(vector[None])[0] + damping * vector

    used = method
    if method == "minres":
        x, residual = _minres(multiply, b, tol, max_products)
    else:
        try:
            x, residual = _conjugate_gradients(multiply, b, tol, max_products, preconditioner)
            used = "cg"
        except _NegativeCurvature:
            if method == "cg":
                raise ValueError("operator has negative curvature: raise damping, or use method 'minres'") from None
            x, residual = _minres(multiply, b, tol, max_products - count)
            used = "minres"
    converged = residual <= tol
    if not converged:
        warnings.warn(
            f"solve: relative residual {residual:.1e} > {tol:.1e} after {count} products: raise damping or "
            "max_products",
            RuntimeWarning,
            stacklevel=2,
        )
    return Solution(x, residual, count, converged, used)


class Inverse(SymmetricOperator):
    """(A + damping·I)⁻¹ as an operator: every product solves a system.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        A.
    damping, tol, max_products, method, preconditioner
        As for `solve`.

    Attributes
    ----------
    solutions : list of Solution
        Of the last product, one per column: residuals and iterations.

    Examples
    --------
    >>> import torch
    >>> (Inverse(torch.diag(torch.tensor([2.0, 4.0]))) @ torch.ones(2)).tolist()
    [0.5, 0.25]
    """

    def __init__(
        self,
        operator: SymmetricOperator | Tensor,
        *,
        damping: float = 0.0,
        tol: float = 1e-4,
        max_products: int = 200,
        method: SolveMethod = "auto",
        preconditioner: Preconditioner | None = None,
    ) -> None:
        operator = as_operator(operator)
        super().__init__(operator.size, operator.dtype, operator.device, operator.space)
        self.operator = operator
        self.damping = damping
        self.tol = tol
        self.max_products = max_products
        self.method = method
        self.preconditioner = preconditioner
        self.solutions: list[Solution] = []

    def apply(self, rows: Tensor) -> Tensor:
        """Solutions for the rows of a block, (K, P) to (K, P)."""
        self.solutions = [
            solve(
                self.operator,
                row,
                damping=self.damping,
                tol=self.tol,
                max_products=self.max_products,
                method=self.method,
                preconditioner=self.preconditioner,
            )
            for row in rows
        ]
        return torch.stack([solution.x for solution in self.solutions])


def _conjugate_gradients(
    multiply: Callable[[Tensor], Tensor], b: Tensor, tol: float, limit: int, preconditioner: Preconditioner | None
) -> tuple[Tensor, float]:
    x, residual = torch.zeros_like(b), b.clone()
    size = float(b.norm())
    conditioned = residual if preconditioner is None else preconditioner(residual)
    direction = conditioned.clone()
    product = float(residual @ conditioned)
    for _ in range(limit):
        image = multiply(direction)
        curvature = float(direction @ image)
        if curvature <= 0.0:
            raise _NegativeCurvature
        step = product / curvature
        x = x + step * direction
        residual = residual - step * image
        if float(residual.norm()) <= tol * size:
            break
        conditioned = residual if preconditioner is None else preconditioner(residual)
        before, product = product, float(residual @ conditioned)
        direction = conditioned + (product / before) * direction
    return x, float(residual.norm()) / size


def _minres(multiply: Callable[[Tensor], Tensor], b: Tensor, tol: float, limit: int) -> tuple[Tensor, float]:
    """Lanczos on b, with the QR factorisation of T updated by one Givens rotation per step."""
    x = torch.zeros_like(b)
    size = float(b.norm())
    before, vector, beta = torch.zeros_like(b), b / size, 0.0
    step_before, step_before_that = torch.zeros_like(b), torch.zeros_like(b)
    cosine, sine, cosine_before, sine_before = 1.0, 0.0, 1.0, 0.0
    remaining = size
    for _ in range(max(limit, 0)):
        image = multiply(vector)
        alpha = float(vector @ image)
        image = image - alpha * vector - beta * before
        following = float(image.norm())
        # the new column of T, rotated by the two rotations before
        far = sine_before * beta
        near = cosine * cosine_before * beta + sine * alpha
        pivot = -sine * cosine_before * beta + cosine * alpha
        radius = math.hypot(pivot, following)
        if radius == 0.0:
            break
        sine_before, cosine_before = sine, cosine
        cosine, sine = pivot / radius, following / radius
        step = (vector - near * step_before - far * step_before_that) / radius
        x = x + cosine * remaining * step
        remaining = -sine * remaining
        step_before_that, step_before = step_before, step
        if abs(remaining) <= tol * size or following == 0.0:
            break
        before, vector, beta = vector, image / following, following
    return x, abs(remaining) / size
