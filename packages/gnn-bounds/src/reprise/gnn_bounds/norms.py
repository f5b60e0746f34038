"""Norms of a network's weights, layer by layer: what all norm bounds are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray[Any, Any]
Layers = Sequence[str | Sequence[str]]

# pairs (of neighbours, of the node itself) in torch_geometric's layers with two matrices side by side
PAIRS = (("lin_l", "lin_r"), ("lin_rel", "lin_root"), ("lins.0", "lins.1"))


@dataclass(frozen=True)
class LayerNorms:
    """Norms of l layers; where matrices stand side by side in a layer (W and U), the larger one counts.

    Parameters
    ----------
    names : tuple of str
    spectral : ndarray, shape (l,)
        s_i = max(‖W⁽ⁱ⁾‖₂, ‖U⁽ⁱ⁾‖₂).
    frobenius : ndarray, shape (l,)
        max(‖W⁽ⁱ⁾‖_F, ‖U⁽ⁱ⁾‖_F).
    dims : ndarray, shape (l,)
        d_i, the larger dimension.
    neighbour, own : ndarray, shape (l,)
        ‖W⁽ⁱ⁾‖₂ and ‖U⁽ⁱ⁾‖₂; both `spectral` in a layer of one matrix.
    """

    names: tuple[str, ...]
    spectral: Array
    frobenius: Array
    dims: Array
    neighbour: Array
    own: Array

    @property
    def stable_rank(self) -> Array:
        """r_i = Frobenius over spectral norm (its square is the stable rank), shape (l,); 1 where a layer is zero."""
        return np.divide(self.frobenius, self.spectral, out=np.ones_like(self.spectral), where=self.spectral > 0)

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_model(cls, model: nn.Module, layers: Layers | None = None) -> LayerNorms:
        """Norms of any torch module's weight matrices.

        Parameters
        ----------
        model : Module
        layers : sequence of str or of sequences of str, optional
            Names of weights in the order of the forward pass, as in ``model.named_parameters()``; a pair
            ``("W", "U")`` stands side by side in one layer, and a name that occurs twice is used twice. By default
            what ``model.layer_names()`` says, or else every matrix in the order in which it was registered, with the
            pairs of torch_geometric's layers (SAGEConv, GraphConv) taken together; embeddings are left out.

        Returns
        -------
        LayerNorms

        Raises
        ------
        TypeError
            If `model` is no module.
        ValueError
            If a name is absent or no matrix, weights are not finite, or there are none.
        """
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        if layers is None:
            layers = cast(Any, model).layer_names() if hasattr(model, "layer_names") else _matrices(model)
        if isinstance(layers, str) or not isinstance(layers, Sequence):
            raise TypeError(f"layers must be a list of names of weights, got {layers!r}")
        if len(layers) == 0:
            raise ValueError("model must have at least one weight matrix, got none")
        weights: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
        groups = [(layer,) if isinstance(layer, str) else tuple(layer) for layer in layers]
        norms = {name: _norms(weights, name) for group in groups for name in group}
        columns = np.array([np.max([norms[name] for name in group], axis=0) for group in groups])
        first, last = ([norms[group[place]][0] for group in groups] for place in (0, -1))
        names = tuple(" | ".join(group) for group in groups)
        return cls(names, columns[:, 0], columns[:, 1], columns[:, 2], np.array(first), np.array(last))


def _matrices(model: nn.Module) -> list[str | tuple[str, ...]]:
    """Names of all weight matrices, pairs of one layer together."""
    skipped = (nn.Embedding, nn.EmbeddingBag)
    names = [
        f"{prefix}.{key}" if prefix else key
        for prefix, module in model.named_modules()
        if not isinstance(module, skipped)
        for key, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 2 and min(parameter.shape) > 0
    ]
    found: list[str | tuple[str, ...]] = []
    for name in names:
        owner = next((pair for pair in PAIRS if _ends(name, pair[1])), None)
        if owner is not None:
            partner = _swap(name, owner[1], owner[0])
            if partner in found:
                found[found.index(partner)] = (partner, name)
                continue
        found.append(name)
    return found


def _ends(name: str, module: str) -> bool:
    return name == f"{module}.weight" or name.endswith(f".{module}.weight")


def _swap(name: str, module: str, other: str) -> str:
    return name[: -len(f"{module}.weight")] + f"{other}.weight"


def _norms(weights: dict[str, Tensor], name: str) -> tuple[float, float, int]:
    if name not in weights:
        raise ValueError(f"layers: the model has no weight {name!r}; it has {', '.join(list(weights)[:12])}")
    weight = weights[name].detach().double().cpu()
    if weight.ndim != 2:
        raise ValueError(f"layers: {name} must be a matrix, got shape {tuple(weight.shape)}")
    if not bool(torch.isfinite(weight).all()):
        raise ValueError(f"model: {name} holds weights that are not finite")
    return float(torch.linalg.matrix_norm(weight, 2)), float(weight.norm()), max(weight.shape)
