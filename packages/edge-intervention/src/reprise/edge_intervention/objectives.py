"""What an intervention makes small: leading singular values, as they are, smoothed, or weighted by people and places.

An objective gives, at some weights, its value and a linearisation: the gradient on the edges, and for convex objectives
the value of a convex function below the objective with that gradient. The latter makes a lower bound on the optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from reprise.edge_intervention.centrality import entries_on_edges, power_of
from reprise.edge_intervention.spectrum import SingularTriples, leading_triples
from reprise.edge_intervention.validation import integer, numbers
from reprise.edge_intervention.weights import edge_rows, with_data


@dataclass(frozen=True)
class Linearisation:
    """An objective near some weights.

    Parameters
    ----------
    value : float
        The objective itself.
    gradient : ndarray, shape (nnz,)
    support : float
        Value at these weights of the convex minorant that has this gradient; NaN where the objective is not convex.
    start : object
        What makes the next evaluation nearby faster.
    """

    value: float
    gradient: np.ndarray
    support: float
    start: Any = None


class Objective(Protocol):
    """What Frank-Wolfe needs to know of an objective; weights share the pattern of the network."""

    def value(self, weights: sparse.csr_array, start: Any = None) -> float:
        """Return the objective."""
        ...

    def linearise(self, weights: sparse.csr_array, step: int, start: Any = None) -> Linearisation:
        """Return value and gradient at step `step` (from 0) of a run."""
        ...


class SpectralObjective:
    """``Σ_{k≤r} σ_k(D₁ M D₂)^power``, the sum over the r largest singular values.

    Parameters
    ----------
    rank : int
    power : {1, 2}
    smoothing : float
        μ₀ of the smoothed gradient; 0 for the plain one.
    row_scale, column_scale : ndarray, shapes (n,) and (m,), optional
        D₁ and D₂; identities by default.

    Notes
    -----
    Where σ_r = σ_{r+1} the objective has many subgradients, and Frank-Wolfe with one of them can stall. The smoothed
    gradient weighs the k-th triple by ``p_k``, the maximiser of ``⟨p, λ⟩ − μ/2 ‖p‖²`` over ``0 ≤ p ≤ 1, Σ p = r`` with
    ``λ = σ^power`` and ``μ_t = μ₀ mean(λ_1…λ_r)/√(t + 1)``. For every such p the function ``Σ p_k ‖Mᵀu_k‖²`` with
    fixed u is convex and below the objective, so that ``Σ p_k λ_k + ⟨G, S − M⟩`` is a lower bound on the optimum.
    """

    def __init__(
        self,
        rank: int = 20,
        power: int = 2,
        smoothing: float = 0.0,
        *,
        row_scale: np.ndarray | None = None,
        column_scale: np.ndarray | None = None,
    ):
        self.rank, self.power, self.smoothing = integer("rank", rank), power_of(power), float(smoothing)
        self.row_scale, self.column_scale = row_scale, column_scale

    def value(self, weights: sparse.csr_array, start: np.ndarray | None = None) -> float:
        """Return the objective at `weights`."""
        scaled, _ = self._scaled(weights)
        return float((leading_triples(scaled, self.rank, start).values ** self.power).sum())

    def linearise(self, weights: sparse.csr_array, step: int, start: np.ndarray | None = None) -> Linearisation:
        """Return value and (smoothed) gradient at `weights`."""
        scaled, scale = self._scaled(weights)
        triples, shares = self._weighed(scaled, step, start)
        powers = triples.values**self.power
        factors = self.power * shares * triples.values ** (self.power - 1)
        gradient = entries_on_edges(triples.left * factors, triples.right, weights)
        if scale is not None:
            gradient *= scale
        return Linearisation(float(powers[: self.rank].sum()), gradient, float((shares * powers).sum()), triples.start)

    def _weighed(
        self, scaled: sparse.csr_array, step: int, start: np.ndarray | None
    ) -> tuple[SingularTriples, np.ndarray]:
        """Triples, and the share p of each in the gradient; as many as have a share."""
        side = min(scaled.shape)
        if not self.smoothing or self.rank >= side:
            triples = leading_triples(scaled, self.rank, start)
            return triples, np.ones(len(triples.values))
        # Twice the rank pays for what smoothing mixes; a flatter spectrum than that gets less smoothing, not more
        # triples.
        most = min(2 * self.rank + 5, side)
        count = min(self.rank + 5, side)
        while True:
            triples = leading_triples(scaled, count, start)
            powers = triples.values**self.power
            smoothing = self.smoothing * powers[: self.rank].mean() / np.sqrt(step + 1)
            shares = capped_shares(powers, self.rank, smoothing)
            # A share of the last triple means that the next one, which is not there, would have one too.
            if shares[-1] == 0 or len(powers) == side:
                return triples, shares
            if count == most:
                break
            count = min(2 * count, most)
        while shares[-1] > 0 and smoothing > 1e-9 * powers[0]:
            smoothing /= 2
            shares = capped_shares(powers, self.rank, smoothing)
        return triples, shares if shares[-1] == 0 else capped_shares(powers, self.rank, 0.0)

    def _scaled(self, weights: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray | None]:
        if self.row_scale is None and self.column_scale is None:
            return weights, None
        scale = np.ones(weights.nnz)
        if self.row_scale is not None:
            scale *= self.row_scale[edge_rows(weights)]
        if self.column_scale is not None:
            scale *= self.column_scale[weights.indices]
        return with_data(weights, weights.data * scale), scale


def capped_shares(values: np.ndarray, count: int, smoothing: float) -> np.ndarray:
    """Return the maximiser of ``⟨p, values⟩ − smoothing/2 ‖p‖²`` over ``0 ≤ p ≤ 1, Σ p = count``.

    Parameters
    ----------
    values : ndarray, shape (q,), descending
    count : int
        At most q.
    smoothing : float
        At least 0.

    Examples
    --------
    >>> capped_shares(np.array([9.0, 4.0, 4.0, 1.0]), 2, 0.1)
    array([1. , 0.5, 0.5, 0. ])
    """
    if smoothing <= 0 or not values[0] > 0 or count >= len(values):
        return (np.arange(len(values)) < count).astype(float)
    scaled = values / smoothing
    low, high = scaled.min() - 1.0, scaled.max()
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if np.clip(scaled - middle, 0.0, 1.0).sum() > count:
            low = middle
        else:
            high = middle
    shares = np.clip(scaled - high, 0.0, 1.0)
    # Rounding of large values leaves a sum next to the count; the inner shares take up the rest.
    inner = (shares > 0) & (shares < 1)
    if inner.any():
        shares[inner] = np.clip(shares[inner] + (count - shares.sum()) / inner.sum(), 0.0, 1.0)
    return np.asarray(shares)


def next_generation_objective(
    beta_poi: Any, population: Any, shape: tuple[int, int], *, rank: int = 20, power: int = 2, smoothing: float = 0.0
) -> SpectralObjective:
    """The singular values of the next generation of infections, instead of those of the visits.

    Parameters
    ----------
    beta_poi : array_like, shape (m,)
        Transmission rate of each place.
    population : array_like, shape (n,)
        Of each block group, at least 1.
    shape : (int, int)
        Of the weights.
    rank, power, smoothing
        As of `SpectralObjective`.

    Returns
    -------
    SpectralObjective
        ``Σ_{k≤r} σ_k(N^{-1/2} M B^{1/2})^power`` with ``N = diag(population)`` and ``B = diag(beta_poi)``.

    Notes
    -----
    Near the state without disease, infections of the metapopulation model grow by ``N^{-1/2} M B Mᵀ N^{-1/2}`` (up to
    similarity). The singular values of the visits alone ignore that a place may be small and dense and a block group
    large.
    """
    beta = numbers("beta_poi", beta_poi, shape[1], of="place")
    people = numbers("population", population, shape[0], of="block group", low=1.0)
    return SpectralObjective(rank, power, smoothing, row_scale=people**-0.5, column_scale=beta**0.5)


class CallableObjective:
    """An objective of the user: a function from weights to value and gradient on the edges.

    Parameters
    ----------
    function : callable
        ``function(weights) -> (value, gradient)`` with a csr_array that has the edges of the network (some of them with
        weight zero) and a gradient of shape (nnz,).
    """

    def __init__(self, function: Callable[[sparse.csr_array], tuple[float, Any]]):
        self.function = function

    def value(self, weights: sparse.csr_array, start: Any = None) -> float:
        """Return the objective at `weights`."""
        return self._called(weights)[0]

    def linearise(self, weights: sparse.csr_array, step: int, start: Any = None) -> Linearisation:
        """Return value and gradient at `weights`; nothing is known of convexity."""
        value, gradient = self._called(weights)
        return Linearisation(value, gradient, np.nan)

    def _called(self, weights: sparse.csr_array) -> tuple[float, np.ndarray]:
        try:
            value, gradient = self.function(weights)
            gradient = np.asarray(gradient, dtype=np.float64)
            value = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"objective must return a number and a gradient of shape ({weights.nnz},): {error}"
            ) from error
        if gradient.shape != (weights.nnz,) or not np.isfinite(gradient).all() or not np.isfinite(value):
            raise ValueError(
                f"objective must return a finite number and a finite gradient of shape ({weights.nnz},), "
                f"got {value} and shape {gradient.shape}"
            )
        return value, gradient
