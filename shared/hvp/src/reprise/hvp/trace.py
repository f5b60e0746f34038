"""Estimates of tr A from products, each with its standard error.

* Hutchinson (1990): mean of zᵀAz.
* Hutch++ (Meyer, Musco, Musco and Woodruff 2021): exact on a random subspace, Hutchinson on the rest.
* XTrace and XNysTrace (Epperly, Tropp and Webber 2024): every vector is used for the subspace of all others.
* noise: a function's mean change under Gaussian noise (see `noise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .curvature import CurvatureOperator
from .exchangeable import extend_basis, nystrom_samples, xtrace_samples
from .linear import SymmetricOperator, as_operator
from .noise import noise_samples
from .probes import Distribution, probes, random_generator

Method = Literal["xtrace", "xnystrace", "hutch++", "hutchinson", "noise"]
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    Attributes
    ----------
    value, stderr : float
        The mean of the samples (plus what is known exactly), and its standard error; NaN where one sample cannot tell.
    products : int
        Products with the operator (for the noise method: evaluations of the function).
    samples : Tensor, shape (n,), float64
    converged : bool
        False when an accuracy was asked for and the products ran out first.
    """

    value: float
    stderr: float
    products: int
    samples: Tensor
    converged: bool = True

    @property
    def relative_error(self) -> float:
        """Standard error over the value's size."""
        return self.stderr / abs(self.value) if self.value else math.inf


