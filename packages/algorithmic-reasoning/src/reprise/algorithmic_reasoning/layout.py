"""Probes side by side: those of one location and type are the channels of one tensor.

A step of the network then reads and writes a handful of tensors, however many hints an algorithm has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from reprise.algorithmic_reasoning.probes import Location, Probe, Type

TYPES: tuple[Type, ...] = ("scalar", "mask", "mask_one", "categorical", "pointer")


@dataclass(frozen=True)
class Group:
    """Probes that are packed into one tensor, channels last.

    Shapes of scalars, masks and one-hot vectors: nodes (B, N, C), edges (B, N, N, C), graph (B, C). A categorical is a
    group of its own, of as many channels as categories. Pointers are distributions over nodes on the axis before the
    channels: (B, N, N, C) of nodes, (B, N, N, N, C) of edges.
    """

    location: Location
    type: Type
    names: tuple[str, ...]

    @property
    def place(self) -> Location:
        """What is encoded: a pointer of nodes says something of edges."""
        return "edge" if self.type == "pointer" else self.location

    def soft(self, logits: Tensor) -> Tensor:
        """Predictions as the next step reads them: chances of masks, distributions of one-hot vectors and pointers."""
        if self.type == "scalar":
            return logits
        if self.type == "mask":
            return torch.sigmoid(logits)
        return torch.softmax(logits, dim=-1 if self.type == "categorical" else -2)

    def unpack(self, packed: Tensor) -> dict[str, Tensor]:
        """The probes by name, each in its own shape; leading axes may be more."""
        if self.type == "categorical":
            return {self.names[0]: packed}
        return dict(zip(self.names, packed.unbind(-1)))

    def pack(self, values: Mapping[str, Tensor], nodes: int, like: Tensor) -> Tensor:
        """Probes as `Trajectories` holds them, in the precision of `like` and on its device."""
        found = [values[name] for name in self.names]
        if self.type == "pointer":
            found = [functional.one_hot(value, nodes) for value in found]
        return (found[0] if self.type == "categorical" else torch.stack(found, dim=-1)).to(like)


def groups_of(probes: Mapping[str, Probe]) -> tuple[Group, ...]:
    """Probes by location and type, in an order of their own."""
    found: dict[tuple[Location, Type, str], list[str]] = {}
    for kind in TYPES:
        for name, probe in probes.items():
            if probe.type == kind:
                found.setdefault((probe.location, kind, name if kind == "categorical" else ""), []).append(name)
    return tuple(Group(location, kind, tuple(names)) for (location, kind, _), names in found.items())


def pack(groups: Sequence[Group], values: Mapping[str, Tensor], nodes: int, like: Tensor) -> list[Tensor]:
    """One tensor for every group."""
    return [group.pack(values, nodes, like) for group in groups]
