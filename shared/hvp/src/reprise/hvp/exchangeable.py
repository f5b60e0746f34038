"""Leave-one-out samples of XTrace, XNysTrace and XDiag (Epperly, Tropp and Webber 2024).

Each random vector serves twice: it helps to build the low-rank approximation with which all the others are corrected,
and it samples the remainder of the approximation that was built without it. The k samples are exchangeable; their mean
is unbiased.

Rows are vectors here: Ω, Y = AΩ, Q and Z = AQ have shape (k, P). The k×k algebra is done in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor


def xtrace_samples(omega: Tensor, image: Tensor, basis: Tensor, curved: Tensor, *, sphere: bool = True) -> Tensor:
    """Samples of tr A whose mean is XTrace.

    Parameters
    ----------
    omega, image : Tensor, shape (k, P)
        Random vectors ω_i, and y_i = Aω_i.
    basis, curved : Tensor, shape (k, P)
        Orthonormal basis Q of the span of the y_i, and Z = AQ.
    sphere : bool
        Whether the ω_i are uniform on the sphere of radius √P (otherwise Rademacher).

    Returns
    -------
    Tensor, shape (k,), float64
        t_i = tr H − s_iᵀHs_i + c_i (ω_iᵀy_i − 2u_iᵀr_i + u_iᵀHu_i), with H = QᵀAQ, r_i the i-th column of R = QᵀY,
        w_i of W = QᵀΩ, s_i of R^{-T} normalised, u_i = w_i − s_i(s_iᵀw_i), and c_i = (P − k + 1)/(P − ‖u_i‖²) on the
        sphere, 1 otherwise. Where the y_i span less than k dimensions, A has that rank and all samples are tr H (if the
        ω_i are independent, which Rademacher vectors in a handful of dimensions need not be).
    """
    size, k = omega.shape[1], len(omega)
    R, W = _small(basis, image), _small(basis, omega)
    H = _small(basis, curved)
    H = (H + H.T) / 2
    left, singular, _ = torch.linalg.svd(R)
    rank = int((singular > 10 * k * torch.finfo(omega.dtype).eps * singular[0]).sum()) if singular[0] > 0 else 0
    if rank < k:
        kept = left[:, :rank]
        return torch.full((k,), float(torch.trace(kept.T @ H @ kept)), dtype=torch.float64)
    S = torch.linalg.inv(R).T
    S = S / S.norm(dim=0)
    U = W - S * (S * W).sum(0)
    forms = (omega.double() * image.double()).sum(1).cpu()
    rest = forms - 2 * (U * R).sum(0) + (U * (H @ U)).sum(0)
    scale = (size - k + 1) / (size - (U**2).sum(0)) if sphere else torch.ones(k, dtype=torch.float64)
    samples: Tensor = H.trace() - (S * (H @ S)).sum(0) + scale * rest
    return samples


def nystrom_samples(omega: Tensor, image: Tensor, *, sphere: bool = True) -> Tensor:
    """Samples of tr A whose mean is XNysTrace, for positive semi-definite A.

    Parameters
    ----------
    omega, image : Tensor, shape (k, P)
        Random vectors, and their images.
    sphere : bool
        Whether they are uniform on the sphere of radius √P (otherwise Rademacher).

    Returns
    -------
    Tensor, shape (k,), float64
        With Â the Nyström approximation YH⁻¹Yᵀ, H = ΩᵀY, and Â_{-i} = Â − s_i s_iᵀ the one without ω_i, where
        s_i = YH⁻¹e_i/√(H⁻¹)_ii: t_i = tr Â_{-i} + c_i (s_iᵀω_i)², since Â agrees with A on ω_i;
        c_i = (P − k + 1)·((ΩᵀΩ)⁻¹)_ii on the sphere, 1 otherwise. Where H is singular to rounding, A has that rank and
        all samples are tr Â.

    Raises
    ------
    ValueError
        If A is not positive semi-definite on the vectors.
    """
    size, k = omega.shape[1], len(omega)
    H = _small(omega, image)
    values, vectors = torch.linalg.eigh((H + H.T) / 2)
    largest = float(values.abs().max())
    if float(values[0]) < -1e-3 * largest:
        raise ValueError('operator must be positive semi-definite for method "xnystrace": use "xtrace"')
    cross = _small(image, image)
    live = values > 10 * k * torch.finfo(omega.dtype).eps * largest
    inverse = (vectors[:, live] / values[live]) @ vectors[:, live].T
    total = (inverse * cross).sum()
    if not bool(live.all()):
        return torch.full((k,), float(total), dtype=torch.float64)
    weight = inverse.diagonal()
    lost = (inverse * (cross @ inverse)).sum(0) / weight
    # s_iᵀω_i = (ΩᵀYH⁻¹)_ii/√(H⁻¹)_ii = 1/√(H⁻¹)_ii
    scale = torch.ones(k, dtype=torch.float64)
    if sphere:
        scale = (size - k + 1) * torch.linalg.inv(_small(omega, omega)).diagonal()
    samples: Tensor = total - lost + scale / weight
    return samples


def xdiag_samples(omega: Tensor, image: Tensor, basis: Tensor, curved: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard error of XDiag's samples of the diagonal of A.

    Parameters
    ----------
    omega, image, basis, curved : Tensor, shape (k, P)
        As for `xtrace_samples`, with Rademacher ω_i.

    Returns
    -------
    mean, stderr : Tensor, shape (P,)
        Of d_i = diag(Q_iQ_iᵀA) + ω_i∘(I − Q_iQ_iᵀ)Aω_i, where Q_i is the basis without y_i. Since y_i = Qr_i,
        (I − Q_iQ_iᵀ)y_i = Qs_i(s_iᵀr_i).
    """
    k = len(omega)
    R = _small(basis, image)
    left, singular, _ = torch.linalg.svd(R)
    rank = int((singular > 10 * k * torch.finfo(omega.dtype).eps * singular[0]).sum()) if singular[0] > 0 else 0
    if rank < k:
        kept = left[:, :rank].T.to(basis)
        return ((kept @ basis) * (kept @ curved)).sum(0), torch.zeros_like(omega[0])
    S = torch.linalg.inv(R).T
    S = S / S.norm(dim=0)
    along = (S * R).sum(0).to(basis)
    lost_basis, lost_curved = S.T.to(basis) @ basis, S.T.to(basis) @ curved
    change = omega * lost_basis * along[:, None] - lost_basis * lost_curved
    mean = (basis * curved).sum(0) + change.mean(0)
    return mean, change.std(0) / k**0.5


def extend_basis(basis: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal basis of the rows of `image` that begins with `basis`, and what was added; rows (k, P)."""
    fresh = image[len(basis) :]
    for _ in range(2):  # twice is enough
        fresh = fresh - (fresh @ basis.T) @ basis
    added = torch.linalg.qr(fresh.T).Q.T
    if len(basis):
        added = torch.linalg.qr((added - (added @ basis.T) @ basis).T).Q.T
    return torch.cat([basis, added]), added


def _small(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of rows, (k, P) and (l, P) to (k, l), in float64 on the CPU."""
    return (left.double() @ right.double().T).cpu() if left.device.type == "cpu" else (left @ right.T).double().cpu()
