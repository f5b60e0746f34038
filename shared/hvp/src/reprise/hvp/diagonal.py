"""Estimates of the diagonal of A, and of the traces of its layers, from products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .curvature import CurvatureOperator
from .exchangeable import extend_basis, xdiag_samples
from .linear import SymmetricOperator, as_operator
from .probes import probes, random_generator
from .trace import Estimate, Progress


@dataclass(frozen=True)
class DiagonalEstimate:
    """The diagonal (P,) with the standard error of every entry, and the products that it took.

    `converged` is False when an accuracy was asked for and the products ran out first.
    """

    value: Tensor
    stderr: Tensor
    products: int
    converged: bool = True

    @property
    def relative_error(self) -> float:
        """Norm of the standard errors over the norm of the diagonal."""
        size = float(self.value.norm())
        return float(self.stderr.norm()) / size if size else math.inf


def diagonal(
    operator: SymmetricOperator | Tensor,
    *,
    method: Literal["xdiag", "hutchinson"] = "xdiag",
    products: int = 100,
    rtol: float | None = None,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> DiagonalEstimate:
    """Estimate of the diagonal of A.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        Whose diagonal.
    method : "xdiag" or "hutchinson"
        Leave-one-out on a low-rank approximation (Epperly, Tropp and Webber 2024), which keeps a vector (P,) for every
        product, or Σ z∘Az / Σ z∘z (Bekas, Kokiopoulou and Saad 2007), which keeps none.
    products : int
        Most products to use.
    rtol : float, optional
        Stop as soon as the norm of the standard errors is no larger than this share of the diagonal's norm.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every group of products.

    Returns
    -------
    DiagonalEstimate

    Raises
    ------
    ValueError
        For an unknown method, fewer than 4 products, or an `rtol` that is not positive.

    Examples
    --------
    >>> import torch
    >>> diagonal(torch.diag(torch.tensor([1.0, 2.0, 3.0])), method="hutchinson", products=4).value.tolist()
    [1.0, 2.0, 3.0]
    """
    if method not in ("xdiag", "hutchinson"):
        raise ValueError(f"method must be 'xdiag' or 'hutchinson', got {method!r}")
    if products < 4:
        raise ValueError(f"products must be at least 4, got {products}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    operator = as_operator(operator)
    source = random_generator(generator, operator.device)
    rounds = _leave_one_out if method == "xdiag" else _independent
    for found in rounds(operator, products, rtol, source):
        if progress is not None:
            progress(found.products, products)
        if rtol is not None and found.relative_error <= rtol:
            return found
    return replace(found, converged=rtol is None)


def _independent(
    operator: SymmetricOperator, products: int, rtol: float | None, source: torch.Generator
) -> Iterator[DiagonalEstimate]:
    """Σ z∘Az / Σ z∘z, where z∘z = 1."""
    total = torch.zeros(operator.size, dtype=torch.promote_types(operator.dtype, torch.float32), device=operator.device)
    squares = total.clone()
    used = 0
    while used < products:
        rows = probes(operator, min(8, products - used), source)
        forms = rows * operator.apply(rows)
        total += forms.sum(0)
        squares += (forms**2).sum(0)
        used += len(rows)
        mean = total / used
        variance = (squares / used - mean**2).clamp_min(0) * used / max(used - 1, 1)
        yield DiagonalEstimate(mean, (variance / used).sqrt(), used)


def _leave_one_out(
    operator: SymmetricOperator, products: int, rtol: float | None, source: torch.Generator
) -> Iterator[DiagonalEstimate]:
    """XDiag; with `rtol` the vectors grow by half from round to round, none is thrown away."""
    most = min(products // 2, operator.size)
    omega = torch.zeros(0, operator.size, dtype=operator.dtype, device=operator.device)
    image, basis, curved = omega, omega, omega
    while len(omega) < most:
        target = most if rtol is None else min(most, max(8, len(omega) + len(omega) // 2))
        fresh = probes(operator, target - len(omega), source)
        omega = torch.cat([omega, fresh])
        image = torch.cat([image, operator.apply(fresh)])
        basis, added = extend_basis(basis, image)
        curved = torch.cat([curved, operator.apply(added)])
        yield DiagonalEstimate(*xdiag_samples(omega, image, basis, curved), 2 * len(omega))


def layer_traces(
    operator: CurvatureOperator,
    *,
    by: Literal["module", "parameter"] = "module",
    products: int = 100,
    rtol: float | None = None,
    cross_terms: bool = True,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> dict[str, Estimate]:
    """Hutchinson estimates of the trace of every layer's diagonal block.

    Parameters
    ----------
    operator : CurvatureOperator
        On all layers of interest.
    by : "module" or "parameter"
        What a layer is.
    products : int
        Most random vectors.
    rtol : float, optional
        Stop as soon as no layer's standard error is larger than this share of the largest layer's trace.
    cross_terms : bool
        One product gives all layers z_iᵀ(Az)_i, unbiased but with the noise of the blocks off the diagonal; without,
        every layer has its own product (on its block alone) per vector, with less variance.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every group of products.

    Returns
    -------
    dict of str to Estimate

    Raises
    ------
    ValueError
        For an unknown `by`, fewer than 2 vectors, or an `rtol` that is not positive.

    Examples
    --------
    >>> import torch
    >>> from reprise.hvp import Hessian
    >>> params = {"a": torch.ones(2), "b": torch.ones(3)}
    >>> H = Hessian.of(lambda p: (p["a"] ** 2).sum() + 2 * (p["b"] ** 2).sum(), params)
    >>> {name: round(e.value, 4) for name, e in layer_traces(H, products=4).items()}
    {'a': 4.0, 'b': 12.0}
    """
    if by not in ("module", "parameter"):
        raise ValueError(f"by must be 'module' or 'parameter', got {by!r}")
    if products < 2:
        raise ValueError(f"products must be at least 2, got {products}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    assert operator.space is not None
    source = random_generator(generator, operator.device)
    groups = operator.space.layers() if by == "module" else {name: [name] for name in operator.space.names}
    slices = operator.space.slices
    blocks = {} if cross_terms else operator.blocks(by)
    samples = torch.empty(len(groups), 0, dtype=torch.float64)
    while samples.shape[1] < products:
        count = min(8, products - samples.shape[1])
        if cross_terms:
            rows = probes(operator, count, source)
            forms = rows.double() * operator.apply(rows).double()
            fresh = [torch.cat([forms[:, slices[name]] for name in names], dim=1) for names in groups.values()]
        else:
            drawn = {layer: probes(block, count, source) for layer, block in blocks.items()}
            fresh = [rows.double() * blocks[layer].apply(rows).double() for layer, rows in drawn.items()]
        samples = torch.cat([samples, torch.stack([forms.sum(1).cpu() for forms in fresh])], dim=1)
        used = samples.shape[1]
        if progress is not None:
            progress(used, products)
        means, errors = samples.mean(1), samples.std(1) / used**0.5
        converged = rtol is None or bool(errors.max() <= rtol * means.abs().max())
        if rtol is not None and converged:
            break
    return {
        layer: Estimate(mean, error, used, row, converged)
        for layer, mean, error, row in zip(groups, means.tolist(), errors.tolist(), samples)
    }