def trace(
    operator: SymmetricOperator | Tensor,
    *,
    method: Method = "xtrace",
    products: int = 100,
    rtol: float | None = None,
    distribution: Distribution | None = None,
    sigma: float = 1e-2,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Estimate of tr A.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        What to take the trace of.
    method : "xtrace", "xnystrace", "hutch++", "hutchinson" or "noise"
        XTrace is exact at low rank and best on decaying spectra; XNysTrace better still on positive semi-definite
        operators (Gauss-Newton); Hutchinson best on flat spectra and needs no memory.
    products : int
        Most products to use. XTrace, XNysTrace and Hutch++ keep vectors (P,) for about that many.
    rtol : float, optional
        Stop as soon as the relative standard error is no larger.
    distribution : "rademacher", "gaussian" or "sphere", optional
        Of the random vectors: Rademacher by default, uniform on the sphere for XTrace and XNysTrace.
    sigma : float
        Standard deviation of the noise (method "noise").
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every group of products.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError, TypeError
        For an unknown method or distribution, fewer products than it needs, an `rtol` that is not positive.

    Notes
    -----
    Hutchinson's variance with Rademacher vectors is ``2(‖A‖_F² − Σ a_ii²)/n``. XTrace's error estimate comes from
    exchangeable, not independent, samples: its ±1.96 intervals cover somewhat less than 95 % (see the README).

    Examples
    --------
    >>> import torch
    >>> estimate = trace(torch.diag(torch.tensor([1.0, 2.0, 3.0])), method="hutchinson", products=4)
    >>> estimate.value, estimate.stderr
    (6.0, 0.0)
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {get_args(Method)}, got {method!r}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    least = {"hutchinson": 1, "noise": 5, "hutch++": 3, "xtrace": 2, "xnystrace": 1}[method]
    if products < least:
        raise ValueError(f"products must be at least {least} for method {method!r}, got {products}")
    operator = as_operator(operator)
    source = random_generator(generator, operator.device)
    run = _Run(operator, products, rtol, source, progress)
    if method == "hutchinson":
        return run.independent(distribution or "rademacher")
    if method == "hutch++":
        return run.hutch_plus_plus(distribution or "rademacher")
    if method == "noise":
        if not isinstance(operator, CurvatureOperator):
            raise TypeError(f"operator must have a function for method 'noise', got {type(operator).__name__}")
        return run.noise(operator, sigma)
    if distribution == "gaussian":
        raise ValueError(f"distribution must be 'sphere' or 'rademacher' for {method!r}, got 'gaussian'")
    return run.exchangeable(method, distribution or "sphere")


@dataclass
class _Run:
    operator: SymmetricOperator
    products: int
    rtol: float | None
    source: torch.Generator
    progress: Progress | None

    def independent(self, distribution: Distribution, group: int = 8) -> Estimate:
        """Hutchinson's mean of zᵀAz."""
        samples = torch.empty(0, dtype=torch.float64)
        while len(samples) < self.products:
            rows = probes(
                self.operator, min(group, self.products - len(samples)), self.source, distribution=distribution
            )
            samples = torch.cat([samples, _forms(rows, self.operator.apply(rows))])
            if self._done(0.0, samples, len(samples)):
                break
        return self._estimate(0.0, samples, len(samples))

    def hutch_plus_plus(self, distribution: Distribution) -> Estimate:
        """tr(QᵀAQ) + mean of gᵀ(I−QQᵀ)A(I−QQᵀ)g, with Q spanning A times a third of the vectors."""
        third = self.products // 3
        sketch = self.operator.apply(probes(self.operator, third, self.source, distribution=distribution))
        basis = torch.linalg.qr(sketch.T).Q.T.contiguous()
        exact = float(_forms(basis, self.operator.apply(basis)).sum())
        used = third + len(basis)
        samples = torch.empty(0, dtype=torch.float64)
        while used < self.products:
            rows = probes(self.operator, min(8, self.products - used), self.source, distribution=distribution)
            rows = rows - (rows @ basis.T) @ basis
            samples = torch.cat([samples, _forms(rows, self.operator.apply(rows))])
            used += len(rows)
            if self._done(exact, samples, used):
                break
        return self._estimate(exact, samples, used)

    def noise(self, operator: CurvatureOperator, sigma: float) -> Estimate:
        """Noise stability at σ and σ/2, extrapolated."""
        samples, used = torch.empty(0, dtype=torch.float64), 1
        centre = operator.value()
        while used + 4 <= self.products:
            count = min(4, (self.products - used) // 4)
            samples = torch.cat([samples, noise_samples(operator, count, sigma, self.source, centre=centre)])
            used += 4 * count
            if self._done(0.0, samples, used):
                break
        return self._estimate(0.0, samples, used)

    def exchangeable(self, method: str, distribution: Distribution) -> Estimate:
        """XTrace or XNysTrace; with `rtol` the vectors grow by half until it is reached, none is thrown away."""
        per_vector = 2 if method == "xtrace" else 1
        size = self.operator.size
        most = min(self.products // per_vector, size)
        target = most if self.rtol is None else min(most, 8)
        omega = torch.zeros(0, size, dtype=self.operator.dtype, device=self.operator.device)
        image, basis, curved = omega, omega, omega
        while True:
            fresh = probes(self.operator, target - len(omega), self.source, distribution=distribution)
            omega = torch.cat([omega, fresh])
            image = torch.cat([image, self.operator.apply(fresh)])
            if method == "xtrace":
                basis, added = extend_basis(basis, image)
                if len(added):
                    curved = torch.cat([curved, self.operator.apply(added)])
                samples = xtrace_samples(omega, image, basis, curved, sphere=distribution == "sphere")
                used = len(omega) + len(curved)
            else:
                samples = nystrom_samples(omega, image, sphere=distribution == "sphere")
                used = len(omega)
            if self._done(0.0, samples, used) or target >= most:
                return self._estimate(0.0, samples, used)
            target = min(most, target + max(4, target // 2))

    def _done(self, exact: float, samples: Tensor, used: int) -> bool:
        if self.progress is not None:
            self.progress(used, self.products)
        return self.rtol is not None and self._estimate(exact, samples, used).converged

    def _estimate(self, exact: float, samples: Tensor, used: int) -> Estimate:
        value = exact + (float(samples.mean()) if len(samples) else 0.0)
        stderr = float(samples.std() / math.sqrt(len(samples))) if len(samples) > 1 else math.nan
        converged = self.rtol is None or (len(samples) >= 4 and stderr <= self.rtol * abs(value))
        return Estimate(value, stderr, used, samples, converged)


def _forms(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1, dtype=torch.float64).cpu()
