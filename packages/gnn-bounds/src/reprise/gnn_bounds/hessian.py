"""The Hessian measure of a trained graph network.

It is the bound of the theorem with curvature in the place of norms: ``Σ_i √(B max_G v_iᵀ H_i⁺ v_i / N)``, with v_i how
far layer i has moved from its initialisation, and H_i that layer's block of the Hessian of graph G's loss.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import label_tensor, prepare
from reprise.gnn_bounds.graphs import Graph, as_graphs
from reprise.gnn_bounds.inputs import Collate, batches, losses
from reprise.gnn_bounds.unified import Dense, UnifiedGNN
from reprise.gnn_bounds.validation import choice, positive, whole
from reprise.hvp import CurvatureOperator, GaussNewton, Hessian, per_example_quadratic, quadratic_positive

Method = Literal["auto", "gauss-newton", "hessian", "positive"]


@dataclass(frozen=True, eq=False)
class HessianMeasure:
    """The measure and what it is made of.

    Parameters
    ----------
    value : float
        ``Σ_i √(B · reduction_G(v_iᵀ H_i⁺ v_i) / N)``.
    layers : tuple of str
    per_graph : Tensor, shape (G, L)
        v_iᵀ H_i⁺ v_i of each graph and layer; not negative.
    loss_bound : float
        B.
    method : str
        How the forms were computed.
    """

    value: float
    layers: tuple[str, ...]
    per_graph: Tensor
    loss_bound: float
    method: str

    @property
    def terms(self) -> Tensor:
        """√(B max_G v_iᵀ H_i⁺ v_i / N) of each layer, shape (L,)."""
        return (self.loss_bound * self.per_graph.amax(0) / len(self.per_graph)).sqrt()


def hessian_measure(
    model: nn.Module,
    initial: nn.Module | Mapping[str, Tensor],
    graphs: Iterable[Any],
    labels: Any = None,
    *,
    method: Method = "auto",
    reduction: Literal["max", "mean"] = "max",
    loss_bound: float | None = None,
    steps: int = 20,
    batch_size: int = 256,
    collate: Collate | None = None,
) -> HessianMeasure:
    """The Hessian measure of a trained network.

    Parameters
    ----------
    model : Module
        Trained, in eval mode. A `UnifiedGNN`, or any network with ``model(x, edge_index, batch)`` (torch_geometric).
    initial : Module or mapping of str to Tensor
        The network, or its state, at the start of training (fine-tuning: the pretrained one).
    graphs : iterable of graphs
        The N training graphs, with features.
    labels : sequence of int, shape (N,), optional
        The graphs' own by default.
    method : "auto", "gauss-newton", "hessian" or "positive"
        vᵀGv with the Gauss-Newton matrix, one forward-mode pass per layer for all graphs; max(vᵀHv, 0), two nested
        ones; or vᵀH⁺v with the positive part of each graph's block, by Lanczos. "auto" takes the first where it is
        exact (a network that is piecewise linear in each of its matrices), and the last elsewhere.
    reduction : "max" or "mean"
        Over graphs: the theorem's, or a smoother one.
    loss_bound : float, optional
        B; the largest loss of the graphs by default.
    steps : int
        Lanczos steps of "positive".
    batch_size : int
        Graphs at once.
    collate : callable, optional
        ``collate(list of Graph)`` gives the inputs of a network of another form.

    Returns
    -------
    HessianMeasure

    Raises
    ------
    ValueError, TypeError
        If there is no graph, a label is out of range, or `initial` does not fit the model.

    Notes
    -----
    Layers are the modules that own weight matrices; biases and normalisation are left out. "positive" costs `steps`
    Hessian-vector products per graph, together for graphs of similar size (UnifiedGNN), one by one for others.
    """
    choice("method", method, ("auto", "gauss-newton", "hessian", "positive"))
    choice("reduction", reduction, ("max", "mean"))
    steps, batch_size = whole("steps", steps), whole("batch_size", batch_size)
    found = as_graphs(graphs)
    target = label_tensor(found, labels)
    if method == "auto":
        method = "gauss-newton" if is_piecewise_multilinear(model) else "positive"
    data = batches(model, found, target, batch_size, collate)
    largest = float(losses(model, data).max())
    moves = moves_from(model, matrix_names(model), initial)
    if method == "positive" and isinstance(model, UnifiedGNN) and collate is None:
        forms = _positive_padded(model, moves, found, target, steps)
    elif method == "positive":
        alone = batches(model, found, target, 1, collate)
        forms = torch.stack([_positive_alone(model, moves, batch, steps) for batch in alone])
    else:
        kind = GaussNewton if method == "gauss-newton" else Hessian
        operator = kind(model, nn.functional.cross_entropy, data, parameters=list(moves), check=False)
        assert operator.space is not None
        # in the order of the space, which is that of the model's parameters
        columns = per_example_quadratic(operator, operator.space.flatten(moves), per_layer=True, by="parameter")
        forms = columns[:, [operator.space.names.index(name) for name in moves]]
    forms = forms.double().clamp_min(0.0)
    bound = largest if loss_bound is None else positive("loss_bound", loss_bound)
    reduced = forms.amax(0) if reduction == "max" else forms.mean(0)
    value = float((bound * reduced / len(found)).sqrt().sum())
    return HessianMeasure(value, tuple(moves), forms, bound, method)


def _flattened(operator: CurvatureOperator, parts: dict[str, Tensor]) -> Tensor:
    """Tensors by parameter as one vector of the operator's space."""
    assert operator.space is not None
    return operator.space.flatten(parts)


