"""Radii from one short run instead of a grid search."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from reprise.hvp import GaussNewton, per_example_traces

from .examples import batches, examples, move, take
from .fine_tuning import adam, fine_tune
from .layers import Layers, Reference, layer_distances, weight_layers
from .training_mode import evaluating
from .validation import module, real_number, whole_number


@dataclass(frozen=True)
class ChosenRadii:
    """Radii, and what they were chosen from: a short run's distances and largest traces per layer."""

    radii: dict[str, float]
    distances: dict[str, float]
    traces: dict[str, float]

    @property
    def bound(self) -> float:
        """``Σ_i α_i √(max tr H_i⁺)``, the part of the bound that the radii decide."""
        return sum(self.radii[name] * math.sqrt(self.traces[name]) for name in self.radii)


def choose_radii(
    model: nn.Module,
    train: Any,
    budget: float,
    *,
    reference: Reference | None = None,
    head: str | Iterable[str] | None = None,
    layers: Layers = None,
    epochs: int = 1,
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] = adam,
    examples_used: int = 64,
    probes: int = 20,
    seed: int = 0,
) -> ChosenRadii:
    """The radii with the least bound under a budget of total distance.

    Parameters
    ----------
    model : Module
        Pretrained; it is copied and left as it is.
    train : pair ``(inputs, labels)``
    budget : float
        ``√(Σ_i α_i²)``, how far all layers may move together.
    reference : Module or mapping, optional
        The pretrained weights; those of `model` by default.
    head, layers
        As for `hessian_distance`.
    epochs : int
        Length of the unconstrained run.
    optimizer : callable
        Of that run, as for `fine_tune`.
    examples_used : int
        Training examples whose traces are estimated; the largest counts.
    probes : int
        Random vectors per layer, at least 2.
    seed : int

    Returns
    -------
    ChosenRadii

    Raises
    ------
    ValueError, TypeError
        If the budget is not positive, or as `fine_tune` and `weight_layers`.

    Notes
    -----
    A bound that is linear in the radii would put the whole budget into the flattest layer, which need not be one that
    has anything to learn. What a layer needs is read off a short free run: with d_i the distance that it went and T_i
    the largest trace of its Gauss-Newton block (H_i⁺ for ReLU networks), minimise ``Σ_i α_i √T_i`` while the weighted
    mean ``Σ_i d_i log α_i`` is held. Lagrange gives ``α_i ∝ d_i / √T_i`` in closed form; the level of that mean is the
    one at which the budget is spent. Every layer's part of the bound is then in proportion to d_i.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> found = choose_radii(model, (torch.randn(30, 4), torch.arange(30) % 3), 0.5)
    >>> round(sum(radius**2 for radius in found.radii.values()), 6)
    0.25
    """
    budget = real_number("budget", budget, open_at_minimum=True)
    seed, probes = whole_number("seed", seed, minimum=0), whole_number("probes", probes, minimum=2)
    examples_used = whole_number("examples_used", examples_used)
    inputs, labels = examples("train", train, model=module("model", model))
    start = copy.deepcopy(model if reference is None else reference)
    trial = copy.deepcopy(model)
    fine_tune(trial, (inputs, labels), optimizer=optimizer, epochs=epochs, decay_every=None, seed=seed)
    distances = layer_distances(trial, start, layers=layers, head=head)
    if min(distances.values()) == 0:
        still = next(name for name, value in distances.items() if value == 0)
        raise ValueError(f"model: layer {still} did not move in the short run, so that its radius would be zero")
    index = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:examples_used]
    traces = largest_traces(trial, (take(inputs, index), labels[index]), layers=layers, probes=probes, seed=seed)
    raw = {name: distances[name] / math.sqrt(traces[name]) for name in distances}
    scale = budget / math.sqrt(sum(value**2 for value in raw.values()))
    return ChosenRadii({name: scale * value for name, value in raw.items()}, distances, traces)


def largest_traces(
    model: nn.Module, data: Any, *, layers: Layers = None, probes: int = 20, seed: int = 0
) -> dict[str, float]:
    """Largest trace over examples of every layer's Gauss-Newton block, by Hutchinson's estimate.

    Parameters
    ----------
    model : Module
    data : pair ``(inputs, labels)`` or iterable of such pairs
    layers : callable or names, optional
        As for `weight_layers`.
    probes : int
        Random vectors per layer, at least 2. The largest of noisy values is biased upwards by about their error.
    seed : int

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> found = largest_traces(model, (torch.tensor([[1.0, 0.0]]), torch.tensor([0])), probes=100)
    >>> 0.3 < found["weight"] < 0.7  # tr S |x|² = 1/2 with p = (1/2, 1/2)
    True
    """
    names = list(weight_layers(model, layers))
    seed, probes = whole_number("seed", seed, minimum=0), whole_number("probes", probes, minimum=2)
    device = next(model.parameters()).device
    held = [(move(x, device), y.to(device)) for x, y in batches("data", data, model=model)]
    with evaluating(model):
        whole = GaussNewton(
            model,
            nn.functional.cross_entropy,
            held,
            parameters=lambda name, _: name in names,
            strategy="forward-over-reverse",
            check=False,
        )
        found = {}
        for name in names:
            block = whole.block(lambda other, _, name=name: other == name)  # type: ignore[misc]
            found[name] = max(per_example_traces(block, products=probes, generator=seed).maximum, 1e-12)
    return found
