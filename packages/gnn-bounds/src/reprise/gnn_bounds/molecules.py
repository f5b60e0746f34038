"""The graph networks for molecules of Hu et al. (ICLR 2020) with GCN or GIN layers, from pretrained weights.

Five layers ``h ← BatchNorm(Σ_j d̃_i^(-1/2) d̃_j^(-1/2) (W h_j + e₁[type] + e₂[direction]))`` (GCN), or
``h ← BatchNorm(MLP(Σ_j (h_j + e₁[type] + e₂[direction])))`` (GIN), over both directions of every bond and self-loops,
ReLU after all but the last, dropout, the mean over atoms, and a linear head.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reprise.gnn_bounds.molecule_data import SELF_LOOP, MoleculeBatch
from reprise.gnn_bounds.validation import number, whole

ATOMS, CHIRALITIES, BOND_TYPES, DIRECTIONS = 120, 3, 6, 3


class MoleculeLayer(nn.Module):
    """One GCN layer with bond embeddings.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.edge_embedding1 = nn.Embedding(BOND_TYPES, width)
        self.edge_embedding2 = nn.Embedding(DIRECTIONS, width)

    def forward(self, state: Tensor, operator: tuple[Tensor, Tensor]) -> Tensor:
        """New states (Σn, width) from states and what `weighted_edges` returns."""
        adjacency, bonds = operator
        # Σ_j a_ij e[type_ij] is the same sum for all atoms with the same counts: a matrix (Σn, 18) times embeddings
        new: Tensor = adjacency @ self.linear(state) + bonds @ bond_embeddings(
            self.edge_embedding1, self.edge_embedding2
        )
        return new


def bond_embeddings(types: nn.Embedding, directions: nn.Embedding) -> Tensor:
    """e₁ + e₂ of every kind of bond, shape (18, width)."""
    return (types.weight[:, None] + directions.weight[None, :]).flatten(0, 1)


class MoleculeGINLayer(nn.Module):
    """One GIN layer with bond embeddings.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.edge_embedding1 = nn.Embedding(BOND_TYPES, width)
        self.edge_embedding2 = nn.Embedding(DIRECTIONS, width)

    def forward(self, state: Tensor, operator: tuple[Tensor, Tensor]) -> Tensor:
        """New states (Σn, width) from states and what `weighted_edges` returns."""
        adjacency, bonds = operator
        new: Tensor = self.mlp(adjacency @ state + bonds @ bond_embeddings(self.edge_embedding1, self.edge_embedding2))
        return new


class MoleculeGCN(nn.Module):
    """Graph network for molecules with GCN layers.

    Parameters
    ----------
    tasks : int
        Outputs.
    layers, width : int
        5 and 300 of the pretrained weights.
    dropout : float

    Raises
    ------
    ValueError, TypeError
        For sizes below 1 or a dropout outside [0, 1].
    """

    layer: ClassVar[type[nn.Module]] = MoleculeLayer
    normalise: ClassVar[bool] = True
    mark: ClassVar[str] = ".linear.weight"  # how the name of a layer's matrix ends

    def __init__(self, tasks: int = 1, *, layers: int = 5, width: int = 300, dropout: float = 0.5) -> None:
        super().__init__()
        layers, width, tasks = whole("layers", layers), whole("width", width), whole("tasks", tasks)
        self.x_embedding1 = nn.Embedding(ATOMS, width)
        self.x_embedding2 = nn.Embedding(CHIRALITIES, width)
        self.gnns = nn.ModuleList([self.layer(width) for _ in range(layers)])
        self.batch_norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(layers)])
        self.dropout = nn.Dropout(number("dropout", dropout, least=0.0, most=1.0))
        self.head = nn.Linear(width, tasks)

    @classmethod
    def from_pretrained(cls, path: str | Path, tasks: int = 1, *, dropout: float = 0.5) -> Self:
        """The network with the weights of a file; the head is new.

        Parameters
        ----------
        path : path
            A ``.safetensors`` file, or a ``.pth`` file of a state dict as published by Hu et al.; the latter is read
            without running what it may hold (``weights_only``).
        tasks : int
        dropout : float

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is none, or its tensors are not those of the network without its head.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file of weights at {path}")
        weights = _read(Path(path))
        found = sum(name.endswith(cls.mark) for name in weights)
        if "x_embedding1.weight" not in weights or found == 0:
            raise ValueError(f"{Path(path).name} must hold x_embedding1.weight and gnns.*{cls.mark}")
        width = int(weights["x_embedding1.weight"].shape[1])
        model = cls(tasks, layers=found, width=width, dropout=dropout)
        try:
            outcome = model.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise ValueError(f"{Path(path).name} does not fit: {error}") from error
        absent = [name for name in outcome.missing_keys if not name.startswith("head.")]
        if outcome.unexpected_keys or absent:
            raise ValueError(f"{Path(path).name}: unexpected {outcome.unexpected_keys}, missing {absent}")
        return model

    def encoder_parameters(self) -> list[Tensor]:
        """All parameters but the head's."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("head.")]

    def forward(self, batch: MoleculeBatch) -> Tensor:
        """Logits, shape (M, tasks)."""
        state = self.x_embedding1(batch.atoms[:, 0]) + self.x_embedding2(batch.atoms[:, 1])
        operator = weighted_edges(batch, state.dtype, normalise=self.normalise)
        for index, (layer, norm) in enumerate(zip(self.gnns, self.batch_norms)):
            state = norm(layer(state, operator))
            if index + 1 < len(self.gnns):
                state = torch.relu(state)
            state = self.dropout(state)
        total = state.new_zeros(len(batch.sizes), state.shape[1]).index_add(0, batch.molecule, state)
        logits: Tensor = self.head(total / batch.sizes[:, None])
        return logits


class MoleculeGIN(MoleculeGCN):
    """Graph network for molecules with GIN layers, as the authors fine-tune it; parameters as for `MoleculeGCN`."""

    layer = MoleculeGINLayer
    normalise = False
    mark = ".mlp.0.weight"


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights."""
    kind = "safetensors file" if path.suffix != ".pth" else "file of tensors"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".pth" else load_file(path)
    except (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path.name} is no {kind}: {error}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path.name} is no {kind}: expected a dict of tensors, got {type(weights).__name__}")
    return weights


def weighted_edges(batch: MoleculeBatch, dtype: torch.dtype, *, normalise: bool = True) -> tuple[Tensor, Tensor]:
    """D̃^(-1/2)(A + I)D̃^(-1/2) or A + I, and the weight of each kind of bond at each atom (Σn, 18)."""
    target, source = batch.edges
    count = len(batch.atoms)
    weights = torch.ones(len(target), dtype=dtype, device=target.device)
    if normalise:
        degree = torch.zeros(count, dtype=dtype, device=target.device).index_add(0, target, weights)
        weights = degree[target].rsqrt() * degree[source].rsqrt()
    adjacency = torch.sparse_coo_tensor(batch.edges, weights, (count, count), check_invariants=False)
    kinds = batch.types[:, 0] * DIRECTIONS + batch.types[:, 1]
    flat = torch.zeros(count * BOND_TYPES * DIRECTIONS, dtype=dtype, device=target.device)
    bonds = flat.index_add(0, target * (BOND_TYPES * DIRECTIONS) + kinds, weights)
    return adjacency, bonds.view(count, BOND_TYPES * DIRECTIONS)


__all__ = ["SELF_LOOP", "MoleculeGCN", "MoleculeGIN", "MoleculeGINLayer", "MoleculeLayer", "weighted_edges"]
