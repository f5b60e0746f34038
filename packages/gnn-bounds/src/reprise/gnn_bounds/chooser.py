"""Which diffusion for my graphs? Bound, Hessian measure and accuracy of each, in one table."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from reprise.gnn_bounds.batch import label_tensor, prepare
from reprise.gnn_bounds.bounds import ju2023
from reprise.gnn_bounds.diffusion import Kind
from reprise.gnn_bounds.graphs import as_graphs
from reprise.gnn_bounds.hessian import flattened
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import graph_statistics
from reprise.gnn_bounds.training import evaluate, move, split, train
from reprise.gnn_bounds.unified import UnifiedGNN
from reprise.gnn_bounds.validation import whole
from reprise.hvp import GaussNewton, per_example_quadratic


def choose_diffusion(
    graphs: Iterable[Any],
    labels: Any = None,
    *,
    kinds: Sequence[Kind] = ("gcn", "mean", "ppr", "scaled"),
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
        Per diffusion and trial: `spectral` (largest ‖P‖₂), `log10_bound` (ours), `measure` (Hessian measure), `gap`,
        `train_accuracy`, `test_accuracy`.

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
    rows, total = [], trials * len(kinds)
    for kind in kinds:
        data = prepare(found, target.tolist(), kind=kind, **({"alpha": alpha} if kind == "ppr" else {}))
        for trial in range(trials):
            generator = torch.Generator().manual_seed(seed + trial)
            training, test = split(len(found), generator)
            model = UnifiedGNN(
                data.features.shape[1], width, int(target.max()) + 1, depth, share_weights=False, generator=generator
            ).to(device)
            initial = copy.deepcopy(model.state_dict())
            train(model, data, training, epochs=epochs, generator=generator)
            fit = evaluate(model, data, training, test)
            stats = graph_statistics([found[i] for i in training], kind, alpha=alpha)
            norms = LayerNorms.from_model(model)
            rows.append(
                {
                    "diffusion": kind,
                    "trial": trial,
                    "spectral": stats.max_spectral,
                    "log10_bound": ju2023(norms, stats, n=len(training), depth=depth).log10,
                    "measure": _measure(model, initial, move(data.batch(training), next(model.parameters()).device)),
                    "gap": fit.gap,
                    "train_accuracy": fit.train_accuracy,
                    "test_accuracy": fit.test_accuracy,
                }
            )
            progress(len(rows), total)
    return pd.DataFrame(rows)


def _measure(model: UnifiedGNN, initial: dict[str, torch.Tensor], batch: tuple[Any, torch.Tensor]) -> float:
    """The Hessian measure under a diffusion that is not the network's own; exact, as no weights are shared."""
    with torch.no_grad():
        bound = float(nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none").max())
    total = 0.0
    for name, parameter in model.named_parameters():
        operator = GaussNewton(model, nn.functional.cross_entropy, [batch], parameters=[name], check=False)
        vector = flattened(operator, {name: (parameter - initial[name]).detach()})
        forms = per_example_quadratic(operator, vector).clamp_min(0)
        total += float((bound * forms.max() / len(forms)).sqrt())
    return total
