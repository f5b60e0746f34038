"""Radii that grow with depth: D_i = D·γ^(i−1), as layers near the output have further to go (Li and Zhang 2021)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from .constraints import LayerConstraints, Norm
from .layers import Layers, Reference, head_names, names_of, reference_weights, weight_layers
from .validation import real_number

Groups = Iterable[Iterable[str]]


def layer_radii(
    model: nn.Module,
    reference: Reference,
    D: float,
    gamma: float = 1.0,
    *,
    head: str | Iterable[str] | None = None,
    head_radius: float | None = None,
    ratio: bool = False,
    layers: Layers = None,
    groups: Groups | None = None,
    norm: Norm = "frobenius",
    batch_norm: float | None = None,
) -> LayerConstraints:
    """Balls around the pretrained weights whose radii grow with depth, ready to project.

    Parameters
    ----------
    model : Module
    reference : Module or mapping of str to Tensor
        The pretrained model or its state.
    D : float
        Radius of the layer nearest to the input; a share of ``‖W_i^s‖_F`` where `ratio` is set.
    gamma : float
        γ ≥ 1, by which the radius grows from layer to layer.
    head : str or several, optional
        Layers whose centre is zero; free unless there is a `head_radius`.
    head_radius : float, optional
    ratio : bool
        Make every radius a share of the norm of its layer's pretrained weight (not the head's).
    layers, groups
        As for `growing_radii`.
    norm, batch_norm
        As for `LayerConstraints`.

    Returns
    -------
    LayerConstraints
        Call its ``project_()`` after every step, or pass it to `fine_tune`.

    Raises
    ------
    ValueError, TypeError
        As `growing_radii` and `LayerConstraints`.

    Examples
    --------
    >>> import copy, torch
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 3))
    >>> constraints = layer_radii(model, copy.deepcopy(model), 0.5, 2.0, head="2", head_radius=4.0)
    >>> constraints.radii
    {'0.weight': 0.5, '1.weight': 1.0, '2.weight': 4.0}
    >>> _ = torch.nn.init.ones_(model[2].weight.data.mul_(10))
    >>> constraints.project_()
    """
    radii = growing_radii(
        model,
        D,
        gamma,
        head=head,
        head_radius=head_radius,
        relative_to=reference if ratio else None,
        layers=layers,
        groups=groups,
    )
    held = None if head_radius is None else head
    return LayerConstraints(model, reference, radii, head=held, norm=norm, batch_norm=batch_norm)


def growing_radii(
    model: nn.Module,
    D: float,
    gamma: float = 1.0,
    *,
    head: str | Iterable[str] | None = None,
    head_radius: float | None = None,
    relative_to: Reference | None = None,
    layers: Layers = None,
    groups: Groups | None = None,
) -> dict[str, float]:
    """Radii that grow with depth, ``D_i = D·γ^(i−1)``, as numbers: to look at, or to change before they are used.

    Parameters
    ----------
    model : Module
    D : float
        Radius of the layer nearest to the input; a share of ``‖W_i^s‖_F`` where `relative_to` is given.
    gamma : float
        γ ≥ 1.
    head : str or several, optional
        Layers with `head_radius` instead; without one the head is left free.
    head_radius : float, optional
    relative_to : Module or mapping, optional
        The pretrained weights whose norms the radii are shares of (not the head's).
    layers : callable or names, optional
        As for `weight_layers`.
    groups : iterable of groups of module names, optional
        Blocks with one power of γ each, as ``[("layer1", "layer2"), ("layer3",), ("layer4",)]`` of a ResNet, where the
        stem stays free; each layer is its own group by default.

    Returns
    -------
    dict of str to float
        For `LayerConstraints`.

    Raises
    ------
    ValueError
        If a radius is not positive, γ below 1, there is a head radius but no head, or a group names nothing.
    TypeError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> growing_radii(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 3)), 0.5, 2.0, head="2")
    {'0.weight': 0.5, '1.weight': 1.0}
    """
    D = real_number("D", D, open_at_minimum=True)
    gamma = real_number("gamma", gamma, minimum=1.0)
    weights = weight_layers(model, layers)
    heads = head_names(weights, head)
    if head_radius is not None:
        head_radius = real_number("head_radius", head_radius, open_at_minimum=True)
        if not heads:
            raise ValueError("head_radius needs head, the name of the layer that it is for; got none")
    body = [name for name in weights if name not in heads]
    if groups is None:
        power = {name: i for i, name in enumerate(body)}
    else:
        power = {}
        if isinstance(groups, str) or not isinstance(groups, Iterable):
            raise TypeError(f"groups must be an iterable of groups of names, got {groups!r}")
        for i, group in enumerate(groups):
            parts = names_of("groups", group)
            members = [name for name in body if any(name == part or name.startswith(f"{part}.") for part in parts)]
            if not members:
                raise ValueError(f"groups: no layer belongs to {parts}; there are {', '.join(body)}")
            power |= dict.fromkeys(members, i)
    unit = dict.fromkeys(power, 1.0)
    if relative_to is not None:
        pretrained = reference_weights({name: weights[name] for name in power}, relative_to)
        unit = {name: float(value.norm()) for name, value in pretrained.items()}
    found = {name: D * gamma**i * unit[name] for name, i in power.items()}
    return found if head_radius is None else found | dict.fromkeys(heads, head_radius)
