"""Problems of matrix sensing: which measurements were taken, what came out, and (when known) the truth behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reprise.matrix_sensing.measurements import (
    DenseMeasurements,
    GaussianMeasurements,
    Measurements,
    RankOneMeasurements,
    SparseMeasurements,
)
from reprise.matrix_sensing.validation import finite_tensor, positive_integer, positive_number, symmetric_matrix

Seed = int | np.random.SeedSequence


@dataclass(frozen=True)
class SensingProblem:
    """Find the positive semidefinite X of low rank with ⟨A_i, X⟩ = y_i.

    Attributes
    ----------
    measurements : Measurements
        The operator X ↦ (⟨A_i, X⟩)_i.
    targets : Tensor, shape (m,)
        The measured y_i.
    truth : Tensor, shape (d, d), or None
        X*, when it is known.
    basis : Tensor, shape (d, r), or None
        Orthonormal basis U* of the range of X*, when it is known.

    Examples
    --------
    >>> problem = SensingProblem.gaussian(dimension=20, rank=2, measurements=120, seed=0)
    >>> problem.dimension, problem.count, problem.rank
    (20, 120, 2)
    """

    measurements: Measurements
    targets: Tensor
    truth: Tensor | None = None
    basis: Tensor | None = None

    @property
    def dimension(self) -> int:
        """d."""
        return self.measurements.dimension

    @property
    def count(self) -> int:
        """m."""
        return self.measurements.count

    @property
    def known_truth(self) -> Tensor:
        """X*; ValueError where it is not known."""
        if self.truth is None:
            raise ValueError("the truth of this problem is not known")
        return self.truth

    @property
    def rank(self) -> int | None:
        """r, when the truth is known."""
        return None if self.basis is None else self.basis.shape[-1]

    @classmethod
    def gaussian(
        cls,
        dimension: int,
        rank: int,
        measurements: int,
        *,
        condition: float = 1.0,
        noise: float = 0.0,
        seed: Seed = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> SensingProblem:
        """Random truth, measured by symmetrised Gaussian matrices, which have the restricted isometry property.

        Parameters
        ----------
        dimension, rank, measurements : int
            d, r and m.
        condition : float
            κ = 1/σ_r(X*): the nonzero eigenvalues of X* fall evenly from 1 to 1/κ.
        noise : float
            Standard deviation of normal noise added to the targets.
        seed : int or SeedSequence
            The truth, the measurements and the noise have streams of their own.
        dtype, device
            Precision and place of everything drawn.

        Raises
        ------
        ValueError
            If a size is not positive, the rank exceeds the dimension, or the condition is below 1.
        """
        streams = _streams(dimension, rank, measurements, condition, noise, seed, device)
        truth, basis = _random_truth(dimension, rank, condition, streams[0], dtype)
        operator = GaussianMeasurements(measurements, dimension, generator=streams[1], dtype=dtype)
        return cls(operator, _noisy(operator.apply(truth), noise, streams[2]), truth, basis)

    @classmethod
    def quadratic_network(
        cls,
        dimension: int,
        rank: int,
        measurements: int,
        *,
        condition: float = 1.0,
        noise: float = 0.0,
        seed: Seed = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> SensingProblem:
        """Training set of a teacher network ŷ(x) = ‖U*ᵀ x‖² with `rank` hidden units, on inputs x ~ N(0, I).

        Parameters and errors are those of `gaussian`; `measurements` is the number of examples.
        """
        streams = _streams(dimension, rank, measurements, condition, noise, seed, device)
        truth, basis = _random_truth(dimension, rank, condition, streams[0], dtype)
        inputs = torch.randn((measurements, dimension), generator=streams[1], dtype=dtype, device=device)
        operator = RankOneMeasurements(inputs)
        return cls(operator, _noisy(operator.apply(truth), noise, streams[2]), truth, basis)

    @classmethod
    def from_arrays(cls, A: Any, y: Any, *, truth: Any = None) -> SensingProblem:
        """Problem of your own.

        Parameters
        ----------
        A : array (m, d, d), scipy sparse array (m, d²), array (m, d) or Measurements
            Measurement matrices; or, sparse, one row per matrix; or the vectors x_i of rank-one measurements x_i x_iᵀ;
            or any operator.
        y : array, shape (m,)
            What was measured.
        truth : array, shape (d, d), optional
            The matrix behind the measurements, for errors and diagnostics.

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite, or the truth is not symmetric or zero.
        """
        measurements = as_measurements(A)
        kind: dict[str, Any] = {"dtype": measurements.dtype, "device": measurements.device}
        targets = finite_tensor("y", y, **kind)
        if tuple(targets.shape) != (measurements.count,):
            raise ValueError(
                f"y must have one entry per measurement ({measurements.count}), got shape {tuple(targets.shape)}"
            )
        if truth is None:
            return cls(measurements, targets)
        truth = symmetric_matrix("truth", truth, measurements.dimension, **kind)
        values, vectors = torch.linalg.eigh(truth)
        significant = values > 1e-6 * values.abs().max()
        if not bool(significant.any()):
            raise ValueError("truth must have a positive eigenvalue, got none")
        return cls(measurements, targets, truth, vectors[:, significant])

    @classmethod
    def stack(cls, problems: Sequence[SensingProblem]) -> SensingProblem:
        """Problems of one shape and kind as a batch, for `gradient_descent_batch`."""
        shapes = {(type(p.measurements), p.dimension, p.count, p.rank) for p in problems}
        if len(shapes) != 1:
            raise ValueError(f"problems must share kind, dimension, count and rank, got {len(shapes)} different ones")
        first = problems[0]
        operator = type(first.measurements).stack([problem.measurements for problem in problems])
        targets = torch.stack([problem.targets for problem in problems])
        if first.truth is None or first.basis is None:
            return cls(operator, targets)
        truth = torch.stack([problem.truth for problem in problems if problem.truth is not None])
        return cls(operator, targets, truth, torch.stack([p.basis for p in problems if p.basis is not None]))

    def item(self, index: int) -> SensingProblem:
        """The problem at this place of a batch; a problem that is no batch is its every item."""
        if self.targets.ndim == 1:
            return self
        return replace(
            self,
            measurements=self.measurements.item(index),
            targets=self.targets[index],
            truth=None if self.truth is None else self.truth[index],
            basis=None if self.basis is None else self.basis[index],
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SensingProblem:
        """The same problem on another device or in another precision."""
        move: dict[str, Any] = {"device": device, "dtype": dtype}
        return replace(
            self,
            measurements=self.measurements.to(**move),
            targets=self.targets.to(**move),
            truth=None if self.truth is None else self.truth.to(**move),
            basis=None if self.basis is None else self.basis.to(**move),
        )


def as_measurements(A: Any) -> Measurements:
    """The operator that fits the form of `A`; see `SensingProblem.from_arrays`."""
    if isinstance(A, Measurements):
        return A
    if sparse.issparse(A):
        return SparseMeasurements.from_scipy(A)
    array = finite_tensor("A", A)
    if array.ndim == 2:
        return RankOneMeasurements(array)
    return DenseMeasurements.from_matrices(array)


def _streams(
    dimension: int, rank: int, measurements: int, condition: float, noise: float, seed: Seed, device: Any
) -> list[torch.Generator]:
    """Check the sizes; one generator each for the truth, the measurements and the noise."""
    positive_integer("dimension", dimension)
    positive_integer("rank", rank, at_most=dimension, limit="dimension")
    positive_integer("measurements", measurements)
    positive_number("condition", condition, minimum=1.0, inclusive=True)
    positive_number("noise", noise, inclusive=True)
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Fresh children by name rather than by `spawn`, which would count up and make a second call differ.
    words = [
        np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, stream)).generate_state(1, np.uint64)[
            0
        ]
        for stream in range(3)
    ]
    return [torch.Generator(device=device).manual_seed(int(word >> 1)) for word in words]


def _random_truth(
    dimension: int, rank: int, condition: float, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """X* = U* diag(linspace(1, 1/κ, r)) U*ᵀ with U* from the QR of a Gaussian matrix; X* and U*."""
    gaussian = torch.randn((dimension, rank), generator=generator, dtype=dtype, device=generator.device)
    basis, _ = torch.linalg.qr(gaussian)
    spectrum = torch.linspace(1.0, 1.0 / condition, rank, dtype=dtype, device=generator.device)
    return (basis * spectrum) @ basis.mT, basis


def _noisy(targets: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    if noise == 0:
        return targets
    return targets + noise * torch.randn(targets.shape, generator=generator, dtype=targets.dtype, device=targets.device)
