"""The parameters of a model that gradients are taken of: how many they are, and where coefficients move them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reprise.tasks.projection import RandomProjection


def parameter_count(model: nn.Module, parameters: Sequence[str] | None = None) -> int:
    """Number p of the chosen parameters' entries: the `rows` of a projection for them.

    Examples
    --------
    >>> parameter_count(nn.Linear(3, 2)), parameter_count(nn.Linear(3, 2), ["weight"])
    (8, 6)
    """
    return sum(value.numel() for value in chosen_parameters(model, parameters).values())


def adapted_parameters(
    model: nn.Module,
    coefficients: Tensor,
    *,
    projection: RandomProjection,
    parameters: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """Parameters θ + P w that coefficients w in the projected space stand for.

    Parameters
    ----------
    model : nn.Module
        At θ; left as it is.
    coefficients : Tensor, shape (d,)
        w.
    projection, parameters
        As the gradients were taken.

    Returns
    -------
    dict of Tensors
        For ``torch.func.functional_call`` or ``load_state_dict(strict=False)``.

    Raises
    ------
    ValueError
        If a parameter is unknown or the projection or the coefficients don't fit.

    Examples
    --------
    >>> model = nn.Linear(3, 2)
    >>> moved = adapted_parameters(model, torch.zeros(4), projection=RandomProjection(rows=8, dim=4))
    >>> bool((moved["weight"] == model.weight).all())
    True
    """
    chosen = chosen_parameters(model, parameters)
    check_projection(projection, chosen)
    if coefficients.shape != (projection.dim,):
        raise ValueError(f"coefficients must have shape ({projection.dim},), got {tuple(coefficients.shape)}")
    moved, start = {}, 0
    for name, value in chosen.items():
        weights = coefficients.to(device=value.device, dtype=value.dtype)
        change = projection.lift(weights, start=start, stop=start + value.numel())
        moved[name] = value + change.reshape(value.shape)
        start += value.numel()
    return moved


def chosen_parameters(model: nn.Module, parameters: Sequence[str] | None) -> dict[str, Tensor]:
    """Detached values of the named parameters, or of all that require a gradient, in that order."""
    named = dict(model.named_parameters())
    if parameters is None:
        parameters = [name for name, value in named.items() if value.requires_grad]
    unknown = [name for name in parameters if name not in named]
    if unknown or not parameters or len(set(parameters)) != len(parameters):
        raise ValueError(
            f"parameters must be different names out of {list(named)}, at least one, got {list(parameters)}"
        )
    return {name: named[name].detach() for name in parameters}


def check_projection(projection: RandomProjection | None, chosen: dict[str, Tensor]) -> None:
    """Refuse a projection of vectors of another length."""
    total = sum(value.numel() for value in chosen.values())
    if projection is not None and projection.rows != total:
        raise ValueError(
            f"projection must have as many rows as the parameters have entries, {total}, got {projection.rows}"
        )
