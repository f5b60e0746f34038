"""How far gradient descent has come: recovery error, and the split of a factor into signal and error.

With U* an orthonormal basis of the range of X*, a factor U is the sum of its signal U* Z, Z = U*ᵀ U, and its error
E = (I − U* U*ᵀ) U. The paper's proof is that ‖E‖ stays small while the singular values of Z grow to those of U*.
"""

from __future__ import annotations

import torch
from torch import Tensor


def recovery_error(estimate: Tensor, truth: Tensor) -> Tensor:
    """Relative Frobenius error of a recovered matrix.

    Parameters
    ----------
    estimate, truth : Tensor, shape (d, d) or (batch, d, d)

    Returns
    -------
    Tensor, shape () or (batch,)
        ``‖estimate − truth‖_F / ‖truth‖_F``.

    Raises
    ------
    ValueError
        If the shapes differ or `truth` is zero.

    Examples
    --------
    >>> recovery_error(torch.diag(torch.tensor([3.0, 4.0])), torch.diag(torch.tensor([3.0, 0.0])))
    tensor(1.3333)
    """
    if estimate.shape[-2:] != truth.shape[-2:]:
        raise ValueError(f"estimate must have the shape of truth {tuple(truth.shape)}, got {tuple(estimate.shape)}")
    norm: Tensor = torch.linalg.matrix_norm(truth)
    if not bool((norm > 0).all()):
        raise ValueError("truth must not be zero")
    gap: Tensor = torch.linalg.matrix_norm(estimate - truth)
    return gap / norm


def signal_error_split(factor: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and error of a factor with respect to a subspace.

    Parameters
    ----------
    factor : Tensor, shape (..., d, k)
        U.
    basis : Tensor, shape (..., d, r)
        U*, orthonormal columns.

    Returns
    -------
    signal : Tensor, shape (..., r, k)
        Z = U*ᵀ U.
    error : Tensor, shape (..., d, k)
        E = (I − U* U*ᵀ) U, so that U = U* Z + E.

    Raises
    ------
    ValueError
        If the numbers of rows differ.
    """
    if factor.shape[-2] != basis.shape[-2]:
        raise ValueError(f"basis must have as many rows as factor ({factor.shape[-2]}), got {basis.shape[-2]}")
    signal = basis.mT @ factor
    return signal, factor - basis @ signal


def principal_angle(first: Tensor, second: Tensor) -> Tensor:
    """Largest principal angle between the spans of two orthonormal bases.

    Parameters
    ----------
    first, second : Tensor, shape (..., d, r)

    Returns
    -------
    Tensor, shape (...)
        In radians: arcsin ‖(I − first firstᵀ) second‖₂, which is accurate for small angles.
    """
    _, rest = signal_error_split(second, first)
    return torch.asin(spectral_norm(rest).clamp(max=1.0))


def spectral_norm(matrix: Tensor) -> Tensor:
    """Largest singular value, shape (...), of tall or square matrices (..., d, k)."""
    # Of the small Gram matrix: its top eigenvalue is as accurate as an SVD's, at a fraction of the cost.
    eigenvalues: Tensor = torch.linalg.eigvalsh(matrix.mT @ matrix)
    return eigenvalues[..., -1].clamp(min=0.0).sqrt()


def factor_diagnostics(
    factor: Tensor, truth: Tensor | None, basis: Tensor | None, *, singular_values: bool = False
) -> dict[str, Tensor]:
    """The numbers recorded along a run.

    Returns
    -------
    dict
        ``nuclear_norm`` = ‖U Uᵀ‖_* = ‖U‖_F²; when the truth is known also ``error`` (relative Frobenius),
        ``sigma_r`` = σ_r(Z) and ``error_part`` = ‖E‖₂. On request ``singular_values``, all those of U, largest first,
        and ``angle``, the largest principal angle between U* and the leading r left singular vectors of U.
    """
    numbers = {"nuclear_norm": factor.square().sum((-2, -1))}
    if truth is not None and basis is not None:
        signal, error = signal_error_split(factor, basis)
        numbers["error"] = recovery_error(factor @ factor.mT, truth)
        numbers["sigma_r"] = torch.linalg.svdvals(signal)[..., -1]
        numbers["error_part"] = spectral_norm(error)
    if singular_values:
        left, numbers["singular_values"], _ = torch.linalg.svd(factor, full_matrices=False)
        if basis is not None and factor.shape[-1] >= basis.shape[-1]:
            numbers["angle"] = principal_angle(basis, left[..., : basis.shape[-1]])
    return numbers