def is_piecewise_multilinear(model: nn.Module) -> bool:
    """Whether the output is known to be piecewise linear in each weight matrix alone, so that the blocks of the
    Hessian are those of the Gauss-Newton matrix."""
    if not isinstance(model, UnifiedGNN):
        return False
    shared = len(set(model.round_of)) < len(model.round_of)
    return model.kind != "mpgnn" and model.activation != "tanh" and not shared


def matrix_names(model: nn.Module) -> list[str]:
    """Names of the trainable weight matrices; embeddings are left out."""
    skipped = (nn.Embedding, nn.EmbeddingBag)
    names = [
        f"{prefix}.{key}" if prefix else key
        for prefix, module in model.named_modules()
        if not isinstance(module, skipped)
        for key, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 2 and parameter.requires_grad
    ]
    kept = set(dict(model.named_parameters()))  # once where shared
    names = [name for name in names if name in kept]
    if hasattr(model, "layer_names"):
        ordered = [name for group in cast(Any, model).layer_names() for name in group]
        names = [name for name in dict.fromkeys(ordered) if name in names]
    if not names:
        raise ValueError("model must have at least one weight matrix, got none")
    return names


def moves_from(model: nn.Module, names: list[str], initial: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How far each weight matrix is from where it started."""
    if not isinstance(initial, (nn.Module, Mapping)):
        raise TypeError(f"initial must be a module or its state_dict, got {type(initial).__name__}")
    start = initial.state_dict() if isinstance(initial, nn.Module) else initial
    now = dict(model.named_parameters())
    for name in names:
        if name not in start or start[name].shape != now[name].shape:
            raise ValueError(f"initial must hold {name} of shape {tuple(now[name].shape)}, as the model does")
    return {name: (now[name] - start[name].to(now[name])).detach() for name in names}


def _positive_padded(
    model: UnifiedGNN, moves: dict[str, Tensor], graphs: list[Graph], labels: Tensor, steps: int, bucket: int = 64
) -> Tensor:
    """vᵀH⁺v by Lanczos, for buckets of graphs of similar size at once."""
    prepared = prepare(graphs, labels.tolist(), kind=model.diffusion)
    # a graph that is fitted well has a curvature below what float32 can divide by
    model = copy.deepcopy(model).double()
    parameter = next(model.parameters())
    order = np.argsort([graph.nodes for graph in graphs], kind="stable")
    dense = Dense(model)
    data = []
    for first in range(0, len(order), bucket):
        part = order[first : first + bucket]
        data.append(_padded([prepared.block(int(i)) for i in part], model, parameter))
    batches = [
        (inputs, labels[torch.from_numpy(order[first : first + bucket].copy())].to(parameter.device))
        for inputs, first in zip(data, range(0, len(order), bucket))
    ]
    columns = []
    for name, move in moves.items():
        # one block at a time: Lanczos then runs in that block's space alone
        operator = Hessian(
            dense,
            nn.functional.cross_entropy,
            batches,
            parameters=[f"network.{name}"],
            check=False,
            strategy="forward-over-reverse",
        )
        vector = _flattened(operator, {f"network.{name}": move.double()})
        if not bool(vector.any()):
            columns.append(torch.zeros(len(graphs), dtype=vector.dtype, device=vector.device))
            continue
        columns.append(per_example_quadratic(operator, vector, positive=True, steps=steps, chunk_size=bucket))
    forms = torch.stack(columns, dim=1)
    back = torch.empty_like(forms)
    back[torch.from_numpy(order.copy()).to(forms.device)] = forms
    return back


def _padded(blocks: list[tuple[Any, Any]], model: UnifiedGNN, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Dense diffusions (G, n, n), features (G, n, d) and node weights (G, n), padded by zeros."""
    largest = max(len(features) for _, features in blocks)
    P = torch.zeros(len(blocks), largest, largest, dtype=like.dtype)
    X = torch.zeros(len(blocks), largest, blocks[0][1].shape[1], dtype=like.dtype)
    share = torch.zeros(len(blocks), largest, dtype=like.dtype)
    for index, (matrix, features) in enumerate(blocks):
        size = len(features)
        P[index, :size, :size] = torch.from_numpy(matrix.toarray())
        X[index, :size] = torch.from_numpy(features)
        share[index, :size] = 1 / size if model.pooling == "mean" else 1.0
    return P.to(like.device), X.to(like.device), share.to(like.device)


def _positive_alone(model: nn.Module, moves: dict[str, Tensor], batch: Any, steps: int) -> Tensor:
    """vᵀH⁺v of every layer for one graph."""
    values = []
    for name, move in moves.items():
        operator = Hessian(
            model,
            nn.functional.cross_entropy,
            [batch],
            parameters=[name],
            check=False,
            strategy="reverse-over-reverse",
        )
        vector = _flattened(operator, {name: move})
        value = quadratic_positive(operator, vector, steps=steps).value if bool(vector.any()) else 0.0
        values.append(torch.as_tensor(float(value), dtype=torch.float64))
    return torch.stack(values)
