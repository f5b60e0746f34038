"""The Hessian measures as the authors' code has them, for comparison with `hessian_measure`.

They differ from the theorem: v is multiplied by the Hessian of all layers together, the maximum runs over batches of
four graphs instead of graphs, no positive part is taken, and the cruder form has the largest loss outside of the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import label_tensor
from reprise.gnn_bounds.graphs import as_graphs
from reprise.gnn_bounds.hessian import matrix_names, moves_from
from reprise.gnn_bounds.inputs import Collate, batches, losses
from reprise.gnn_bounds.validation import choice, whole
from reprise.hvp import Hessian, layer_traces


@dataclass(frozen=True, eq=False)
class AuthorsMeasure:
    """A measure of the authors' code and what it is made of.

    Parameters
    ----------
    value : float
    layers : tuple of str
    per_batch : Tensor, shape (batches, L), float64
        v_iᵀ(Hv)_i, or estimates of tr H_i, of each batch and layer; they may be negative.
    largest_loss : float
        Of all graphs.
    """

    value: float
    layers: tuple[str, ...]
    per_batch: Tensor
    largest_loss: float


def authors_measure(
    model: nn.Module,
    initial: nn.Module | Mapping[str, Tensor],
    graphs: Iterable[Any],
    labels: Any = None,
    *,
    form: Literal["quadratic", "trace"] = "quadratic",
    batch_size: int = 4,
    products: int = 10,
    seed: int = 0,
    collate: Collate | None = None,
) -> AuthorsMeasure:
    """The measure as the authors' code computes it.

    Parameters
    ----------
    model, initial, graphs, labels, collate
        As for `hessian_measure`.
    form : "quadratic" or "trace"
        See the notes.
    batch_size : int
        Graphs of which the loss is averaged; the authors take 4.
    products : int
        Random vectors for the traces of a batch, at least 2.
    seed : int
        Of these vectors.

    Returns
    -------
    AuthorsMeasure

    Raises
    ------
    ValueError, TypeError
        As `hessian_measure`.

    Notes
    -----
    "quadratic": ``√(max ℓ) Σ_i √(max_b v_iᵀ(H_b v)_i) / √N``; a layer whose maximum is negative counts as zero,
    where the authors' code gives NaN. "trace":
    ``max ℓ · √(Σ_i max_b tr H_bi · Σ_i min(‖W_i − W_i⁰‖_F², ‖W_i‖_F²) / N)``.

    Examples
    --------
    >>> import networkx
    >>> from reprise.gnn_bounds import Graph, UnifiedGNN, with_features
    >>> graphs = with_features([Graph(networkx.cycle_graph(n), label=n % 2) for n in (3, 4, 5)], "constant")
    >>> model = UnifiedGNN(1, 4, 2, 3)
    >>> authors_measure(model, model, graphs).value
    0.0
    """
    choice("form", form, ("quadratic", "trace"))
    products, seed = whole("products", products, least=2), whole("seed", seed, least=0)
    found = as_graphs(graphs)
    data = batches(model, found, label_tensor(found, labels), whole("batch_size", batch_size), collate)
    moves = moves_from(model, matrix_names(model), initial)
    largest = float(losses(model, data).max())
    rows = []
    for index, batch in enumerate(data):
        operator = Hessian(
            model,
            nn.functional.cross_entropy,
            [batch],
            parameters=list(moves),
            check=False,
            strategy="reverse-over-reverse",
        )
        if form == "quadratic":
            assert operator.space is not None
            product = operator.space.unflatten(operator @ operator.space.flatten(moves))
            rows.append([float((move * product[name]).sum()) for name, move in moves.items()])
        else:
            traces = layer_traces(operator, by="parameter", products=products, generator=seed + index)
            rows.append([traces[name].value for name in moves])
    per_batch = torch.tensor(rows, dtype=torch.float64)
    most = per_batch.amax(0).clamp_min(0.0)
    if form == "quadratic":
        value = float((largest * most / len(found)).sqrt().sum())
    else:
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        squares = [min(float(move.square().sum()), float(weights[name].square().sum())) for name, move in moves.items()]
        value = largest * float((most.sum() * sum(squares) / len(found)).sqrt())
    return AuthorsMeasure(value, tuple(moves), per_batch, largest)
