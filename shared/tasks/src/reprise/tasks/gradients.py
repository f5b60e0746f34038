"""Gradients of single predictions with respect to chosen parameters, projected as they come.

Two ways, after how the model makes its predictions:

- `sample_gradients`: one prediction per sample, samples stacked in tensors (a policy's log-probabilities, a
  classifier's margins): torch.func.vmap over grad, in chunks of samples.
- `output_gradients`: many predictions from one forward pass whose samples can't be stacked (all nodes of a graph at all
  steps of a run): one forward pass, then vmapped vector-Jacobian products in chunks of outputs, with a cap on how many.

With a projection, at most `chunk_size` gradients of full length p exist at a time: each becomes d numbers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from reprise.tasks import _checks
from reprise.tasks.parameters import check_projection, chosen_parameters
from reprise.tasks.projection import RandomProjection

_CHUNK = 1 << 22  # numbers in a chunk's gradients where none is given: 16 MiB in float32


@dataclass(frozen=True)
class Gradients:
    """Values of predictions and their gradients.

    Attributes
    ----------
    values : Tensor, shape (N,)
        The predictions, such as margins; the offsets of the linearised model.
    features : Tensor, shape (N, d)
        Projected gradients Pᵀg, or the gradients themselves, (N, p), without a projection.
    rows : int64 Tensor, shape (N,)
        Index of each prediction among all that there were.
    """

    values: Tensor
    features: Tensor
    rows: Tensor


def sample_gradients(
    model: nn.Module,
    margin: Callable[..., Tensor],
    samples: tuple[Any, ...],
    *,
    parameters: Sequence[str] | None = None,
    projection: RandomProjection | None = None,
    chunk_size: int | None = None,
) -> Gradients:
    """Gradient of one prediction per sample, vmapped over chunks of samples.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode: a layer that draws or that mixes samples has no per-sample gradient.
    margin : callable
        ``margin(model, *sample)`` returns the scalar prediction for one sample, without batch dimension.
    samples : tuple of (pytrees of) Tensors
        Each with a leading dimension of length N.
    parameters : sequence of str, optional
        Names, as in ``model.named_parameters()``, in the order in which gradients are laid out; by default all that
        require a gradient, in the model's order.
    projection : RandomProjection, optional
        With ``rows`` equal to the number of the parameters' entries; None keeps whole gradients.
    chunk_size : int, optional
        Samples per chunk: memory is chunk_size · p numbers and what the model needs; the projection is made once per
        chunk. By default between 64 and 1,024, fewer for a model with more parameters.

    Returns
    -------
    Gradients

    Raises
    ------
    ValueError
        If a parameter is unknown, the projection doesn't fit, samples differ in length, the prediction isn't a scalar
        or a gradient isn't finite.

    Examples
    --------
    >>> model = nn.Linear(3, 1)
    >>> inputs = torch.arange(6.0).reshape(2, 3)
    >>> gradients = sample_gradients(model, lambda model, x: model(x).squeeze(), (inputs,))
    >>> gradients.features
    tensor([[0., 1., 2., 1.],
            [3., 4., 5., 1.]])
    """
    chosen = chosen_parameters(model, parameters)
    check_projection(projection, chosen)
    chunk_size = _chunk_size(model, chunk_size)
    lengths = {len(leaf) if leaf.ndim else 0 for leaf in pytree.tree_leaves(samples)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"samples must be tensors with one leading dimension N >= 1, got lengths {lengths}")
    total = lengths.pop()
    bound = _Bound(model, margin)

    def value(values: dict[str, Tensor], *sample: Any) -> Tensor:
        result = bound.call(values, *sample)
        if result.ndim != 0:
            raise ValueError(f"margin must return a scalar for one sample, got shape {tuple(result.shape)}")
        return result

    batched = torch.func.vmap(torch.func.grad_and_value(value), in_dims=(None, *(0 for _ in samples)))
    features, predictions = _empty(total, chosen, projection), []
    with torch.no_grad():  # func.grad differentiates all the same; parameters not chosen stay out of any graph
        for start in range(0, total, chunk_size):
            part = slice(start, start + chunk_size)
            gradients, values = batched(chosen, *pytree.tree_map(lambda leaf, part=part: leaf[part], samples))
            predictions.append(values)
            _write(features[part], gradients, projection)
    return _checked(torch.cat(predictions), features, torch.arange(total))


def output_gradients(
    model: nn.Module,
    margins: Callable[..., Tensor],
    *inputs: Any,
    parameters: Sequence[str] | None = None,
    projection: RandomProjection | None = None,
    chunk_size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Gradients:
    """Gradients of many predictions of one forward pass, by vmapped vector-Jacobian products.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    margins : callable
        ``margins(model, *inputs)`` returns the predictions, shape (K,).
    *inputs
        Passed on as they are.
    parameters, projection
        As in `sample_gradients`.
    chunk_size : int, optional
        Outputs differentiated at once; as above.
    limit : int, optional
        At most so many predictions, drawn uniformly without replacement; their indices are `Gradients.rows`.
    seed : int
        Of that draw.

    Returns
    -------
    Gradients

    Raises
    ------
    ValueError
        If a parameter is unknown, the projection doesn't fit, the predictions have no shape (K >= 1,) or a gradient
        isn't finite.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> output_gradients(model, lambda model, x: model(x).squeeze(1), torch.eye(3), limit=2, seed=1).features.sum()
    tensor(2.)
    """
    chosen = chosen_parameters(model, parameters)
    check_projection(projection, chosen)
    chunk_size = _chunk_size(model, chunk_size)
    bound = _Bound(model, margins)
    with torch.no_grad():
        values, pull = torch.func.vjp(lambda values: bound.call(values, *inputs), chosen)  # type: ignore[misc]
        if values.ndim != 1 or len(values) == 0:
            raise ValueError(f"margins must return predictions of shape (K >= 1,), got {tuple(values.shape)}")
        rows = torch.arange(len(values))
        if limit is not None and _checks.integer("limit", limit) < len(values):
            generator = torch.Generator().manual_seed(_checks.integer("seed", seed, minimum=0))
            rows = torch.randperm(len(values), generator=generator)[:limit].sort().values
        pulled = torch.func.vmap(pull)
        features = _empty(len(rows), chosen, projection)
        for start in range(0, len(rows), chunk_size):
            part = rows[start : start + chunk_size].to(values.device)
            seeds = values.new_zeros((len(part), len(values)))
            seeds[torch.arange(len(part), device=values.device), part] = 1
            _write(features[start : start + chunk_size], pulled(seeds)[0], projection)
    return _checked(values[rows.to(values.device)], features, rows)


class _Bound(nn.Module):
    """A model and a function of it as one module, so that functional_call can exchange the model's parameters."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Any) -> Tensor:
        return self.function(self.model, *inputs)

    def call(self, values: dict[str, Tensor], *inputs: Any) -> Tensor:
        named = {f"model.{name}": value for name, value in values.items()}
        result: Tensor = torch.func.functional_call(self, named, inputs)
        return result


def _chunk_size(model: nn.Module, chunk_size: int | None) -> int:
    if chunk_size is not None:
        return _checks.integer("chunk_size", chunk_size)
    return min(max(_CHUNK // sum(value.numel() for value in model.parameters()), 64), 1024)


def _empty(total: int, chosen: dict[str, Tensor], projection: RandomProjection | None) -> Tensor:
    first = next(iter(chosen.values()))
    if projection is None:
        return first.new_empty((total, sum(value.numel() for value in chosen.values())))
    return first.new_zeros((total, projection.dim))


def _write(features: Tensor, gradients: dict[str, Tensor], projection: RandomProjection | None) -> None:
    """Write a chunk's features parameter by parameter: all of them side by side would be one copy more."""
    start = 0
    for gradient in gradients.values():
        piece = gradient.flatten(1)
        stop = start + piece.shape[1]
        if projection is None:
            features[:, start:stop] = piece
        else:
            features += projection.project(piece, start=start)
        start = stop


def _checked(values: Tensor, features: Tensor, rows: Tensor) -> Gradients:
    _checks.finite("margin", values)
    _checks.finite("gradient", features)
    return Gradients(values, features, rows)
