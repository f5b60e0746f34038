"""All bounds, the observed gap and the Hessian measure of one network, in one table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from torch import Tensor, nn

from reprise.gnn_bounds.batch import label_tensor
from reprise.gnn_bounds.bounds import Bound, garg2020, ju2023, liao2021
from reprise.gnn_bounds.diffusion import Kind
from reprise.gnn_bounds.graphs import as_graphs
from reprise.gnn_bounds.hessian import Method, hessian_measure
from reprise.gnn_bounds.inputs import Collate, batches, losses
from reprise.gnn_bounds.norms import LayerNorms, Layers
from reprise.gnn_bounds.statistics import FeatureNorm, GraphStatistics, graph_statistics
from reprise.gnn_bounds.unified import UnifiedGNN
from reprise.gnn_bounds.validation import choice, whole

# torch_geometric's layers, by the diffusion matrix that they multiply with
CONVOLUTIONS: dict[str, Kind] = {
    "GCNConv": "gcn",
    "GINConv": "gin",
    "SAGEConv": "mean",
    "GraphConv": "adjacency",
    "LEConv": "adjacency",
}


def all_bounds(
    norms: LayerNorms,
    stats: GraphStatistics,
    *,
    n: int,
    depth: int,
    loss_bound: float = 5.4,
    margin: float = 1.0,
    feature_norm: FeatureNorm = "spectral",
    rival_feature_norm: FeatureNorm = "row",
    activation_bound: float = math.inf,
    rates: bool = False,
) -> list[tuple[str, Bound]]:
    """Every bound on the same norms and statistics, in the order ours, Liao et al., Garg et al.

    Parameters
    ----------
    norms, stats, n, depth, loss_bound, margin, feature_norm, activation_bound
        As for `ju2023`, `liao2021` and `garg2020`.
    rival_feature_norm : "row", "spectral" or "mean"
        That of Liao et al. and Garg et al., whose own is "row".
    rates : bool
        Set the constants to 1 (Liao's 42, our B): what is left are the rates.

    Returns
    -------
    list of (name, Bound)
    """
    shared: dict[str, Any] = {"n": n, "depth": depth}
    mine = {**shared, "feature_norm": feature_norm, "loss_bound": 1.0 if rates else loss_bound}
    theirs = {**shared, "feature_norm": rival_feature_norm, "margin": margin}
    constant = 1.0 if rates else 42.0
    found = [
        ("Ju et al. 2023", ju2023(norms, stats, **mine)),
        ("Ju et al. 2023, per graph", ju2023(norms, stats, per="graph", **mine)),
        ("Liao et al. 2021, GCN", liao2021(norms, stats, model="gcn", constant=constant, **theirs)),
        ("Liao et al. 2021, MPGNN", liao2021(norms, stats, model="mpgnn", constant=constant, **theirs)),
        ("Garg et al. 2020", garg2020(norms, stats, **theirs)),
    ]
    if math.isfinite(activation_bound):
        bounded = garg2020(norms, stats, activation_bound=activation_bound, **theirs)
        found.append((f"Garg et al. 2020, activations within {activation_bound:g}", bounded))
    return found


def compare(
    model: nn.Module,
    graphs: Iterable[Any],
    labels: Any = None,
    *,
    test: Iterable[Any] | None = None,
    test_labels: Any = None,
    initial: nn.Module | Mapping[str, Tensor] | None = None,
    depth: int | None = None,
    diffusion: Kind | None = None,
    layers: Layers | None = None,
    loss_bound: float = 5.4,
    margin: float = 1.0,
    feature_norm: FeatureNorm = "spectral",
    rival_feature_norm: FeatureNorm = "row",
    activation_bound: float = math.inf,
    method: Method = "auto",
    collate: Collate | None = None,
) -> pd.DataFrame:
    """One table for one network: the observed gap, every bound, the Hessian measure.

    Parameters
    ----------
    model : Module
        Trained. A `UnifiedGNN` or any network with ``model(x, edge_index, batch)``, torch_geometric's included.
    graphs : iterable of graphs
        The training graphs, with features.
    labels : sequence of int, optional
        The graphs' own by default.
    test, test_labels : optional
        Held-out graphs, for the observed gap (mean cross-entropy on them minus that on the training graphs).
    initial : Module or mapping of str to Tensor, optional
        The network before training, for the Hessian measure.
    depth : int, optional
        l; counted from the model's layers by default.
    diffusion : str, optional
        Which P the layers multiply with (see `diffusion_matrix`); read from the model's layers by default.
    layers : optional
        See `LayerNorms.from_model`.
    loss_bound, margin, feature_norm, rival_feature_norm, activation_bound
        See `all_bounds`. Which feature norm went into a row is in the table.
    method : str
        See `hessian_measure`.
    collate : callable, optional
        ``collate(list of Graph)`` gives the inputs of a network of another form.

    Returns
    -------
    DataFrame
        Columns `quantity`, `value`, `log10` and `feature_norm`.

    Raises
    ------
    ValueError, TypeError
        For malformed graphs or labels, and where depth or diffusion cannot be read from the model.
    """
    training = as_graphs(graphs)
    target = label_tensor(training, labels)
    depth = _depth(model) if depth is None else whole("depth", depth, least=2)
    kind = _diffusion(model) if diffusion is None else diffusion
    stats, norms = graph_statistics(training, kind), LayerNorms.from_model(model, layers)
    rows: list[dict[str, Any]] = []
    if test is not None:
        held = as_graphs(test)
        sets = [(held, label_tensor(held, test_labels)), (training, target)]
        means = [float(losses(model, batches(model, part, its, 256, collate)).mean()) for part, its in sets]
        rows.append(_row("observed gap", means[0] - means[1]))
    if initial is not None:
        measure = hessian_measure(model, initial, training, target.tolist(), method=method, collate=collate)
        rows.append(_row(f"Hessian measure ({measure.method})", measure.value))
    found = all_bounds(
        norms,
        stats,
        n=len(training),
        depth=depth,
        loss_bound=loss_bound,
        margin=margin,
        feature_norm=feature_norm,
        rival_feature_norm=rival_feature_norm,
        activation_bound=activation_bound,
    )
    for name, bound in found:
        used = feature_norm if name.startswith("Ju") else rival_feature_norm
        rows.append({"quantity": name, "value": bound.value, "log10": bound.log10, "feature_norm": used})
    return pd.DataFrame(rows, columns=["quantity", "value", "log10", "feature_norm"])


def _row(name: str, value: float) -> dict[str, Any]:
    log10 = math.log10(value) if value > 0 else (-math.inf if value == 0 else math.nan)
    return {"quantity": name, "value": value, "log10": log10, "feature_norm": ""}


def _convolutions(model: nn.Module) -> list[str]:
    """Class names of torch_geometric's layers, in order."""
    return [
        type(module).__name__
        for module in model.modules()
        if any(parent.__name__ == "MessagePassing" for parent in type(module).__mro__)
    ]


def _depth(model: nn.Module) -> int:
    if isinstance(model, UnifiedGNN):
        return model.depth
    count = len(_convolutions(model))
    if count == 0:
        raise ValueError("depth must be given: the model has no layer that is known to pass messages")
    return count + 1


def _diffusion(model: nn.Module) -> Kind:
    if isinstance(model, UnifiedGNN):
        return model.diffusion
    kinds = {CONVOLUTIONS.get(name) for name in _convolutions(model)}
    if len(kinds) != 1 or None in kinds:
        raise ValueError(
            f"diffusion must be given: it cannot be read from the model's layers {sorted(set(_convolutions(model)))}"
        )
    found = kinds.pop()
    assert found is not None
    return choice("diffusion", found, tuple(CONVOLUTIONS.values()))
