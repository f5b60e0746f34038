"""Approximate inverses of the Hessians of many subsets, from those of their tasks at v = 0."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST_BLOCK = 128
_NEGLIGIBLE = 0.05  # curvature relative to the penalty's, below which a direction needs no more than its diagonal
_FLOOR = 1e-5  # of the largest eigenvalue: what float32 Hessians can tell from zero, with a margin


class Preconditioner:
    """Inverses for B subsets, exact where it matters.

    Coordinates are the eigenvectors of the average Hessian over all tasks. In the leading ones every subset has its own
    Hessian; in the others, where the penalty outweighs the loss, the average's diagonal.

    Parameters
    ----------
    hessians : Tensor, shape (n, D, D)
        Of the tasks, summed over their predictions.
    counts : Tensor, shape (n,)
        Numbers of predictions.
    ridges : Tensor, shape (D,)
        Second derivatives of the penalty.
    members : Tensor, shape (B, n)
        Indicators of the subsets.
    scales : Tensor, shape (B,)
        Factors of the subsets' summed losses.
    """

    def __init__(self, basis: Basis, ridges: Tensor, members: Tensor, scales: Tensor) -> None:
        self.vectors = basis.vectors
        shares = (scales * (members @ basis.counts))[:, None]
        eigenvalues = shares * basis.eigenvalues
        penalty = torch.maximum(ridges.max(), _FLOOR * eigenvalues[:, -1:])
        self.rank = min(_LARGEST_BLOCK, int((eigenvalues > _NEGLIGIBLE * penalty).any(0).sum()))
        self.weights = (1 / (eigenvalues + penalty)).float()
        leading = basis.vectors[:, -self.rank :].double()
        blocks = torch.tensordot(members * scales[:, None], basis.blocks[:, -self.rank :, -self.rank :], dims=1)
        blocks += (leading.T * ridges) @ leading
        blocks.diagonal(dim1=1, dim2=2).add_(penalty - ridges.max())
        self.inverses = torch.cholesky_inverse(torch.linalg.cholesky(blocks)).float()

    def __call__(self, residuals: Tensor) -> Tensor:
        """Return the approximate solutions (B, D) for right-hand sides (B, D)."""
        coordinates = residuals.float() @ self.vectors
        solved = coordinates * self.weights
        if self.rank:
            leading = coordinates[:, -self.rank :].unsqueeze(-1)
            solved[:, -self.rank :] = (self.inverses @ leading).squeeze(-1)
        return (solved @ self.vectors.T).double()


class Basis:
    """Eigenvectors of the average Hessian, and the tasks' Hessians in the leading ones; made once for all subsets."""

    def __init__(self, hessians: Tensor, counts: Tensor) -> None:
        self.counts = counts
        eigenvalues, vectors = torch.linalg.eigh((hessians.sum(0) / counts.sum()).double())
        self.eigenvalues, self.vectors = eigenvalues.clamp_min(0), vectors.float()
        leading = self.vectors[:, -_LARGEST_BLOCK:]
        self.blocks = (leading.T @ hessians.float() @ leading).double()
