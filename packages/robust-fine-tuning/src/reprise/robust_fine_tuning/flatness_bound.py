"""The bound behind noise stability optimization: a small Hessian trace within a ball means a small gap.

Zhang, Li and Ju (TMLR 2024), the PAC-Bayes bound; its form is recalled, not read. Unlike the Hessian distance it
asks for one number of the whole network instead of one per layer, and does not ask in which direction they went.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reprise.hvp.contexts import differentiable

from .distance import Loss, criterion_of, example_losses
from .examples import batches, move
from .layers import Layers, Reference, layer_distances, weight_layers
from .training_mode import deterministic
from .validation import module, real_number, whole_number


@dataclass(frozen=True)
class TraceBound:
    """``√(C α r²/n)`` and what it is made of.

    Attributes
    ----------
    loss_bound : float
        C, the largest loss of an example.
    trace : float
        α, the largest Hessian trace of an example's loss; zero if all are negative.
    radius : float
        r, of the ball around the pretrained weights.
    n : int
        Training examples.
    """

    loss_bound: float
    trace: float
    radius: float
    n: int

    @property
    def value(self) -> float:
        """The bound on the gap, without its ε and higher-order term."""
        return math.sqrt(self.loss_bound * self.trace * self.radius**2 / self.n)


def trace_bound(
    model: nn.Module,
    reference: Reference,
    data: Any,
    *,
    loss: Loss = "cross_entropy",
    radius: float | None = None,
    n: int | None = None,
    layers: Layers = None,
    head: str | Iterable[str] | None = None,
    probes: int = 50,
    chunk_size: int = 256,
    eval_mode: bool = False,
    seed: int = 0,
) -> TraceBound:
    """The PAC-Bayes bound of noise stability optimization at a fine-tuned model.

    Parameters
    ----------
    model, reference, data, loss, layers, head, chunk_size, eval_mode
        As for `hessian_distance`.
    radius : float, optional
        r, of the ball that held the weights; how far they are from `reference` by default.
    n : int, optional
        Number of training examples; those of `data` by default.
    probes : int
        Random vectors of the traces, at least 2. The largest of noisy values is biased upwards by about their error.
    seed : int
        Of these vectors.

    Returns
    -------
    TraceBound

    Raises
    ------
    ValueError, TypeError
        As `hessian_distance`, or if the radius is not positive.

    Notes
    -----
    ``L(W) ≤ (1 + ε) L̂(W) + (1 + ε) √(C α r²/n) + O(n^(−3/4))`` with ``α = max tr ∇²ℓ`` over all weights of the ball and
    all examples; here it is taken at the fine-tuned weights, over the examples held. `probes` passes over the data.

    References
    ----------
    Zhang, Li and Ju, "Noise Stability Optimization for Finding Flat Minima", TMLR 2024.

    Examples
    --------
    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> start = {"weight": torch.tensor([[3.0, 0.0], [0.0, 4.0]])}
    >>> found = trace_bound(model, start, (torch.tensor([[1.0, 0.0]]), torch.tensor([0])), n=100, probes=100)
    >>> found.radius, 0.3 < found.trace < 0.7  # tr S |x|² = 1/2 with p = (1/2, 1/2)
    (5.0, True)
    """
    weights = weight_layers(module("model", model), layers)
    criterion = criterion_of(loss)
    probes, seed = whole_number("probes", probes, minimum=2), whole_number("seed", seed, minimum=0)
    count = None if n is None else whole_number("n", n)
    distances = layer_distances(model, reference, layers=list(weights), head=head)
    r = math.hypot(*distances.values()) if radius is None else real_number("radius", radius, open_at_minimum=True)
    place = next(iter(weights.values())).device
    chunk_size = whole_number("chunk_size", chunk_size)
    parts = batches("data", data, batch_size=chunk_size, model=model)
    held = [(move(inputs, place), labels.to(place)) for inputs, labels in parts]
    with deterministic(model, eval_mode=eval_mode):
        losses = example_losses(model, held, criterion, check_labels=loss == "cross_entropy")
        largest = max(
            float(example_traces(model, criterion, batch, list(weights), probes=probes, seed=seed).max())
            for batch in held
        )
    if not math.isfinite(largest):
        raise ValueError("data: the curvature of an example is not finite")
    return TraceBound(float(losses.max()), max(largest, 0.0), r, len(losses) if count is None else count)


def example_traces(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: Any,
    names: list[str],
    *,
    probes: int,
    seed: int,
    chunk_size: int = 16,
) -> Tensor:
    """Hutchinson's estimates (B,) of the trace of every example's Hessian in some weights.

    Parameters
    ----------
    model : Module
    loss : callable ``(logits, labels) -> scalar``
        A mean over examples.
    batch : pair ``(inputs, labels)``
    names : list of str
        Of the weights.
    probes : int
        Random signs z, the same for all examples; the estimate is the mean of zᵀH_n z.
    seed : int
    chunk_size : int
        Probes at once.

    Notes
    -----
    Along W + sz the loss of example n has the second derivative zᵀH_n z: forward mode twice gives it for all examples
    and several z, without any backward pass. An estimate's standard error is ``‖H_n − diag‖_F √(2 / probes)``.
    """
    inputs, labels = batch
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    parameters = dict(model.named_parameters())
    at = {name: parameters[name].detach() for name in names}
    sizes = [value.numel() for value in at.values()]
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (probes, sum(sizes)), generator=generator).to(next(iter(at.values()))) * 2 - 1

    def losses(values: dict[str, Tensor]) -> Tensor:
        logits = torch.func.functional_call(model, values, arguments)
        return torch.vmap(lambda row, label: loss(row[None], label[None]))(logits, labels)

    def curvature(flat: Tensor) -> Tensor:
        parts = torch.split(flat, sizes)
        z = {name: part.view_as(value) for (name, value), part in zip(at.items(), parts)}

        def slope(values: dict[str, Tensor]) -> Tensor:
            return torch.func.jvp(losses, (values,), (z,))[1]  # type: ignore[no-any-return]

        return torch.func.jvp(slope, (at,), (z,))[1]  # type: ignore[no-any-return]

    with differentiable(model, signs.device), torch.no_grad():
        return torch.vmap(curvature, chunk_size=chunk_size)(signs).mean(0)
