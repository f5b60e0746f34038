"""Molecules as graphs with atom and bond types, from arrays: no chemistry library is needed at run time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
SELF_LOOP = 4  # bond type of the edge from an atom to itself


@dataclass(frozen=True, eq=False)
class Molecules:
    """A set of molecules.

    Parameters
    ----------
    atoms : ndarray of int, shape (Σn, 2)
        Atomic number − 1; chirality (0 unspecified, 1 clockwise, 2 counter-clockwise).
    atom_ptr : ndarray of int, shape (M + 1,)
        Where each molecule's atoms begin.
    bonds : ndarray of int, shape (Σm, 4)
        Two atoms (numbered within the molecule), type (0 single, 1 double, 2 triple, 3 aromatic), direction (0 none,
        1 up, 2 down); each bond once.
    bond_ptr : ndarray of int, shape (M + 1,)
    labels : ndarray of int, shape (M, tasks)
        0 or 1; −1 where missing.
    split : ndarray of int, shape (M,)
        0 training, 1 validation, 2 test (by scaffold).
    tasks : tuple of str

    Raises
    ------
    ValueError
        If the arrays do not fit together, or a number is out of range.
    """

    atoms: Array
    atom_ptr: Array
    bonds: Array
    bond_ptr: Array
    labels: Array
    split: Array
    tasks: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.labels)
        shapes = {
            "atoms": (self.atoms, (int(self.atom_ptr[-1]), 2)),
            "atom_ptr": (self.atom_ptr, (count + 1,)),
            "bonds": (self.bonds, (int(self.bond_ptr[-1]), 4)),
            "bond_ptr": (self.bond_ptr, (count + 1,)),
            "labels": (self.labels, (count, len(self.tasks))),
            "split": (self.split, (count,)),
        }
        for name, (array, wanted) in shapes.items():
            if array.shape != wanted:
                raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
        sizes = np.diff(self.atom_ptr)
        if count == 0 or (sizes < 1).any():
            raise ValueError("molecules must each have at least one atom, and there must be one")
        owner = np.repeat(np.arange(count), np.diff(self.bond_ptr))
        limits = {
            "atoms, first column": (self.atoms[:, 0], 0, 119),
            "atoms, second column": (self.atoms[:, 1], 0, 2),
            "bonds, third column": (self.bonds[:, 2], 0, 3),
            "bonds, fourth column": (self.bonds[:, 3], 0, 2),
            "labels": (self.labels, -1, 1),
            "split": (self.split, 0, 2),
        }
        for name, (array, low, high) in limits.items():
            if array.size and (array.min() < low or array.max() > high):
                raise ValueError(f"{name} must lie between {low} and {high}, got {array.min()} to {array.max()}")
        if (self.bonds[:, :2] < 0).any() or (self.bonds[:, :2] >= sizes[owner][:, None]).any():
            raise ValueError("bonds must name atoms of their own molecule")

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, name: str) -> Array:
        """Indices of "train", "validation" or "test"."""
        return np.flatnonzero(self.split == {"train": 0, "validation": 1, "test": 2}[name])

    def batch(self, chosen: Sequence[int] | Array) -> MoleculeBatch:
        """The chosen molecules as one batch."""
        chosen = np.asarray(chosen)
        atoms = np.concatenate([np.arange(self.atom_ptr[i], self.atom_ptr[i + 1]) for i in chosen])
        bonds = np.concatenate([np.arange(self.bond_ptr[i], self.bond_ptr[i + 1]) for i in chosen])
        sizes = np.diff(self.atom_ptr)[chosen]
        shift = np.repeat(np.cumsum([0, *sizes[:-1]]), np.diff(self.bond_ptr)[chosen])
        ends = self.bonds[bonds, :2].astype(np.int64) + shift[:, None]
        kinds = self.bonds[bonds, 2:].astype(np.int64)
        own = np.arange(len(atoms))
        target = np.concatenate([ends[:, 0], ends[:, 1], own])
        source = np.concatenate([ends[:, 1], ends[:, 0], own])
        types = np.concatenate([kinds, kinds, np.tile([SELF_LOOP, 0], (len(atoms), 1))])
        return MoleculeBatch(
            torch.from_numpy(self.atoms[atoms].astype(np.int64)),
            torch.from_numpy(np.stack([target, source])),
            torch.from_numpy(types),
            torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes)),
            torch.from_numpy(sizes.astype(np.int64)),
            torch.from_numpy(self.labels[chosen].astype(np.int64)),
        )


@dataclass(frozen=True, eq=False)
class MoleculeBatch:
    """Molecules one below the other: atoms (Σn, 2), edges (2, E) as target and source, their types (E, 2) with
    self-loops, the molecule of each atom (Σn,), sizes (M,), and labels (M, tasks)."""

    atoms: Tensor
    edges: Tensor
    types: Tensor
    molecule: Tensor
    sizes: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> MoleculeBatch:
        """The same on another device."""
        return MoleculeBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def load_molecules(name: str | Path) -> Molecules:
    """Molecules of a ``.npz`` file with the arrays of `Molecules`.

    Parameters
    ----------
    name : str or path
        A file, or the name of a set (``"BACE"``), which is looked for in ``$REPRISE_DATA/gnn-bounds``.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If an array is absent or malformed.
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(f"name must be the name of a set or a path, got {type(name).__name__}")
    place, home = Path(name), os.environ.get("REPRISE_DATA")
    if home is not None and not place.exists() and place.name == str(name) and not place.suffix:
        place = Path(home) / "gnn-bounds" / f"{place.name.lower()}.npz"
    if not place.is_file():
        raise FileNotFoundError(f"there is no file of molecules at {place}")
    try:
        with np.load(place, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{place.name} is no .npz file of arrays: {error}") from error
    names = ("atoms", "atom_ptr", "bonds", "bond_ptr", "labels", "split", "tasks")
    absent = [name for name in names if name not in arrays]
    if absent:
        raise ValueError(f"{place.name} lacks {', '.join(absent)}")
    tasks = tuple(str(task) for task in np.atleast_1d(arrays.pop("tasks")))
    return Molecules(**{name: arrays[name] for name in names[:-1]}, tasks=tasks)
