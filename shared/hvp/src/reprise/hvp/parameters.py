"""The parameters that a curvature operator differentiates: which ones, in which order, as tensors or as one vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

Selection = None | str | nn.Module | Callable[[str, Tensor], bool] | Iterable[str | nn.Module]


@dataclass(frozen=True)
class ParameterSpace:
    """Named tensors seen as one vector in R^P, in the order of the names.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Floating-point tensors on one device; their sizes add up to P.

    Raises
    ------
    ValueError
        If there are none, or they lie on several devices.
    TypeError
        If one is not a real floating-point tensor, or is sharded (DTensor).

    Examples
    --------
    >>> import torch
    >>> space = ParameterSpace({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})
    >>> space.size
    8
    >>> {name: tuple(part.shape) for name, part in space.unflatten(torch.arange(8.0)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """

    tensors: dict[str, Tensor]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("parameters must hold at least one tensor, got none")
        for name, tensor in self.tensors.items():
            if not isinstance(tensor, Tensor):
                raise TypeError(f"parameters[{name!r}] must be a tensor, got {type(tensor).__name__}")
            if type(tensor).__name__ == "DTensor" or type(tensor.data).__name__ == "DTensor":
                raise TypeError(
                    f"parameters[{name!r}] is sharded (DTensor/FSDP), which curvature operators do not support: "
                    "give every process the whole model and a process_group instead"
                )
            if not tensor.is_floating_point():
                raise TypeError(f"parameters[{name!r}] must be real floating point, got {tensor.dtype}")
        devices = {str(tensor.device) for tensor in self.tensors.values()}
        if len(devices) > 1:
            raise ValueError(f"parameters must lie on one device, got {sorted(devices)}")

    @property
    def names(self) -> list[str]:
        """Names in the order of the vector."""
        return list(self.tensors)

    @property
    def sizes(self) -> list[int]:
        """Number of entries of each tensor."""
        return [tensor.numel() for tensor in self.tensors.values()]

    @property
    def size(self) -> int:
        """P, the number of entries of all tensors."""
        return sum(self.sizes)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return next(iter(self.tensors.values())).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the vectors: the widest of the tensors' types, and at least float32."""
        widest = torch.float32
        for tensor in self.tensors.values():
            widest = torch.promote_types(widest, tensor.dtype)
        return widest

    @property
    def slices(self) -> dict[str, slice]:
        """Where each tensor's entries lie in the vector."""
        found, start = {}, 0
        for name, size in zip(self.names, self.sizes):
            found[name] = slice(start, start + size)
            start += size
        return found

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Split a vector (P,) into tensors of the parameters' shapes and types; rows (K, P) get a leading K."""
        batch = vector.shape[:-1]
        parts = torch.split(vector, self.sizes, dim=-1)
        return {
            name: part.reshape(*batch, *tensor.shape).to(tensor.dtype)
            for (name, tensor), part in zip(self.tensors.items(), parts)
        }

    def flatten(self, tree: Mapping[str, Tensor], *, batched: bool = False) -> Tensor:
        """Join tensors of the parameters' shapes into a vector (P,), or into rows (K, P) when `batched`."""
        start = 1 if batched else 0
        return torch.cat([tree[name].flatten(start).to(self.dtype) for name in self.tensors], dim=-1)

    def select(self, selection: Selection, model: nn.Module | None = None) -> ParameterSpace:
        """The part of the space that `selection` names (see `select_names`)."""
        chosen = select_names(self.tensors, selection, model)
        return ParameterSpace({name: self.tensors[name] for name in chosen})

    def layers(self) -> dict[str, list[str]]:
        """Names grouped by the module that owns them.

        A name without a dot is its own group, and so is an entry of a `ParameterList`: a list is no layer.
        """
        groups: dict[str, list[str]] = {}
        for name in self.tensors:
            owner, _, last = name.rpartition(".")
            groups.setdefault(name if last.isdigit() else owner or name, []).append(name)
        return groups


def select_names(tensors: Mapping[str, Tensor], selection: Selection, model: nn.Module | None = None) -> list[str]:
    """Names of `tensors` that `selection` picks, in the order of `tensors`.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    selection : None, str, Module, callable, or iterable of str and Module
        All; a name, a pattern (``"*.weight"``, as `fnmatch`) or the name of a module (``"layers.3"``); a module of
        `model`; a predicate ``(name, tensor) -> bool``; or several names and modules, of which each must match.
    model : Module, optional
        Where modules are looked up.

    Raises
    ------
    ValueError
        If a pattern, module or predicate matches nothing.
    """
    if selection is None:
        return list(tensors)
    if callable(selection) and not isinstance(selection, nn.Module):
        chosen = {name for name, tensor in tensors.items() if selection(name, tensor)}
        if not chosen:
            raise ValueError(f"parameters: the predicate matches none of {_listing(tensors)}")
        return [name for name in tensors if name in chosen]
    wanted = [selection] if isinstance(selection, (str, nn.Module)) else list(selection)
    chosen = set()
    for item in wanted:
        if isinstance(item, nn.Module):
            owned = {id(parameter) for parameter in item.parameters()}
            source = dict(model.named_parameters()) if model is not None else dict(tensors)
            found = {name for name in tensors if id(source.get(name)) in owned}
            shown = type(item).__name__
        elif isinstance(item, str):
            found = {name for name in tensors if fnmatchcase(name, item) or name.startswith(f"{item}.")}
            shown = repr(item)
        else:
            raise TypeError(f"parameters must be names, patterns, modules or a predicate, got {type(item).__name__}")
        if not found:
            raise ValueError(f"parameters: {shown} matches none of {_listing(tensors)}")
        chosen |= found
    return [name for name in tensors if name in chosen]


def _listing(tensors: Mapping[str, Tensor]) -> str:
    names = list(tensors)
    return ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
