"""Train one encoder on several cities or states, and on traffic volume besides (Nippani et al. 2023, section 4).

All tasks share the encoder and have a head each. In every epoch they are trained one epoch each, in an order that is
drawn anew, with one Adam for all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reprise.hvp.optim import SAM
from reprise.road_safety.contrastive import supervised_contrastive
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.metrics import NEGATIVES, monthly_mean
from reprise.road_safety.model import RoadGNN, edge_features
from reprise.road_safety.training import (
    METRICS,
    SPLITS,
    Inputs,
    accident_loss,
    check_images,
    check_years,
    draw_edges,
    judge,
    selection,
)
from reprise.road_safety.validation import integer, number, one_of

KINDS = ("accident_classification", "accident_regression", "volume_regression")
VEHICLES = 1000.0  # traffic is learnt in thousands of vehicles a day
_LARGEST_CONTRAST = 2048  # edges of a batch that are compared with one another
Years = Sequence[int] | Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class MultitaskResult:
    """Networks that share an encoder, and how good each is.

    Parameters
    ----------
    metrics : dict of dicts of dicts
        By task and split: those of `train` for accidents; ``mae`` in thousands of vehicles a day for volume.
    models : dict of RoadGNN
        By task; encoder and fusion are the same module in all of them.
    seed, best_epoch : int
    history : list of dicts
        Mean loss by epoch and task, in the order of training.
    """

    metrics: dict[str, dict[str, dict[str, float]]]
    models: dict[str, RoadGNN]
    seed: int
    best_epoch: int
    history: list[dict[str, Any]] = field(default_factory=list)


class _Task(NamedTuple):
    name: str
    kind: str
    inputs: Inputs
    years: tuple[Sequence[int], ...]
    rows: dict[str, np.ndarray]


def train_multitask(
    datasets: Sequence[RoadDataset],
    tasks: Sequence[str],
    model: Callable[[int, int], RoadGNN],
    train_years: Years,
    valid_years: Years,
    test_years: Years,
    epochs: int = 30,
    lr: float = 1e-3,
    seed: int = 0,
    negatives: str = "all",
    history: bool = True,
    *,
    weight_decay: float = 0.0,
    sam: float = 0.0,
    contrastive: float = 0.0,
    temperature: float = 0.3,
    evaluate_every: int = 5,
    device: Any = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MultitaskResult:
    """Train a network on several tasks at once.

    Parameters
    ----------
    datasets : sequence of RoadDataset
        With different names, and equally many columns of node features.
    tasks : sequence of str
        ``{name}_accident_classification``, ``{name}_accident_regression`` or ``{name}_volume_regression``, with the
        name of a data set. With the volume tasks this is the papers' transfer learning.
    model : callable from columns of nodes and edges to RoadGNN
        Called once per task under the seed; all share the encoder (and fusion) of the first.
    train_years, valid_years, test_years : sequences of int, or mappings from the name of a data set to such
    epochs : int
        In each of which every task has one.
    lr : float
        Of the one Adam.
    seed : int
        Of the weights, the negatives and the order of the tasks.
    negatives : {"all", "official"}
    history : bool
        Whether the networks see past accidents.
    weight_decay : float
    sam : float
        ρ of sharpness-aware minimisation, .05 in the authors' code; 0: none.
    contrastive : float
        λ of ``(1 − λ) · cross-entropy + λ · supervised contrastive loss`` of the edges' ``[h_u, h_v]``, for
        classification; .9 in the authors' code, 0: none.
    temperature : float
        τ of the contrastive loss.
    evaluate_every : int
    device : torch device
    progress : callable
        Called with the epochs done and all.

    Returns
    -------
    MultitaskResult
        With the weights of the epoch that is best on average over the tasks on accidents: AUROC, and minus the error on
        segments with accidents. Volume decides only where there is nothing else.

    Raises
    ------
    LeakageError, ValueError, TypeError

    Notes
    -----
    A step is a month for accidents, and for volume a year: the mean weather of its months, the past accidents at its
    beginning, and no traffic among the features of edges. Years without counts are left out.
    """
    one_of("negatives", negatives, NEGATIVES)
    epochs, seed = integer("epochs", epochs), integer("seed", seed, minimum=0)
    evaluate_every = integer("evaluate_every", evaluate_every)
    lr = number("lr", lr, low=0.0, open_low=True)
    weight_decay, sam = number("weight_decay", weight_decay, low=0.0), number("sam", sam, low=0.0)
    contrastive = number("contrastive", contrastive, low=0.0, high=1.0)
    temperature = number("temperature", temperature, low=0.0, open_low=True)
    if not callable(model) or isinstance(model, nn.Module):
        raise TypeError(f"model must be a callable from columns to a RoadGNN, got {type(model).__name__}")
    given = _tasks(datasets, tasks, (train_years, valid_years, test_years), history, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        models = _models(model, given)
    everything = nn.ModuleList(models.values())
    options = {"lr": lr, "weight_decay": weight_decay}
    adam = torch.optim.Adam(everything.parameters(), **options)  # type: ignore[arg-type]
    optimizer: torch.optim.Optimizer = adam
    if sam:
        optimizer = SAM(everything.parameters(), torch.optim.Adam, rho=sam, model=everything, **options)
    generator = np.random.default_rng(seed)
    best, best_epoch, best_state = -np.inf, 0, copy.deepcopy(everything.state_dict())
    log: list[dict[str, Any]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            everything.train()
            for index in generator.permutation(len(given)):
                task = given[index]
                losses = [
                    _descend(optimizer, loss)
                    for loss in _losses(models[task.name], task, negatives, contrastive, temperature, generator)
                ]
                log.append({"epoch": epoch, "task": task.name, "loss": float(np.mean(losses)) if losses else np.nan})
            if epoch % evaluate_every == 0 or epoch == epochs:
                value = _score(models, given, negatives)
                if value > best:
                    best, best_epoch, best_state = value, epoch, copy.deepcopy(everything.state_dict())
            progress(epoch, epochs)
    everything.load_state_dict(best_state)
    metrics = {
        task.name: {split: _metrics(models[task.name], task, negatives, split) for split in SPLITS} for task in given
    }
    return MultitaskResult(metrics, models, seed, best_epoch, log)


def _tasks(
    datasets: Sequence[RoadDataset], tasks: Sequence[str], years: tuple[Years, ...], history: bool, device: Any
) -> list[_Task]:
    for dataset in datasets:
        if not isinstance(dataset, RoadDataset):
            raise TypeError(f"datasets must hold RoadDataset, got {type(dataset).__name__}")
    by_name = {dataset.name: dataset for dataset in datasets}
    if len(by_name) < len(datasets):
        raise ValueError(f"datasets must have different names, got {[dataset.name for dataset in datasets]}")
    if isinstance(tasks, str) or not len(tasks) or len(set(tasks)) < len(tasks):
        raise ValueError(f"tasks must name at least one task, each once, got {tasks!r}")
    inputs: dict[str, Inputs] = {}
    found = []
    for task in tasks:
        name, kind = _parsed(task, by_name)
        split = tuple(_years_of(part, which, name) for which, part in zip(SPLITS, years))
        check_years(*split)
        dataset = by_name[name]
        if name not in inputs:
            inputs[name] = Inputs(dataset, split[0], history, device)
        rows = {which: dataset.rows_of(part) for which, part in zip(SPLITS, split)}
        found.append(_Task(task, kind, inputs[name], split, rows))
        if kind == "volume_regression" and not any(np.isfinite(target).any() for _, target in _volumes(found[-1], 0)):
            raise ValueError(f"{task} needs traffic counts in the train_years of {name}, {list(split[0])}")
    columns = {name: part.in_node for name, part in inputs.items()}
    if len(set(columns.values())) > 1:
        raise ValueError(f"datasets must have equally many columns of node features, got {columns}")
    return found


def _parsed(task: Any, by_name: Mapping[str, RoadDataset]) -> tuple[str, str]:
    for kind in KINDS:
        if isinstance(task, str) and task.endswith(f"_{kind}") and task[: -len(kind) - 1] in by_name:
            return task[: -len(kind) - 1], kind
    forms = ", ".join(f"{{name}}_{kind}" for kind in KINDS)
    raise ValueError(f"tasks must be of the form {forms} with a name among {sorted(by_name)}, got {task!r}")


def _years_of(years: Years, split: str, name: str) -> Sequence[int]:
    if not isinstance(years, Mapping):
        return years
    if name not in years:
        raise ValueError(f"{split}_years must name {name}, got {sorted(years)}")
    return years[name]


def _models(model: Callable[[int, int], RoadGNN], tasks: Sequence[_Task]) -> dict[str, RoadGNN]:
    models: dict[str, RoadGNN] = {}
    first: RoadGNN | None = None
    for task in tasks:
        made = model(task.inputs.in_node, task.inputs.in_edge)
        if not isinstance(made, RoadGNN):
            raise TypeError(f"model must return a RoadGNN, got {type(made).__name__}")
        check_images(made, task.inputs)
        if first is None:
            first = made
        made.encoder, made.fusion = first.encoder, first.fusion
        models[task.name] = made.to(task.inputs.device)
    return models


def _losses(
    model: RoadGNN,
    task: _Task,
    negatives: str,
    contrastive: float,
    temperature: float,
    generator: np.random.Generator,
) -> Any:
    """Yield a closure per step of an epoch of a task, which returns the loss."""
    inputs = task.inputs
    if task.kind == "volume_regression":
        for (x, z), volume in _volumes(task, 0, model.input_time_steps):
            known = np.flatnonzero(np.isfinite(volume))
            if len(known):
                yield lambda x=x, z=z, volume=volume, known=known: nn.functional.l1_loss(
                    _at(model, inputs, x, z, known)[0], torch.as_tensor(volume[known], device=inputs.device).float()
                )
        return
    kind = task.kind.removeprefix("accident_")
    for row in task.rows["train"]:
        counts = inputs.counts[[int(row)]].toarray()[0]
        drawn = draw_edges(counts, inputs.dataset.edge_index, negatives, generator)
        if drawn is None:
            continue
        compared = generator.permutation(len(drawn))[:_LARGEST_CONTRAST]

        def loss(row: int = int(row), drawn: np.ndarray = drawn, compared: np.ndarray = compared) -> Tensor:
            label = torch.as_tensor(inputs.counts[[row]].toarray()[0][drawn], device=inputs.device)
            out, embedding = _at(model, inputs, *inputs.month(row, model.input_time_steps), drawn)
            found = accident_loss(out, label, kind)
            if contrastive and kind == "classification":
                among = torch.as_tensor(compared, device=inputs.device)
                apart = supervised_contrastive(embedding[among], label[among] > 0, temperature)
                found = (1 - contrastive) * found + contrastive * apart
            return found

        yield loss


def _at(model: RoadGNN, inputs: Inputs, x: Tensor, z: Tensor, edges: np.ndarray) -> tuple[Tensor, Tensor]:
    """Scores of some edges, and the embeddings of their ends side by side."""
    rows = torch.as_tensor(edges, device=inputs.device)
    h = model.encode(x, z, inputs.edge_index, inputs.z_row, inputs.images)
    ends = inputs.ends[:, rows]
    return model.score(h, z[rows], ends), edge_features(h, z[rows, :0], ends)


def _volumes(task: _Task, split: int, steps: int = 1) -> Any:
    """Yield features and volumes (thousands a day) of the years of a split that have counts."""
    inputs, dataset = task.inputs, task.inputs.dataset
    for year in sorted(set(task.years[split])):
        rows = [row for row, (of, _) in enumerate(dataset.months) if of == year]
        if year not in dataset.volume or not rows:
            continue
        x, _ = inputs.month(rows[-1], steps)
        if steps == 1:
            x = torch.cat([inputs.static, inputs.weather[rows].mean(dim=0).expand(len(inputs.static), -1)], dim=1)
        z = inputs.edges(rows[0]).clone()
        z[:, inputs.flags.shape[1]] = 0.0  # what is to be told must not be among the features
        yield (x, z), dataset.volume[year] / VEHICLES


def _descend(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> float:
    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    found: Tensor = optimizer.step(closure)  # type: ignore[assignment, arg-type]
    return float(found.detach())


def _metrics(model: RoadGNN, task: _Task, negatives: str, split: str) -> dict[str, float]:
    if task.kind != "volume_regression":
        kind = task.kind.removeprefix("accident_")
        rows = judge(model, task.inputs, kind, negatives, task.rows[split])
        return {name: monthly_mean(rows, name) for name in METRICS}
    model.eval()
    errors = []
    for (x, z), volume in _volumes(task, SPLITS.index(split), model.input_time_steps):
        known = np.flatnonzero(np.isfinite(volume))
        with torch.no_grad():
            out = _at(model, task.inputs, x, z, known)[0].cpu().numpy()
        errors.extend(np.abs(out - volume[known]))
    return {"mae": float(np.mean(errors)) if errors else float("nan")}


def _score(models: Mapping[str, RoadGNN], tasks: Sequence[_Task], negatives: str) -> float:
    """What the best epoch is chosen by, on the validation years."""
    accidents = [task for task in tasks if task.kind != "volume_regression"]
    values = []
    for task in accidents or tasks:
        if task.kind == "volume_regression":
            values.append(-_metrics(models[task.name], task, negatives, "valid")["mae"])
        else:
            kind = task.kind.removeprefix("accident_")
            rows = judge(models[task.name], task.inputs, kind, negatives, task.rows["valid"])
            values.append(selection(rows, kind))
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else -np.inf
