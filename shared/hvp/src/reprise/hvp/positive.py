"""vᵀA⁺v with A⁺ the positive part of A: Lanczos started at v, and Gauss quadrature of max(t, 0)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .lanczos import quadrature, tridiagonalise
from .linear import SymmetricOperator, as_operator
from .trace import Estimate


def quadratic_positive(
    operator: SymmetricOperator | Tensor, vector: Tensor, *, steps: int = 20, rtol: float | None = None
) -> Estimate:
    """vᵀA⁺v by Lanczos started at v.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        A.
    vector : Tensor, shape (P,)
        v.
    steps : int
        Most Lanczos steps, at most P are taken.
    rtol : float, optional
        Stop as soon as a step changes the value by no more than this, relatively; asked after every tenth step.

    Returns
    -------
    Estimate
        ``‖v‖²·e₁ᵀ max(T, 0) e₁``; as standard error the size of the change by the last step, zero once the Krylov
        space is exhausted.

    Raises
    ------
    ValueError, TypeError
        For a vector that is not of A's form, fewer than one step, an `rtol` that is not positive.

    Examples
    --------
    >>> import torch
    >>> round(quadratic_positive(torch.diag(torch.tensor([2.0, -1.0])), torch.ones(2)).value, 5)
    2.0
    """
    operator = as_operator(operator)
    operator._validate(vector, dims=1)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    values, changes, used = positive_forms(operator.apply, vector[None], min(steps, operator.size), rtol=rtol)
    value, change = float(values[0]), float(changes[0])
    return Estimate(value, change, used, values, converged=rtol is None or change <= rtol * abs(value))


def positive_forms(
    apply: Callable[[Tensor], Tensor], vectors: Tensor, steps: int, *, rtol: float | None = None
) -> tuple[Tensor, Tensor, int]:
    """vᵀA⁺v for each row v (s, P), each with a matrix of its own behind `apply`.

    Returns
    -------
    values, changes : Tensor, shape (s,), float64
        What the last step changed is the size of the error.
    steps : int
    """
    length = vectors.norm(dim=1)
    starts = torch.where(length[:, None] > 0, vectors / length[:, None], 0.0)
    squares = length.double().cpu() ** 2

    def form(diagonal: Tensor, off_diagonal: Tensor) -> Tensor:
        nodes, weights = quadrature(diagonal, off_diagonal)
        values: Tensor = (weights * nodes.clamp_min(0)).sum(1) * squares
        return values

    def change(diagonal: Tensor, off_diagonal: Tensor) -> Tensor:
        if diagonal.shape[1] == 1:
            return torch.full_like(squares, math.nan)
        return torch.abs(form(diagonal, off_diagonal) - form(diagonal[:, :-1], off_diagonal[:, :-1]))

    def settled(diagonal: Tensor, off_diagonal: Tensor) -> bool:
        return rtol is not None and bool((change(diagonal, off_diagonal) <= rtol * form(diagonal, off_diagonal)).all())

    found = tridiagonalise(apply, starts, steps, stop=None if rtol is None else settled)
    return form(*found), change(*found), found[0].shape[1]
