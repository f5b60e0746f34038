"""Extreme eigenpairs, with the residual of every pair: thick-restart Lanczos (Wu and Simon 2000), or LOBPCG."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from .linear import SymmetricOperator, as_operator
from .lobpcg import lobpcg
from .probes import random_generator
from .restarts import Which, restarted_lanczos
from .trace import Progress


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenpairs, the most wanted first.

    Attributes
    ----------
    values : Tensor, shape (k,)
    vectors : Tensor, shape (P, k)
        Orthonormal columns.
    residuals : Tensor, shape (k,)
        ‖Av − λv‖.
    converged : Tensor of bool, shape (k,)
        Whether the residual is within the tolerance.
    products : int
    """

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
    method: Literal["lanczos", "lobpcg"] = "lanczos",
    basis_device: torch.device | str | None = None,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> Eigenpairs:
    """The k eigenpairs of largest magnitude (LM), largest (LA) or smallest (SA) eigenvalue.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        Whose eigenpairs.
    k : int
        Number of pairs, at most P.
    which : "LM", "LA" or "SA"
        Largest magnitude, largest, or smallest (most negative) eigenvalues.
    tol : float
        A pair has converged when ``‖Av − λv‖ ≤ tol·max|λ|``.
    max_products : int, optional
        Most products to use, at least k; 20 times the basis by default.
    method : "lanczos" or "lobpcg"
        Thick-restart Lanczos, or a block method for operators that multiply blocks faster (LA and SA only).
    basis_device : torch.device or str, optional
        Where the Lanczos basis of 3k + 20 vectors is kept, if the operator's device is short of memory.
    generator : torch.Generator or int, optional
        Source of the random start or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every product.

    Returns
    -------
    Eigenpairs
        Pairs that did not converge are flagged, and warned about.

    Raises
    ------
    ValueError
        For an unknown `which` or `method`, `k` outside 1..P, or `max_products` below k.
    TypeError
        For `max_products` that is no integer.

    Notes
    -----
    Every vector is orthogonalised twice against the whole basis, so that no ghost copies appear in float32. The
    residual is that of the Lanczos relation AV = VT + βve_mᵀ, ``β|s_m|``, and at least rounding, ``ε·max|λ|``.

    One start sees one vector of each eigenspace, so that further copies of a multiple eigenvalue appear late or never.
    Therefore Lanczos goes on from a fresh start in the complement of the pairs found, for up to 23 products (more where
    the next eigenvalue is close to the last wanted one); a more wanted pair found there takes the place of the last
    one, and the search is repeated until none is: once for simple eigenvalues, once more for each copy that was missed.
    When the products run out before that, no pair counts as converged.

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
    if method not in ("lanczos", "lobpcg"):
        raise ValueError(f"method must be 'lanczos' or 'lobpcg', got {method!r}")
    if not 1 <= k <= operator.size:
        raise ValueError(f"k must be between 1 and P ({operator.size}), got {k}")
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol}")
    if max_products is not None and (not isinstance(max_products, int) or isinstance(max_products, bool)):
        raise TypeError(f"max_products must be an integer, got {max_products!r}")
    if max_products is not None and max_products < k:
        raise ValueError(f"max_products must be at least k ({k}), got {max_products}")
    width = min(operator.size, 3 * k + 20)
    limit = 20 * width if max_products is None else max_products
    source = random_generator(generator, operator.device)
    if method == "lobpcg":
        if which == "LM":
            raise ValueError("which must be 'LA' or 'SA' for method 'lobpcg', got 'LM'")
        found = Eigenpairs(*lobpcg(operator, k, which == "LA", tol, limit, source, progress))
    else:
        place = operator.device if basis_device is None else torch.device(basis_device)
        found = Eigenpairs(*restarted_lanczos(operator, k, which, tol, limit, place, source, progress))
    floor = torch.finfo(operator.dtype).eps * float(found.values.abs().max())
    found = replace(found, residuals=found.residuals.clamp_min(floor))
    missing = int((~found.converged).sum())
    if missing:
        worst = float(found.residuals.max())
        warnings.warn(
            f"eigsh: {missing} of {k} pairs not converged after {found.products} products, residual up to {worst:.1e}: "
            "raise max_products or tol",
            RuntimeWarning,
            stacklevel=2,
        )
    return found
