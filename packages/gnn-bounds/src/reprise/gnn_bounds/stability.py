"""Noise stability: how much noise in the weights raises the loss (a trace of the Hessian, without Hessian)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import label_tensor
from reprise.gnn_bounds.graphs import as_graphs
from reprise.gnn_bounds.inputs import Collate, batches, losses
from reprise.gnn_bounds.validation import positive, whole


@dataclass(frozen=True)
class NoiseStability:
    """Mean of ½[ℓ(W + U) + ℓ(W − U)] − ℓ(W) over draws, its standard error, and the samples (S,)."""

    value: float
    stderr: float
    samples: Tensor
    sigma: float

    @property
    def trace(self) -> float:
        """The trace of the Hessian that it estimates, 2/σ² times the value, up to O(σ²)."""
        return 2 * self.value / self.sigma**2


@torch.no_grad()
def noise_stability(
    model: nn.Module,
    graphs: Iterable[Any],
    labels: Any = None,
    sigma: float = 0.05,
    samples: int = 20,
    *,
    generator: torch.Generator | int = 0,
    batch_size: int = 256,
    collate: Collate | None = None,
) -> NoiseStability:
    """How much noise in the weights raises the mean loss: (σ²/2) tr H + O(σ⁴).

    Parameters
    ----------
    model, graphs, labels, batch_size, collate
        As for `hessian_measure`.
    sigma : float
        Standard deviation of the noise on every parameter that belongs to no normalisation layer.
    samples : int
        Draws, each of which takes two passes over the graphs.
    generator : torch.Generator or int
        Source of the noise, or its seed.

    Returns
    -------
    NoiseStability

    Raises
    ------
    ValueError, TypeError
        As `hessian_measure`; also for `sigma` not positive.
    """
    positive("sigma", sigma)
    samples = whole("samples", samples)
    found = as_graphs(graphs)
    data = batches(model, found, label_tensor(found, labels), whole("batch_size", batch_size), collate)
    names = _perturbed(model)
    if not isinstance(generator, torch.Generator):
        generator = torch.Generator().manual_seed(whole("generator", generator, least=0))
    parameters = dict(model.named_parameters())
    centre = losses(model, data).mean()
    values = []
    for _ in range(samples):
        draw = {
            name: sigma
            * torch.randn(parameters[name].shape, generator=generator, dtype=torch.float64).to(parameters[name])
            for name in names
        }
        sides = [
            losses(model, data, {name: parameters[name] + sign * draw[name] for name in names}).mean()
            for sign in (1, -1)
        ]
        values.append(sum(sides) / 2 - centre)
    stacked = torch.stack([torch.as_tensor(value) for value in values])
    stderr = float(stacked.std() / math.sqrt(samples)) if samples > 1 else math.nan
    return NoiseStability(float(stacked.mean()), stderr, stacked, float(sigma))


def _perturbed(model: nn.Module) -> list[str]:
    """Names of the parameters that belong to no normalisation layer."""
    norms = {
        id(parameter)
        for module in model.modules()
        if "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    }
    return [name for name, parameter in model.named_parameters() if id(parameter) not in norms]
