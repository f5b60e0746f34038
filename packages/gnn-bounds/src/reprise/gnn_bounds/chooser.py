"""Which diffusion for my graphs? Bound, Hessian measure and accuracy of each, in one table."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from reprise.gnn_bounds.batch import Prepared, label_tensor, prepare
from reprise.gnn_bounds.bounds import ju2023
from reprise.gnn_bounds.diffusion import Kind
from reprise.gnn_bounds.graphs import Graph, as_graph, as_graphs
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import GraphStatistics, graph_statistics
from reprise.gnn_bounds.training import evaluate, move, split, train
from reprise.gnn_bounds.unified import UnifiedGNN
from reprise.gnn_bounds.validation import whole
from reprise.hvp import GaussNewton, per_example_quadratic


def choose_diffusion(
    graphs: Iterable[Any],
    labels: Any = None,
    *,
    kinds: Sequence[Kind] = ("gcn", "mean", "ppr", "scaled"),
    edits: Mapping[str, Callable[[Graph], Graph]] | None = None,
    depth: int = 3,
    width: int = 64,
    epochs: int = 50,
    trials: int = 1,
    alpha: float = 0.15,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> pd.DataFrame:
    """Train one network per diffusion on the same splits, and measure it.

    Parameters
    ----------
    graphs, labels
        With features. A tenth is held out.
    kinds : sequence of str
        Diffusions to try; see `diffusion_matrix`.
    edits : mapping of str to callable, optional
        Changes to try on the training and the test graphs, such as `drop_hubs` and `add_self_loops`; each diffusion is
        then tried on the graphs as they are (``"none"``) and after every change.
    depth, width, epochs : int
        Of a ReLU network without U, whose weights are not shared.
    trials : int
        Splits and initialisations.
    alpha : float
        Of "ppr".
    seed : int
    device : torch.device or str
    progress : callable
        ``progress(done, total)``.

    Returns
    -------
    DataFrame
        Per edit, diffusion and trial: `spectral` (largest ‖P‖₂), `log10_bound` (ours), `measure` (Hessian
        measure), `gap`, `train_accuracy`, `test_accuracy`.

    Raises
    ------
    ValueError, TypeError
        For malformed graphs or labels, fewer than two graphs, or arguments out of range.
    """
    found = as_graphs(graphs)
    target = label_tensor(found, labels)
    if len(found) < 2:
        raise ValueError(f"graphs must hold at least two graphs, one to be held out, got {len(found)}")
    seed, trials = whole("seed", seed, least=0), whole("trials", trials)
    if len(kinds) == 0 or isinstance(kinds, str):
        raise ValueError(f"kinds must be a list of diffusions, got {kinds!r}")
    changes: dict[str, Callable[[Graph], Graph]] = {"none": as_graph, **(edits or {})}
    rows: list[dict[str, Any]] = []
    total = trials * len(kinds) * len(changes)
    for edit, change in changes.items():
        edited = as_graphs([change(graph) for graph in found])
        for kind in kinds:
            options = {"alpha": alpha} if kind == "ppr" else {}
            data = prepare(edited, target.tolist(), kind=kind, **options)
            stats = graph_statistics(edited, kind, alpha=alpha)
            for trial in range(trials):
                row = {"edit": edit, "diffusion": kind, "trial": trial}
                rows.append(row | _try(data, stats, depth, width, epochs, seed + trial, device))
                progress(len(rows), total)
    return pd.DataFrame(rows)


def _try(
    data: Prepared, stats: GraphStatistics, depth: int, width: int, epochs: int, seed: int, device: torch.device | str
) -> dict[str, float]:
    """Train one network, and measure it."""
    generator = torch.Generator().manual_seed(seed)
    training, test = split(len(data), generator)
    classes = int(data.labels.max()) + 1
    model = UnifiedGNN(data.features.shape[1], width, classes, depth, share_weights=False, generator=generator)
    model.to(device)
    initial = copy.deepcopy(model.state_dict())
    train(model, data, training, epochs=epochs, generator=generator)
    fit = evaluate(model, data, training, test)
    chosen = stats.subset(training)
    return {
        "spectral": chosen.max_spectral,
        "log10_bound": ju2023(LayerNorms.from_model(model), chosen, n=len(training), depth=depth).log10,
        "measure": _measure(model, initial, move(data.batch(training), next(model.parameters()).device)),
        "gap": fit.gap,
        "train_accuracy": fit.train_accuracy,
        "test_accuracy": fit.test_accuracy,
    }


def _measure(model: UnifiedGNN, initial: dict[str, torch.Tensor], batch: tuple[Any, torch.Tensor]) -> float:
    """The Hessian measure under a diffusion that is not the network's own; exact, as no weights are shared."""
    with torch.no_grad():
        bound = float(nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none").max())
    operator = GaussNewton(model, nn.functional.cross_entropy, [batch], check=False)
    assert operator.space is not None
    moves = {name: (parameter - initial[name]).detach() for name, parameter in model.named_parameters()}
    forms = per_example_quadratic(operator, operator.space.flatten(moves), per_layer=True, by="parameter")
    return float((bound * forms.clamp_min(0).amax(0) / len(forms)).sqrt().sum())
