"""Estimates of the diagonal of A, and of the traces of its layers, from products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .exchangeable import xdiag_samples
from .linear import SymmetricOperator, as_operator
from .operators import CurvatureOperator
from .probes import probes, random_generator
from .trace import Estimate, Progress


@dataclass(frozen=True)
class DiagonalEstimate:
    """The diagonal (P,) with the standard error of every entry, and the products that it took."""

    value: Tensor
    stderr: Tensor
    products: int


def diagonal(
    operator: SymmetricOperator | Tensor,
    *,
    method: Literal["xdiag", "hutchinson"] = "xdiag",
    products: int = 100,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> DiagonalEstimate:
    """Estimate of the diagonal of A.

    Parameters
    ----------
    operator : SymmetricOperator or Tensor, shape (P, P)
        Whose diagonal.
    method : "xdiag" or "hutchinson"
        Leave-one-out on a low-rank approximation (Epperly, Tropp and Webber 2024), or Σ z∘Az / Σ z∘z
        (Bekas, Kokiopoulou and Saad 2007), which keeps no vectors.
    products : int
        Products to use.
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
        For an unknown method or fewer than 4 products.

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
    operator = as_operator(operator)
    source = random_generator(generator, operator.device)
    if method == "xdiag":
        k = min(products // 2, operator.size)
        omega = probes(operator, k, source)
        image = operator.apply(omega)
        basis = torch.linalg.qr(image.T).Q.T.contiguous()
        value, stderr = xdiag_samples(omega, image, basis, operator.apply(basis))
        return DiagonalEstimate(value, stderr, 2 * k)
    total = torch.zeros(operator.size, dtype=torch.promote_types(operator.dtype, torch.float32), device=operator.device)
    squares = total.clone()
    used = 0
    while used < products:
        rows = probes(operator, min(8, products - used), source)
        forms = rows * operator.apply(rows)  # z∘z = 1
        total += forms.sum(0)
        squares += (forms**2).sum(0)
        used += len(rows)
        if progress is not None:
            progress(used, products)
    mean = total / used
    variance = (squares / used - mean**2).clamp_min(0) * used / (used - 1)
    return DiagonalEstimate(mean, (variance / used).sqrt(), used)


def layer_traces(
    operator: CurvatureOperator,
    *,
    by: Literal["module", "parameter"] = "module",
    products: int = 100,
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
        Random vectors.
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
    assert operator.space is not None
    source = random_generator(generator, operator.device)
    groups = operator.space.layers() if by == "module" else {name: [name] for name in operator.space.names}
    samples: dict[str, list[Tensor]] = {layer: [] for layer in groups}
    blocks = {} if cross_terms else operator.blocks(by)
    used = 0
    while used < products:
        count = min(8, products - used)
        if cross_terms:
            rows = probes(operator, count, source)
            forms = rows.double() * operator.apply(rows).double()
            for layer, names in groups.items():
                parts = [forms[:, operator.space.slices[name]].sum(1) for name in names]
                samples[layer].append(torch.stack(parts).sum(0).cpu())
        else:
            for layer, block in blocks.items():
                rows = probes(block, count, source)
                samples[layer].append((rows.double() * block.apply(rows).double()).sum(1).cpu())
        used += count
        if progress is not None:
            progress(used, products)
    estimates = {}
    for layer, parts in samples.items():
        values = torch.cat(parts)
        estimates[layer] = Estimate(float(values.mean()), float(values.std() / used**0.5), used, values)
    return estimates
