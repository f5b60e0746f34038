"""Extreme eigenpairs, with the residual of every pair: thick-restart Lanczos (Wu and Simon 2000), or LOBPCG."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .linear import SymmetricOperator, as_operator
from .lobpcg import lobpcg
from .probes import probes, random_generator
from .trace import Progress

Which = Literal["LM", "LA", "SA"]


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
        Most products to use; 20 times the basis by default.
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
        For an unknown `which` or `method`, or `k` outside 1..P.

    Notes
    -----
    Every vector is orthogonalised twice against the whole basis, so that no ghost copies appear in float32. The
    residual is that of the Lanczos relation AV = VT + βve_mᵀ, ``β|s_m|``.

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
    width = min(operator.size, 3 * k + 20)
    limit = max_products or 20 * width
    source = random_generator(generator, operator.device)
    if method == "lobpcg":
        if which == "LM":
            raise ValueError("which must be 'LA' or 'SA' for method 'lobpcg', got 'LM'")
        found = Eigenpairs(*lobpcg(operator, k, which == "LA", tol, limit, source, progress))
    else:
        place = operator.device if basis_device is None else torch.device(basis_device)
        found = _thick_restart(operator, k, which, tol, width, limit, place, source, progress)
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


def _thick_restart(
    operator: SymmetricOperator,
    k: int,
    which: Which,
    tol: float,
    width: int,
    limit: int,
    place: torch.device,
    source: torch.Generator,
    progress: Progress | None,
) -> Eigenpairs:
    basis = torch.zeros(width + 1, operator.size, dtype=operator.dtype, device=place)
    projected = torch.zeros(width, width, dtype=torch.float64)  # VᵀAV
    start = probes(operator, 1, source, distribution="gaussian")[0].to(place)
    basis[0] = start / start.norm()
    kept, products = 0, 0
    while True:
        coupling = 0.0
        for step in range(kept, width):
            image = operator.apply(basis[step : step + 1].to(operator.device))[0].to(place)
            products += 1
            image, coefficients = orthogonalise(image, basis[: step + 1])
            projected[: step + 1, step] = projected[step, : step + 1] = coefficients
            coupling = float(image.norm())
            if coupling <= 10 * torch.finfo(operator.dtype).eps * float(projected[: step + 1, : step + 1].norm()):
                # an invariant subspace: go on in its complement
                coupling = 0.0
                image = probes(operator, 1, source, distribution="gaussian")[0].to(place)
                image, _ = orthogonalise(image, basis[: step + 1])
            basis[step + 1] = image / image.norm()
            if progress is not None:
                progress(products, limit)
            done = step + 1
            # the last rows of the Ritz vectors tell the residuals long before the basis is full
            if done >= k and (done % 5 == 0 or done == width or products >= limit):
                values, rotation = torch.linalg.eigh(projected[:done, :done])
                order = _order(values, which)
                residuals = coupling * rotation[-1, order[:k]].abs()
                converged = residuals <= tol * values.abs().max()
                if (bool(converged.all()) and (coupling > 0.0 or done == width)) or products >= limit:
                    return _pairs(basis, values, rotation, order[:k], residuals, converged, products, operator)
        if width == operator.size:
            return _pairs(basis, values, rotation, order[:k], residuals, converged, products, operator)
        keep = order[: k + (width - k) // 2]
        kept = len(keep)
        basis[:kept] = rotation[:, keep].T.to(basis) @ basis[:width]
        basis[kept] = basis[width].clone()
        projected.zero_()
        projected[range(kept), range(kept)] = values[keep]


def _pairs(
    basis: Tensor,
    values: Tensor,
    rotation: Tensor,
    chosen: Tensor,
    residuals: Tensor,
    converged: Tensor,
    products: int,
    operator: SymmetricOperator,
) -> Eigenpairs:
    vectors = rotation[:, chosen].T.to(basis) @ basis[: len(rotation)]
    return Eigenpairs(
        values[chosen].to(operator.device, operator.dtype),
        vectors.T.to(operator.device),
        residuals.to(operator.device, operator.dtype),
        converged.to(operator.device),
        products,
    )


def orthogonalise(vector: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The part of `vector` (P,) orthogonal to orthonormal rows (m, P), and its coefficients (m,) along them."""
    first = rows @ vector
    vector = vector - first @ rows
    second = rows @ vector
    return vector - second @ rows, (first + second).double().cpu()


def _order(values: Tensor, which: Which) -> Tensor:
    if which == "LM":
        return values.abs().argsort(descending=True)
    return values.argsort(descending=which == "LA")
