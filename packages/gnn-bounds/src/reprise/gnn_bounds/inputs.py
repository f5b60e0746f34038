"""Graphs as the inputs of any network, and its losses on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import prepare
from reprise.gnn_bounds.graphs import Graph
from reprise.gnn_bounds.unified import UnifiedGNN

Collate = Callable[[list[Graph]], Any]


def batches(model: nn.Module, graphs: list[Graph], labels: Tensor, size: int, collate: Collate | None) -> list[Any]:
    """Pairs of inputs and labels in batches, on the model's device."""
    parameter = next(model.parameters(), None)
    if parameter is None:
        raise ValueError("model must have parameters, got none")
    if isinstance(model, UnifiedGNN) and collate is None:
        if int(labels.max()) >= model.classes:
            raise ValueError(f"labels must be below the number of classes ({model.classes}), got {int(labels.max())}")
        prepared = prepare(graphs, labels.tolist(), kind=model.diffusion)
        if prepared.features.shape[1] != model.in_dim:
            raise ValueError(
                f"graphs must have {model.in_dim} features, as the model, got {prepared.features.shape[1]}"
            )
        found: list[Any] = prepared.batches(size, dtype=parameter.dtype)
        return [(batch.to(parameter.device), target.to(parameter.device)) for batch, target in found]
    collated = []
    for first in range(0, len(graphs), size):
        part = graphs[first : first + size]
        inputs = collate(part) if collate is not None else edge_index_batch(part, parameter.dtype)
        collated.append((_place(inputs, parameter.device), labels[first : first + size].to(parameter.device)))
    return collated


def edge_index_batch(graphs: list[Graph], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Graphs as torch_geometric's layers take them: `x` (Σn, d), `edge_index` (2, m) and `batch` (Σn,)."""
    missing = next((index for index, graph in enumerate(graphs) if graph.features is None), None)
    if missing is not None:
        raise ValueError(f"graphs[{missing}] must have features; with_features gives one-hot degrees or tags")
    sizes = [graph.nodes for graph in graphs]
    starts = np.cumsum([0, *sizes[:-1]])
    edges = [np.stack(graph.adjacency.nonzero()) + start for graph, start in zip(graphs, starts)]
    features = np.concatenate([graph.features for graph in graphs if graph.features is not None])
    return {
        "x": torch.from_numpy(features).to(dtype),
        "edge_index": torch.from_numpy(np.concatenate(edges, axis=1).astype(np.int64)),
        "batch": torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
    }


@torch.no_grad()
def losses(model: nn.Module, data: list[Any], changed: dict[str, Tensor] | None = None) -> Tensor:
    """Loss of every graph, float64 (N,)."""
    values = []
    for inputs, target in data:
        arguments: tuple[Any, ...] = () if isinstance(inputs, dict) else _as_tuple(inputs)
        keywords = inputs if isinstance(inputs, dict) else {}
        outputs = torch.func.functional_call(model, changed or {}, arguments, keywords)
        if outputs.ndim != 2 or len(outputs) != len(target):
            raise ValueError(f"model must return one row per graph ({len(target)}), got shape {tuple(outputs.shape)}")
        if int(target.max()) >= outputs.shape[1]:
            raise ValueError(f"labels must be below {outputs.shape[1]}, the number of outputs, got {int(target.max())}")
        values.append(nn.functional.cross_entropy(outputs.double(), target, reduction="none"))
    return torch.cat(values)


def _place(inputs: Any, device: torch.device) -> Any:
    if isinstance(inputs, dict):
        return {name: _place(value, device) for name, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(_place(value, device) for value in inputs)
    return inputs.to(device) if hasattr(inputs, "to") else inputs


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
