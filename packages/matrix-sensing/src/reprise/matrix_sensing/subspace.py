"""The adaptive subspace of the proof: where the signal lives as it turns away from the range of X*."""

from __future__ import annotations

import torch
from torch import Tensor

from reprise.matrix_sensing.diagnostics import principal_angle, signal_error_split, spectral_norm


class AdaptiveSubspace:
    """S_0 = range X*, S_{t+1} = (I − η M(U_t)) S_t (Li, Ma and Zhang 2018, Section 3).

    The update of U applies the same map to all of its columns; following it, the part of U outside of S_t stays of the
    order of α even where the part outside of the fixed S_0 does not.

    Parameters
    ----------
    basis : Tensor, shape (..., d, r)
        Orthonormal basis of S_0.
    """

    def __init__(self, basis: Tensor) -> None:
        self.start = basis
        self.basis = basis
        self._turn: Tensor | None = None

    def follow(self, mean_residual: Tensor, step: float) -> None:
        """Move on to the S_t that belongs to U_t, given M(U_t), shape (..., d, d), which the next move needs."""
        if self._turn is not None:
            self.basis = torch.linalg.qr(self.basis - self._turn @ self.basis).Q
        self._turn = step * mean_residual

    def diagnostics(self, factor: Tensor) -> dict[str, Tensor]:
        """Angle of S_t to S_0 in radians, and ‖(I − P_{S_t}) U‖₂."""
        _, outside = signal_error_split(factor, self.basis)
        return {"subspace_angle": principal_angle(self.start, self.basis), "subspace_error": spectral_norm(outside)}
