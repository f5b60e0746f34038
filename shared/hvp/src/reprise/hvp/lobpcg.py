"""Locally optimal block preconditioned conjugate gradients (Knyazev 2001) for the largest or smallest eigenpairs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .linear import SymmetricOperator
from .probes import probes


def lobpcg(
    operator: SymmetricOperator,
    k: int,
    largest: bool,
    tol: float,
    limit: int,
    source: torch.Generator,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Values (k,), vectors (P, k), residuals (k,), converged (k,) and products used.

    Every iteration multiplies one block of k residuals and solves the projection on span{X, residuals, last steps},
    whose orthonormal basis is kept by QR.

    Parameters
    ----------
    operator : SymmetricOperator
        Whose eigenpairs.
    k : int
        Number of pairs.
    largest : bool
        Largest or smallest eigenvalues.
    tol : float
        Converged when ``‖Av − λv‖ ≤ tol·max|λ|``.
    limit : int
        Most products.
    source : torch.Generator
        Of the random start.
    progress : callable ``(products, most) -> object``, optional
        Called after every block.
    """
    space = torch.linalg.qr(probes(operator, k, source, distribution="gaussian").T).Q
    image = (operator.apply(space.T.contiguous())).T
    products = k
    while True:
        if progress is not None:
            progress(products, limit)
        projected = (space.T @ image).double()
        values, rotation = torch.linalg.eigh((projected + projected.T) / 2)
        order = values.argsort(descending=largest)
        rotation = rotation[:, order].to(space)
        values = values[order]
        current, curved = space @ rotation[:, :k], image @ rotation[:, :k]
        residual = curved - current * values[:k].to(space)
        norms = residual.norm(dim=0)
        converged = norms <= tol * values.abs().max()
        width = min(k, operator.size - k)
        if bool(converged.all()) or products + width > limit or width == 0:
            return values[:k].to(space), current, norms, converged, products
        # the last steps: what the new vectors hold outside of the old ones, spanned by the rest of the rotation
        basis, curvature = current, curved
        if space.shape[1] > k:
            head = rotation.clone()[:, :k]
            head[:k] = 0
            steps, steps_image = space @ head, image @ head
            basis, curvature = _append(basis, curvature, steps, steps_image)
        fresh = _orthonormal(residual, basis)
        fresh = fresh[:, : max(0, operator.size - basis.shape[1])]
        if fresh.shape[1] == 0:
            return values[:k].to(space), current, norms, converged, products
        products += fresh.shape[1]
        space = torch.cat([current, basis[:, k:], fresh], dim=1)
        image = torch.cat([curved, curvature[:, k:], operator.apply(fresh.T.contiguous()).T], dim=1)


def _append(basis: Tensor, image: Tensor, more: Tensor, more_image: Tensor) -> tuple[Tensor, Tensor]:
    """Add the part of `more` outside of `basis`, orthonormal, with its image by the same combination."""
    for _ in range(2):
        overlap = basis.T @ more
        more, more_image = more - basis @ overlap, more_image - image @ overlap
    left, sizes, right = torch.linalg.svd(more, full_matrices=False)
    live = sizes > 1e3 * torch.finfo(more.dtype).eps * max(1.0, float(sizes[0]))
    scaled = right[live].T / sizes[live]
    return torch.cat([basis, left[:, live]], dim=1), torch.cat([image, more_image @ scaled], dim=1)


def _orthonormal(vectors: Tensor, basis: Tensor) -> Tensor:
    lengths = vectors.norm(dim=0)
    vectors = vectors[:, lengths > 0] / lengths[lengths > 0]
    for _ in range(2):
        vectors = vectors - basis @ (basis.T @ vectors)
    left, sizes, _ = torch.linalg.svd(vectors, full_matrices=False)
    left = left[:, sizes > 1e2 * torch.finfo(vectors.dtype).eps]
    if left.shape[1]:
        left = torch.linalg.qr(left - basis @ (basis.T @ left)).Q
    orthonormal: Tensor = left
    return orthonormal
