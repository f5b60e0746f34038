"""The Lanczos tridiagonalisation of several starts at once: what quadrature and vᵀH⁺v are computed from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Rows = Callable[[Tensor], Tensor]
LONG = 5_000  # from here on a batched product with one row runs far below the speed of a matrix-vector product


def tridiagonalise(
    apply: Rows,
    starts: Tensor,
    steps: int,
    *,
    progress: Callable[[int], object] | None = None,
    stop: Callable[[Tensor, Tensor], bool] | None = None,
) -> tuple[Tensor, Tensor]:
    """Diagonals and off-diagonals of T = VᵀAV with V an orthonormal basis of each start's Krylov space.

    Parameters
    ----------
    apply : callable ``(s, P) -> (s, P)``
        Row-wise products; each row may have a matrix of its own.
    starts : Tensor, shape (s, P)
        Unit rows.
    steps : int
        m, at most P.
    progress : callable, optional
        Called with the number of steps done.
    stop : callable ``(diagonal, off_diagonal) -> bool``, optional
        Asked after every tenth step whether what there is suffices.

    Returns
    -------
    diagonal : Tensor, shape (s, m), float64
    off_diagonal : Tensor, shape (s, m - 1), float64
        Zero from where a start has found an invariant subspace; what follows is decoupled from the start.

    Notes
    -----
    Three-term recurrence and full re-orthogonalisation of what it leaves, in the dtype of `starts`: the recurrence
    takes out all but rounding, so that one pass over the basis does what two do without it. Nothing but what `stop`
    reads goes back to the host inside the loop.
    Memory: s·m vectors (P,).
    """
    count, size = starts.shape
    basis = torch.empty(count, steps, size, dtype=starts.dtype, device=starts.device)
    diagonal = torch.zeros(count, steps, dtype=starts.dtype, device=starts.device)
    off_diagonal = torch.zeros(count, max(steps - 1, 0), dtype=starts.dtype, device=starts.device)
    basis[:, 0] = starts
    scale = torch.zeros(count, dtype=starts.dtype, device=starts.device)
    limits = torch.finfo(starts.dtype)
    threshold, least = 10 * limits.eps, limits.tiny / limits.eps
    for step in range(steps):
        image = apply(basis[:, step])
        if step > 0:
            image = torch.addcmul(image, off_diagonal[:, step - 1, None], basis[:, step - 1], value=-1)
        along = torch.linalg.vecdot(image, basis[:, step])
        image = torch.addcmul(image, along[:, None], basis[:, step], value=-1)
        diagonal[:, step] = along + _project_out(image, basis[:, : step + 1])[:, step]
        if step + 1 < steps:
            # squares of float32 numbers may leave its range
            length = torch.linalg.vector_norm(image, dim=1, dtype=torch.float64).to(image.dtype)
            scale = torch.maximum(scale, diagonal[:, step].abs() + length)
            # a length near the end of the type's range belongs to entries beyond it, without precision or inverse
            alive = (length > threshold * scale) & (length > least)
            off_diagonal[:, step] = torch.where(alive, length, 0.0)
            torch.mul(image, torch.where(alive, 1 / length, 0.0)[:, None], out=basis[:, step + 1])
        if progress is not None:
            progress(step + 1)
        if stop is not None and (step + 1) % 10 == 0 and stop(diagonal[:, : step + 1], off_diagonal[:, :step]):
            return diagonal[:, : step + 1].double(), off_diagonal[:, :step].double()
    return diagonal.double(), off_diagonal.double()


def _project_out(vectors: Tensor, bases: Tensor) -> Tensor:
    """Take out of vectors (s, P), in place, what lies along orthonormal rows (s, k, P); its coefficients (s, k)."""
    if vectors.shape[1] > LONG:
        coefficients = torch.stack([rows @ vector for rows, vector in zip(bases, vectors)])
        for rows, vector, along in zip(bases, vectors, coefficients):
            vector.addmv_(rows.T, along, alpha=-1)
    else:
        coefficients = torch.einsum("skp,sp->sk", bases, vectors)
        vectors -= torch.einsum("skp,sk->sp", bases, coefficients)
    return coefficients


def quadrature(diagonal: Tensor, off_diagonal: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss quadrature of the starts' spectral measures: nodes and weights, each of shape (s, m), on the CPU.

    The nodes are the eigenvalues of T, the weights the squared first entries of its eigenvectors; exact for
    polynomials of degree 2m − 1.
    """
    diagonal, off_diagonal = diagonal.double().cpu(), off_diagonal.double().cpu()
    matrix = torch.diag_embed(diagonal)
    if off_diagonal.shape[1]:
        matrix = matrix + torch.diag_embed(off_diagonal, 1) + torch.diag_embed(off_diagonal, -1)
    nodes, vectors = torch.linalg.eigh(matrix)
    return nodes, vectors[:, 0, :] ** 2
