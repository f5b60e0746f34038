"""Balls around the pretrained weights, one per layer, and the projection onto all of them after a step.

Frobenius ball: W ← W^s + t·min(1, D/‖t‖_F) with t = W − W^s. Infinity-operator ball ("MARS", Gouk, Hospedales and
Pontil 2021): each row (output channel) of t is scaled to an ℓ1 norm of at most D. Batch normalisation: the diagonal
g = γ/√(running variance + 1e-6) stays within D of its pretrained value. The head's reference is zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .layers import Layers, Reference, reference_weights, weight_layers
from .validation import module, real_number

Norm = Literal["frobenius", "infinity"]
EPSILON = 1e-6  # added to running variances, as the authors do
BLOCK = 2**17  # numbers: half a megabyte of float32, which a core's cache holds


class LayerConstraints:
    """A ball of its own for each layer of a model.

    Parameters
    ----------
    model : Module
        Whose weights are projected, in place.
    reference : Module or mapping of str to Tensor
        The centres: the pretrained model or its state.
    radii : mapping of str to float
        One positive radius per constrained layer, such as `growing_radii` or `choose_radii` give. Layers that are not
        named move freely.
    head : str or several, optional
        Layers whose centre is zero.
    norm : "frobenius" or "infinity"
        ``‖t‖_F``, or the largest ℓ1 norm of a row of t (for convolutions: of an output channel).
    batch_norm : float, optional
        Radius for ``γ/√(running variance + 1e-6)`` of every batch normalisation layer that is affine.

    Raises
    ------
    ValueError
        If a radius is not positive and finite, a layer unknown, or the reference lacks it or has another shape.
    TypeError
        If an argument is of the wrong kind.

    Notes
    -----
    The distances of all layers take two fused kernels and one wait, and every layer outside of its Frobenius ball one
    more kernel; on a CPU layers larger than a cache follow one another, in blocks that fit into it. An optimizer's
    moments are not projected. Weights are changed in place, so that optimizers keep their state.

    Examples
    --------
    >>> model = nn.Linear(2, 2, bias=False)
    >>> balls = LayerConstraints(model, {"weight": torch.zeros(2, 2)}, {"weight": 0.5})
    >>> _ = nn.init.ones_(model.weight)
    >>> balls.project_()
    >>> model.weight.data
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]])
    """

    def __init__(
        self,
        model: nn.Module,
        reference: Reference,
        radii: Mapping[str, float],
        *,
        head: str | Iterable[str] | None = None,
        norm: Norm = "frobenius",
        batch_norm: float | None = None,
    ) -> None:
        if norm not in get_args(Norm):
            raise ValueError(f"norm must be one of {', '.join(get_args(Norm))}, got {norm!r}")
        if not isinstance(radii, Mapping):
            raise TypeError(f"radii must map names of layers to numbers, got {type(radii).__name__}")
        if not radii:
            raise ValueError("radii must name at least one layer, got none")
        self.radii = {
            name: real_number(f"radii[{name!r}]", radius, open_at_minimum=True) for name, radius in radii.items()
        }
        weights = weight_layers(model, list(self.radii))
        centres = reference_weights(weights, reference, head=head)
        self.norm: Norm = norm
        self.weights: list[Tensor] = list(weights.values())
        self._centres = list(centres.values())
        self._batch_norm = None if batch_norm is None else BatchNormBall(model, reference, batch_norm)

    @torch.no_grad()
    def project_(self) -> None:
        """Move every weight that has left its ball to the nearest point (for "infinity": to the scaled row) of it."""
        if self.norm == "frobenius":
            self._project_frobenius()
        else:
            for weight, centre, radius in zip(self.weights, self._centres, self.radii.values()):
                moved = weight - centre
                rows = moved.flatten(1).abs().sum(1)
                outside = rows > radius
                factor = torch.where(outside, radius / rows.clamp_min(torch.finfo(rows.dtype).tiny), 1.0)
                shape = (-1, *[1] * (weight.ndim - 1))
                weight.copy_(torch.where(outside.view(shape), centre + moved * factor.view(shape), weight))
        if self._batch_norm is not None:
            self._batch_norm.project_()

    def _project_frobenius(self) -> None:
        together = []
        for ball in zip(self.weights, self._centres, self.radii.values()):
            weight, centre, radius = ball
            if weight.device.type == "cpu" and weight.numel() > BLOCK:
                # by itself, so that the second pass over it finds some of it in a cache
                _shrink(weight, centre, radius, _distance(weight, centre))
            else:
                together.append(ball)
        if together:
            weights, centres, _ = zip(*together)
            norms = torch._foreach_norm(torch._foreach_sub(weights, centres))
            for (weight, centre, radius), norm in zip(together, torch.stack(norms).tolist()):
                _shrink(weight, centre, radius, norm)

    @torch.no_grad()
    def distances(self) -> dict[str, float]:
        """How far every constrained layer is from its centre, in the norm of its ball."""
        moved = torch._foreach_sub(self.weights, self._centres)
        if self.norm == "frobenius":
            found = [float(norm) for norm in torch._foreach_norm(moved)]
        else:
            found = [float(part.flatten(1).abs().sum(1).max()) for part in moved]
        return dict(zip(self.radii, found))


def _distance(weight: Tensor, centre: Tensor) -> float:
    """``‖weight − centre‖_F`` in one pass over both; the difference is never written to memory."""
    parts = zip(torch.split(weight.flatten(), BLOCK), torch.split(centre.flatten(), BLOCK))
    return float(torch.stack([torch.linalg.vector_norm(a - b) for a, b in parts]).norm())


def _shrink(weight: Tensor, centre: Tensor, radius: float, norm: float) -> None:
    if norm > radius:
        # one pass over both; from the centre, as 1 - radius / norm would lose the digits of a small share
        torch.lerp(centre, weight, radius / norm, out=weight)


class BatchNormBall:
    """Keeps ``g = γ/√(running variance + 1e-6)`` of batch normalisation within a radius of its pretrained value.

    Parameters
    ----------
    model : Module
    reference : Module or mapping of str to Tensor
        With running variances: a module, or its ``state_dict()``.
    radius : float

    Raises
    ------
    ValueError
        If the model has no affine batch normalisation, the reference lacks one, or the radius is not positive.
    """

    def __init__(self, model: nn.Module, reference: Reference, radius: float) -> None:
        self.radius = real_number("batch_norm", radius, open_at_minimum=True)
        state = reference.state_dict() if isinstance(reference, nn.Module) else reference
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []
        for name, layer in module("model", model).named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine and layer.running_var is not None:
                prefix = f"{name}." if name else ""
                for key in ("weight", "running_var"):
                    if f"{prefix}{key}" not in state:
                        raise ValueError(f"reference lacks {prefix}{key}, which the batch normalisation ball needs")
                weight, variance = state[f"{prefix}weight"], state[f"{prefix}running_var"]
                if weight.shape != layer.weight.shape:
                    raise ValueError(f"reference[{prefix}weight] must have shape {tuple(layer.weight.shape)}")
                if not bool(weight.isfinite().all() and variance.isfinite().all()):
                    raise ValueError(f"reference[{prefix}weight] and its running variance must be finite")
                centre = (weight / (variance + EPSILON).sqrt()).detach().to(layer.weight).clone()
                self._layers.append((layer.weight, layer.running_var, centre))
        if not self._layers:
            raise ValueError("batch_norm: the model has no affine batch normalisation with running statistics")

    @torch.no_grad()
    def project_(self) -> None:
        """Clamp every g to its interval and set γ accordingly."""
        for weight, variance, centre in self._layers:
            deviation = (variance + EPSILON).sqrt()
            scale = weight / deviation
            weight.copy_(scale.clamp(centre - self.radius, centre + self.radius) * deviation)


class DistancePenalty(nn.Module):
    """``λ Σ_i ‖W_i − W_i^s‖_F²``, to be added to a loss (L2-SP; Li, Grandvalet and Davoine 2018).

    Parameters
    ----------
    model : Module
    reference : Module or mapping of str to Tensor
    strength : float
        λ ≥ 0.
    head, layers
        As for `hessian_distance`.

    Examples
    --------
    >>> model = nn.Linear(2, 1, bias=False)
    >>> penalty = DistancePenalty(model, {"weight": model.weight.detach() - 1.0}, 0.5)
    >>> round(float(penalty().detach()), 4)
    1.0
    """

    def __init__(
        self,
        model: nn.Module,
        reference: Reference,
        strength: float,
        *,
        head: str | Iterable[str] | None = None,
        layers: Layers = None,
    ) -> None:
        super().__init__()
        self.strength = real_number("strength", strength)
        weights = weight_layers(model, layers)
        self.weights: list[Tensor] = list(weights.values())
        self._centres = list(reference_weights(weights, reference, head=head).values())

    def forward(self) -> Tensor:
        """The penalty, shape ()."""
        squares = [(weight - centre).square().sum() for weight, centre in zip(self.weights, self._centres)]
        return self.strength * torch.stack(squares).sum()
