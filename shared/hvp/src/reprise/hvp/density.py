"""The spectral density by stochastic Lanczos quadrature (Ghorbani, Krishnan and Xiao 2019; Yao et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .lanczos import quadrature, tridiagonalise
from .linear import SymmetricOperator, as_operator
from .probes import probes, random_generator
from .trace import Estimate, Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASIS_BYTES = 2**30


@dataclass(frozen=True)
class SignFractions:
    """Shares of the eigenvalues below −ε, within ±ε and above ε, each with its standard error."""

    negative: float
    zero: float
    positive: float
    stderr: tuple[float, float, float]
    epsilon: float


@dataclass(frozen=True)
class SpectralDensity:
    """The distribution of the eigenvalues, as one discrete measure per random start.

    Attributes
    ----------
    nodes, weights : Tensor, shape (starts, steps), float64
        Eigenvalue estimates, and their weights, which sum to 1 over each row.
    size : int
        P.
    products : int
    converged : bool
        False when an accuracy was asked for and the starts ran out first.
    """

    nodes: Tensor
    weights: Tensor
    size: int
    products: int
    converged: bool = True

    @property
    def scale(self) -> float:
        """The largest magnitude of a node with weight: an estimate of |λ|_max."""
        return float((self.nodes.abs() * (self.weights > 1e-12)).max())

    def pdf(self, t: Tensor, sigma: float | None = None) -> Tensor:
        """Density at `t`, shape like `t`: the nodes smoothed by Gaussians.

        Parameters
        ----------
        t : Tensor
            Where.
        sigma : float, optional
            Standard deviation of the Gaussians; √1e-5 of the range of the nodes by default.
        """
        if sigma is None:
            sigma = math.sqrt(1e-5) * float(self.nodes.max() - self.nodes.min()) or 1e-12
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        distance = (t.double().cpu()[..., None] - self.nodes.flatten()) / sigma
        bumps = torch.exp(-(distance**2) / 2) / (sigma * math.sqrt(2 * math.pi))
        return (bumps * self.weights.flatten()).sum(-1) / len(self.nodes)

    def fraction(self, lower: float, upper: float) -> Estimate:
        """Share of the eigenvalues in [lower, upper]."""
        if not lower <= upper:
            raise ValueError(f"lower must be at most upper, got {lower} and {upper}")
        return self._over_starts((self.weights * ((self.nodes >= lower) & (self.nodes <= upper))).sum(1))

    def signs(self, epsilon: float | None = None) -> SignFractions:
        """Shares of negative, zero and positive eigenvalues, where zero is |λ| ≤ ε.

        Parameters
        ----------
        epsilon : float, optional
            The dead band; 1e-3 of the largest magnitude by default. State it with every number: it matters.
        """
        epsilon = 1e-3 * self.scale if epsilon is None else epsilon
        if not epsilon >= 0:
            raise ValueError(f"epsilon must be at least 0, got {epsilon}")
        negative = self._over_starts((self.weights * (self.nodes < -epsilon)).sum(1))
        positive = self._over_starts((self.weights * (self.nodes > epsilon)).sum(1))
        zero = self._over_starts((self.weights * (self.nodes.abs() <= epsilon)).sum(1))
        errors = (negative.stderr, zero.stderr, positive.stderr)
        return SignFractions(negative.value, zero.value, positive.value, errors, epsilon)

    def trace_of(self, function: Callable[[Tensor], Tensor] | None = None) -> Estimate:
        """tr g(A) = P·Σ τ² g(θ) for a function of the eigenvalues; the identity by default.

        Parameters
        ----------
        function : callable ``(Tensor) -> Tensor``, optional
            Element-wise: ``lambda t: t.clamp_min(0)`` gives tr A⁺.
        """
        values = self.nodes if function is None else function(self.nodes)
        return self._over_starts(self.size * (self.weights * values).sum(1))

    def plot(self, ax: Axes | None = None, *, sigma: float | None = None, **style: Any) -> Axes:
        """Draw the density on a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.
        sigma : float, optional
            As for `pdf`.
        **style
            Passed on to `Axes.plot`.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        low, high = float(self.nodes.min()), float(self.nodes.max())
        margin = 0.05 * (high - low) or 1.0
        t = torch.linspace(low - margin, high + margin, 2000, dtype=torch.float64)
        ax.semilogy(t.numpy(), self.pdf(t, sigma).clamp_min(1e-12).numpy(), **style)
        ax.set(xlabel="eigenvalue", ylabel="density")
        ax.set_ylim(bottom=1e-8)
        return ax

    def _over_starts(self, values: Tensor) -> Estimate:
        count = len(values)
        stderr = float(values.std() / math.sqrt(count)) if count > 1 else math.nan
        return Estimate(float(values.mean()), stderr, self.products, values)


def spectral_density(
    operator: SymmetricOperator | Tensor,
    *,
    starts: int = 5,
    steps: int = 80,
    rtol: float | None = None,
    max_starts: int = 50,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> SpectralDensity:
    """The distribution of the eigenvalues from random starts of Lanczos.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        Whose spectrum.
    starts : int
        Random unit vectors; the standard errors come from their spread.
    steps : int
        Lanczos steps for each, at most P are taken; moments up to degree 2·steps − 1 are exact for each start.
    rtol : float, optional
        Add starts until the trace has this relative standard error.
    max_starts : int
        Most starts with `rtol`.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every step.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    ValueError
        For fewer than one start or step, or an `rtol` that is not positive.

    Examples
    --------
    >>> import torch
    >>> density = spectral_density(torch.diag(torch.tensor([-1.0, 0.0, 2.0, 2.0])), starts=200, steps=4)
    >>> signs = density.signs(epsilon=1e-3)
    >>> abs(signs.positive - 0.5) < 4 * signs.stderr[2]
    True
    """
    if starts < 1:
        raise ValueError(f"starts must be at least 1, got {starts}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    operator = as_operator(operator)
    source = random_generator(generator, operator.device)
    steps = min(steps, operator.size)
    bytes_each = steps * operator.size * torch.finfo(operator.dtype).bits // 8
    together = max(1, BASIS_BYTES // bytes_each)
    most = starts if rtol is None else max(starts, max_starts)
    nodes: list[Tensor] = []
    weights: list[Tensor] = []
    done = 0
    while done < most:
        count = min(together, (starts if done < starts else done + max(2, done // 2)) - done, most - done)
        rows = probes(operator, count, source, distribution="sphere") / math.sqrt(operator.size)

        def report(step: int, done: int = done, count: int = count) -> None:
            if progress is not None:
                progress(done * steps + count * step, most * steps)

        found = quadrature(*tridiagonalise(operator.apply, rows, steps, progress=report))
        nodes.append(found[0])
        weights.append(found[1])
        done += count
        density = SpectralDensity(torch.cat(nodes), torch.cat(weights), operator.size, done * steps)
        if rtol is None:
            continue
        density = replace(density, converged=density.trace_of().relative_error <= rtol)
        if done >= starts and density.converged:
            break
    return density
