"""Which weights count as layers, and how far each has moved from its pretrained value.

Layers are the weight matrices of linear and convolutional modules: all parameters with two or four dimensions but those
of embeddings. Biases and normalisation are left out. The head has no pretrained value: its distance is to zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from .validation import module, real_tensor

Layers = None | Callable[[str, Tensor], bool] | Iterable[str]
Reference = nn.Module | Mapping[str, Tensor]


def weight_layers(model: nn.Module, layers: Layers = None) -> dict[str, nn.Parameter]:
    """The weights that count as layers, from the input to the output.

    Parameters
    ----------
    model : Module
    layers : callable ``(name, parameter) -> bool`` or names, optional
        Which ones; by default all with two or four dimensions that require a gradient, but for embeddings.

    Returns
    -------
    dict of str to Parameter

    Raises
    ------
    ValueError
        If there are none, or a name is unknown.
    TypeError
        If one of them is not of real floating point, `model` is no module, or `layers` holds anything but names.

    Examples
    --------
    >>> list(weight_layers(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2))))
    ['0.weight', '2.weight']
    """
    parameters = dict(module("model", model).named_parameters())
    if layers is not None and not callable(layers):
        layers = names_of("layers", layers)
    if layers is None:
        embedded = {
            id(p)
            for held in model.modules()
            if isinstance(held, (nn.Embedding, nn.EmbeddingBag))
            for p in held.parameters(recurse=False)
        }
        chosen = [n for n, p in parameters.items() if p.ndim in (2, 4) and p.requires_grad and id(p) not in embedded]
    elif callable(layers):
        chosen = [name for name, parameter in parameters.items() if layers(name, parameter)]
    else:
        chosen = list(layers)
        unknown = [name for name in chosen if name not in parameters]
        if unknown:
            raise ValueError(f"layers: the model has no parameter {unknown[0]!r}; it has {', '.join(parameters)}")
    if not chosen:
        raise ValueError("layers must name at least one weight, got none: the model has no trainable 2-D or 4-D weight")
    for name in chosen:
        if not parameters[name].is_floating_point():
            raise TypeError(f"layers: {name} must be of real floating point, got {parameters[name].dtype}")
    return {name: parameters[name] for name in chosen}


def reference_weights(
    weights: Mapping[str, Tensor], reference: Reference, *, head: str | Iterable[str] | None = None
) -> dict[str, Tensor]:
    """The pretrained value of every layer, on the layer's device; zero for the head.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As `weight_layers` gives them.
    reference : Module or mapping of str to Tensor or array
        The pretrained model or its state. A layer of another shape is refused unless it is named as head.
    head : str or several, optional
        Layers without a pretrained value.

    Returns
    -------
    dict of str to Tensor
        Detached copies.

    Raises
    ------
    ValueError
        If a layer is missing, of another shape or not finite; it is named.
    TypeError
        If `reference` is neither a module nor a mapping.
    """
    if isinstance(reference, nn.Module):
        state: Mapping[str, Tensor] = dict(reference.named_parameters())
    elif isinstance(reference, Mapping):
        state = reference
    else:
        raise TypeError(f"reference must be a Module or a mapping of names to tensors, got {type(reference).__name__}")
    heads = head_names(weights, head)
    found = {}
    for name, weight in weights.items():
        if name in heads:
            found[name] = torch.zeros_like(weight, requires_grad=False)
            continue
        if name not in state:
            raise ValueError(f"reference lacks layer {name!r}; name it in head if it has no pretrained value")
        value = state[name]
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(f"reference[{name!r}] must be a tensor, got {type(value).__name__}")
        value = real_tensor(f"reference[{name!r}]", value)
        if value.shape != weight.shape:
            raise ValueError(
                f"reference[{name!r}] must have shape {tuple(weight.shape)}, got {tuple(value.shape)}; "
                "name it in head if it has no pretrained value"
            )
        found[name] = value.detach().to(weight).clone()
    return found


def head_names(weights: Mapping[str, Tensor], head: str | Iterable[str] | None) -> tuple[str, ...]:
    """The layers named as head; each may be given by the name of its module."""
    if head is None:
        return ()
    found = []
    for item in names_of("head", head):
        match = [name for name in weights if name == item or name.startswith(f"{item}.")]
        if not match:
            raise ValueError(f"head: no layer is named {item!r}; there are {', '.join(weights)}")
        found += match
    return tuple(found)


def names_of(argument: str, value: str | Iterable[str]) -> list[str]:
    """One name or several, as a list."""
    found = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{argument} must hold names of layers or modules, got {name!r}")
    return found


@torch.no_grad()
def layer_distances(
    model: nn.Module, reference: Reference, *, layers: Layers = None, head: str | Iterable[str] | None = None
) -> dict[str, float]:
    """``‖W_i − W_i^s‖_F`` of every layer.

    Parameters
    ----------
    model, reference, layers, head
        As for `hessian_distance`.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError, TypeError
        As `weight_layers` and `reference_weights`.

    Examples
    --------
    >>> model = nn.Linear(2, 2)
    >>> layer_distances(model, {"weight": torch.zeros(2, 2)}) == {"weight": float(model.weight.detach().norm())}
    True
    """
    weights = weight_layers(model, layers)
    pretrained = reference_weights(weights, reference, head=head)
    return {name: float((weight - pretrained[name]).norm()) for name, weight in weights.items()}
