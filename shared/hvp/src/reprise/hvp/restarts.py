"""Thick-restart Lanczos (Wu and Simon 2000), repeated in the complement of what was found until nothing is missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .linear import SymmetricOperator
from .probes import probes

Which = Literal["LM", "LA", "SA"]


def restarted_lanczos(
    operator: SymmetricOperator,
    k: int,
    which: Which,
    tol: float,
    limit: int,
    place: torch.device,
    source: torch.Generator,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Values (k,), vectors (P, k), residuals (k,), converged (k,) and products used.

    Parameters
    ----------
    operator : SymmetricOperator
        Whose eigenpairs.
    k : int
        Number of pairs.
    which : "LM", "LA" or "SA"
        Which eigenvalues.
    tol : float
        Converged when ``‖Av − λv‖ ≤ tol·max|λ|``.
    limit : int
        Most products, at least k.
    place : torch.device
        Where the basis is kept.
    source : torch.Generator
        Of the random starts.
    progress : callable ``(products, most) -> object``, optional
        Called after every product.
    """
    search = _Search(operator, which, tol, limit, place, source, progress)
    rows = torch.zeros(0, operator.size, dtype=operator.dtype, device=place)
    values, rows, residuals = search.run(k, rows, None)
    while True:
        scale = max(search.scale, float(values.abs().max()))
        converged = residuals <= max(tol, torch.finfo(operator.dtype).eps) * scale
        if not bool(converged.all()) or k == operator.size:
            break
        if search.products >= limit:
            converged = torch.zeros_like(converged)  # nobody has looked whether a copy is missing
            break
        least = float(_wanted(values, which).min())
        value, row, residual = search.run(1, rows, least)
        ahead = float(_wanted(value, which)[0]) - least
        if ahead <= tol * scale:
            if ahead + float(residual[0]) > 2 * tol * scale:
                converged = torch.zeros_like(converged)
            break
        values, rows = torch.cat([values, value]), torch.cat([rows, row])
        residuals = torch.cat([residuals, residual])
        order = _order(values, which)[:k]
        values, rows, residuals = values[order], rows[order.to(place)], residuals[order]
    device, dtype = operator.device, operator.dtype
    return (
        values.to(device, dtype),
        rows.T.to(device),
        residuals.to(device, dtype),
        converged.to(device),
        search.products,
    )


@dataclass
class _Search:
    operator: SymmetricOperator
    which: Which
    tol: float
    limit: int
    place: torch.device
    source: torch.Generator
    progress: Callable[[int, int], object] | None
    products: int = 0
    scale: float = 0.0  # the largest magnitude of a Ritz value so far

    def run(self, k: int, locked: Tensor, bar: float | None) -> tuple[Tensor, Tensor, Tensor]:
        """The k most wanted pairs of A in the complement of orthonormal rows `locked`: values, rows, residuals.

        With a `bar`, given up after the first cycle as soon as no pair can be more wanted than that.
        """
        operator, free = self.operator, self.operator.size - len(locked)
        width = min(free, 3 * k + 20)
        basis = torch.zeros(width + 1, operator.size, dtype=operator.dtype, device=self.place)
        projected = torch.zeros(width, width, dtype=torch.float64)  # VᵀAV
        basis[0] = self._start(locked)
        kept, cycles = 0, 0
        while True:
            for step in range(kept, width):
                image = operator.apply(basis[step : step + 1].to(operator.device))[0].to(self.place)
                self.products += 1
                if len(locked):
                    image, _ = orthogonalise(image, locked)
                image, coefficients = orthogonalise(image, basis[: step + 1])
                projected[: step + 1, step] = projected[step, : step + 1] = coefficients
                coupling = _length(image)
                rounding = 10 * torch.finfo(operator.dtype).eps
                if coupling <= rounding * max(self.scale, float(projected[: step + 1, : step + 1].norm())):
                    # an invariant subspace: go on in its complement
                    coupling = 0.0
                    image = self._start(torch.cat([locked, basis[: step + 1]])) if step + 1 < free else image
                basis[step + 1] = image / (_length(image) or 1.0)
                if self.progress is not None:
                    self.progress(self.products, self.limit)
                done = step + 1
                out = self.products >= self.limit
                # the last rows of the Ritz vectors tell the residuals long before the basis is full
                if done >= k and (done % 5 == 0 or done == width or out):
                    values, rotation = torch.linalg.eigh(projected[:done, :done])
                    self.scale = max(self.scale, float(values.abs().max()))
                    order = _order(values, self.which)
                    chosen = order[:k]
                    residuals = coupling * rotation[-1, chosen].abs()
                    settled = bool((residuals <= self.tol * self.scale).all()) and (coupling > 0.0 or done == width)
                    if bar is not None:
                        reach = float(_wanted(values, self.which)[chosen[0]] + residuals[0])
                        settled = (settled or reach <= bar) and (cycles > 0 or done == width)
                    if settled or out or done == free:
                        return values[chosen], rotation[:, chosen].T.to(basis) @ basis[:done], residuals
            keep = order[: k + (width - k) // 2]
            kept, cycles = len(keep), cycles + 1
            basis[:kept] = rotation[:, keep].T.to(basis) @ basis[:width]
            basis[kept] = basis[width].clone()
            projected.zero_()
            projected[range(kept), range(kept)] = values[keep]

    def _start(self, rows: Tensor) -> Tensor:
        """A random unit vector (P,) orthogonal to orthonormal rows."""
        vector = probes(self.operator, 1, self.source, distribution="gaussian")[0].to(self.place)
        vector, _ = orthogonalise(vector, rows)
        return vector / _length(vector)


def orthogonalise(vector: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The part of `vector` (P,) orthogonal to orthonormal rows (m, P), and its coefficients (m,) along them."""
    first = rows @ vector
    vector = vector - first @ rows
    second = rows @ vector
    return vector - second @ rows, (first + second).double().cpu()


def _length(vector: Tensor) -> float:
    """‖vector‖, whose squares may leave the range of float32."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


def _wanted(values: Tensor, which: Which) -> Tensor:
    return values.abs() if which == "LM" else values if which == "LA" else -values


def _order(values: Tensor, which: Which) -> Tensor:
    return _wanted(values, which).argsort(descending=True)
