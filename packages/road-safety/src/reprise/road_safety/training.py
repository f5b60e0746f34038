"""Train a network on the months of some years, choose its epoch on others, and judge it on the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.road_safety.dataset import Month, RoadDataset, scaled
from reprise.road_safety.errors import LeakageError
from reprise.road_safety.features import neighbour_matrix
from reprise.road_safety.metrics import NEGATIVES, evaluate, monthly_mean, official_negatives
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.validation import integer, number, one_of

TASKS = ("classification", "regression")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class TrainResult:
    """A trained network and how good it is.

    Parameters
    ----------
    metrics : dict of dicts
        By split, means over months weighted by positives: see `metrics.evaluate`.
    per_month : dict of lists
        By split, the same of every month, with ``year`` and ``month``.
    seed : int
    best_epoch : int
        Epoch with the best validation AUROC (classification) or error on segments with accidents (regression).
    skipped : list
        Months that could not be judged, with one class only.
    history : list of dicts
        Mean loss, and validation score where it was taken, by epoch.
    """

    metrics: dict[str, dict[str, float]]
    per_month: dict[str, list[dict[str, float]]]
    seed: int
    best_epoch: int
    skipped: list[Month] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


class Inputs:
    """A data set as tensors: everything that a network reads, once, in float32.

    Parameters
    ----------
    dataset : RoadDataset
    train_years : sequence of int
        From which means and deviations are taken.
    history : bool
        Add what the months before a month say of each edge, three columns.
    device : torch device
    """

    def __init__(self, dataset: RoadDataset, train_years: Sequence[int], history: bool, device: Any = "cpu"):
        self.dataset, self.history, self.device = dataset, history, torch.device(device)
        scaler = dataset.scaler(train_years)
        self.static = self._tensor(scaled(dataset.node_static, *scaler.static))
        self.weather = self._tensor(scaled(dataset.weather, *scaler.weather))
        self.flags = self._tensor(np.column_stack([dataset.flags, scaled(dataset.length, *scaler.length)]))
        self.volume = {year: self._tensor(scaled(values, *scaler.volume)) for year, values in dataset.volume.items()}
        self.images = None if dataset.images is None else self._tensor(scaled_images(dataset.images))
        self.ends = torch.as_tensor(dataset.edge_index, device=self.device)
        self.edge_index, self.z_row = messages(dataset, self.device)
        self.past = self._tensor(past_of_edges(dataset)) if history else None
        self.counts = dataset.counts

    @property
    def in_node(self) -> int:
        """Columns of the nodes."""
        return self.static.shape[1] + self.weather.shape[2]

    @property
    def in_edge(self) -> int:
        """Columns of the edges."""
        return self.flags.shape[1] + 1 + (3 if self.history else 0)

    def month(self, row: int, steps: int = 1) -> tuple[Tensor, Tensor]:
        """Return features of nodes (N, in_node) and edges (E, in_edge) of a month.

        With several `steps` the nodes have those of so many months, the month itself being the last, shape (steps, N,
        in_node); before the first month stands the first.
        """
        x = self.nodes(row)
        if steps > 1:
            x = torch.stack([*(self.nodes(max(row - back, 0)) for back in range(steps - 1, 0, -1)), x])
        return x, self.edges(row)

    def nodes(self, row: int) -> Tensor:
        """Return features of the nodes in a month, shape (N, in_node)."""
        return torch.cat([self.static, self.weather[row].expand(len(self.static), -1)], dim=1)

    def edges(self, row: int) -> Tensor:
        """Return features of the edges in a month, shape (E, in_edge): flags and length, traffic, past accidents."""
        year = self.dataset.months[row][0]
        volume = self.volume.get(year, self.flags.new_zeros(len(self.flags)))
        parts = [self.flags, volume[:, None]]
        if self.past is not None:
            parts.append(self.past[row])
        return torch.cat(parts, dim=1)

    def scores(self, model: RoadGNN, row: int) -> Tensor:
        """Return the model's output for every edge of a month, shape (E,)."""
        x, z = self.month(row, model.input_time_steps)
        found: Tensor = model(x, z, self.ends, self.edge_index, self.z_row, self.images)
        return found

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(np.asarray(array, dtype=np.float32), device=self.device)


def messages(dataset: RoadDataset, device: Any = "cpu") -> tuple[Tensor, Tensor]:
    """Return along which edges messages go, shape (2, M), and the segment of each, shape (M,).

    Two-way segments carry them both ways, unless the other direction is an edge of its own.
    """
    u, v = dataset.edge_index
    two_way = np.flatnonzero(~dataset.flags[:, 0] & (dataset.edge_id(v, u) < 0))
    edge_index = np.concatenate([dataset.edge_index, dataset.edge_index[::-1, two_way]], axis=1)
    z_row = np.concatenate([np.arange(dataset.num_edges), two_way])
    return torch.as_tensor(edge_index, device=device), torch.as_tensor(z_row, device=device)


def past_of_edges(dataset: RoadDataset) -> np.ndarray:
    """Return `features.history` of all months at once, shape (months, E, 3); month t reads months before t only."""
    months, edges = dataset.counts.shape
    total = np.concatenate([np.zeros((1, edges)), np.cumsum(dataset.counts.toarray(), axis=0)])[:-1]
    elapsed = np.arange(months)
    start = np.maximum(elapsed - 12, 0)
    mean = total / np.maximum(elapsed, 1)[:, None]
    recent = (total - total[start]) / np.clip(elapsed, 1, 12)[:, None]
    around = (neighbour_matrix(dataset.edge_index, dataset.num_nodes) @ mean.T).T
    return np.asarray(np.log1p(12 * np.stack([mean, recent, around], axis=2)).astype(np.float32))


def scaled_images(embedding: np.ndarray) -> np.ndarray:
    """Centre and scale the columns of an image embedding over the nodes with an image; rows of zeros stay zeros."""
    there = (embedding != 0).any(axis=1)
    result = np.zeros(embedding.shape)
    if there.any():
        known = embedding[there]
        deviation = known.std(axis=0)
        result[there] = (known - known.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return result


def seeded_network(model: RoadGNN | Callable[[int, int], RoadGNN], inputs: Inputs, seed: int) -> RoadGNN:
    """Return the network itself, or what a callable makes under the seed for these inputs."""
    if isinstance(model, RoadGNN):
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(inputs.in_node, inputs.in_edge)


def check_images(model: RoadGNN, inputs: Inputs) -> None:
    """Refuse a model with fusion whose images the data set does not have.

    Raises
    ------
    ValueError
    """
    found = 0 if inputs.images is None else inputs.images.shape[1]
    if model.image_dim and found != model.image_dim:
        have = f"embeddings of {found} columns" if found else "none: see RoadDataset.with_images"
        raise ValueError(f"images must have the model's image_dim, {model.image_dim} columns, got {have}")


def check_years(train_years: Sequence[int], valid_years: Sequence[int], test_years: Sequence[int]) -> None:
    """Refuse years that overlap or do not follow one another.

    Raises
    ------
    LeakageError
    """
    parts = [sorted({int(year) for year in years}) for years in (train_years, valid_years, test_years)]
    for name, years in zip(SPLITS, parts):
        if not years:
            raise ValueError(f"{name}_years must not be empty")
    for (earlier, first), (later, second) in zip(zip(SPLITS, parts), list(zip(SPLITS, parts))[1:]):
        if first[-1] >= second[0]:
            raise LeakageError(
                f"{earlier}_years must lie before {later}_years, got {first} and {second}: the network would see what "
                "it is judged on"
            )


def train(
    dataset: RoadDataset,
    model: RoadGNN | Callable[[int, int], RoadGNN],
    task: str = "classification",
    train_years: Sequence[int] = (),
    valid_years: Sequence[int] = (),
    test_years: Sequence[int] = (),
    epochs: int = 30,
    lr: float = 1e-3,
    seed: int = 0,
    negatives: str = "all",
    history: bool = True,
    *,
    weight_decay: float = 0.0,
    evaluate_every: int = 5,
    device: Any = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrainResult:
    """Train a network to tell (classification) or count (regression) the accidents of a month.

    Parameters
    ----------
    dataset : RoadDataset
    model : RoadGNN, or callable from columns of nodes and edges to one
        Trained in place; the weights of the best epoch are left in it. A callable is called under the seed.
    task : {"classification", "regression"}
    train_years, valid_years, test_years : sequences of int
        In order of time, without overlap.
    epochs : int
    lr : float
        Of Adam.
    seed : int
        Of the weights of a callable, and of the drawn negatives.
    negatives : {"all", "official"}
        From which segments without accidents negatives are drawn, and against which the network is judged.
    history : bool
        Whether the network sees past accidents.
    weight_decay : float
    evaluate_every : int
        Epochs between looks at the validation years.
    device : torch device
    progress : callable
        Called with the epochs done and all.

    Returns
    -------
    TrainResult

    Raises
    ------
    LeakageError, ValueError, TypeError

    Notes
    -----
    A step is one month: all segments with accidents and as many drawn without; cross-entropy, or the absolute error.
    """
    one_of("task", task, TASKS)
    one_of("negatives", negatives, NEGATIVES)
    epochs, seed = integer("epochs", epochs), integer("seed", seed, minimum=0)
    evaluate_every = integer("evaluate_every", evaluate_every)
    lr = number("lr", lr, low=0.0, open_low=True)
    check_years(train_years, valid_years, test_years)
    inputs = Inputs(dataset, train_years, history, device)
    model = seeded_network(model, inputs, seed)
    check_images(model, inputs)
    model.to(inputs.device)
    rows = {name: dataset.rows_of(years) for name, years in zip(SPLITS, (train_years, valid_years, test_years))}
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    best, best_epoch, best_state = -np.inf, 0, copy.deepcopy(model.state_dict())
    curve: list[dict[str, float]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            model.train()
            losses = [_step(model, inputs, optimizer, task, negatives, row, generator) for row in rows["train"]]
            curve.append({"epoch": epoch, "loss": float(np.nanmean(losses)), "valid": float("nan")})
            if epoch % evaluate_every == 0 or epoch == epochs:
                judged = judge(model, inputs, task, negatives, rows["valid"])
                value = selection(judged, task)
                curve[-1]["valid"] = value
                if value > best:
                    best, best_epoch, best_state = value, epoch, copy.deepcopy(model.state_dict())
            progress(epoch, epochs)
    model.load_state_dict(best_state)
    per_month = {name: judge(model, inputs, task, negatives, rows[name]) for name in SPLITS}
    metrics = {name: {key: monthly_mean(part, key) for key in METRICS} for name, part in per_month.items()}
    skipped = [
        (int(row["year"]), int(row["month"])) for part in per_month.values() for row in part if np.isnan(row["auroc"])
    ]
    return TrainResult(metrics, per_month, seed, best_epoch, skipped, curve)


METRICS = ("auroc", "ap", "precision_at_k", "brier", "mae_pos", "mae_all", "poisson_deviance")


def judge(
    model: RoadGNN, inputs: Inputs, task: str, negatives: str, rows: Sequence[int] | np.ndarray
) -> list[dict[str, float]]:
    """Return the metrics of months, by rows of the data set."""
    model.eval()
    found = []
    edge_index = inputs.dataset.edge_index
    for row in rows:
        with torch.no_grad():
            scores = inputs.scores(model, int(row))
            scores = torch.sigmoid(scores) if task == "classification" else scores.clamp(min=0)
        counts = inputs.counts[[int(row)]].toarray()[0]
        year, month = inputs.dataset.months[int(row)]
        values = evaluate(scores.cpu().numpy(), counts, negatives, edge_index=edge_index)
        found.append({"year": year, "month": month, **values})
    return found


def selection(rows: list[dict[str, float]], task: str) -> float:
    """Return by what the best epoch is chosen, larger being better: AUROC, or minus the error on crash edges."""
    value = monthly_mean(rows, "auroc") if task == "classification" else -monthly_mean(rows, "mae_pos")
    return value if np.isfinite(value) else -np.inf


def draw_edges(
    counts: np.ndarray, edge_index: np.ndarray, negatives: str, generator: np.random.Generator
) -> np.ndarray | None:
    """Return all edges with an accident and as many drawn without; None where there is only one kind."""
    positive = counts > 0
    candidates = ~positive
    if negatives == "official" and positive.any():
        candidates &= official_negatives(edge_index, positive)
    pool = np.flatnonzero(candidates)
    ones = np.flatnonzero(positive)
    if not len(ones) or not len(pool):
        return None
    return np.concatenate([ones, generator.choice(pool, min(len(ones), len(pool)), replace=False)])


def accident_loss(out: Tensor, counts: Tensor, task: str) -> Tensor:
    """Return the cross-entropy of "any accident", or the mean absolute error of counts."""
    target = counts.to(out.dtype)
    if task == "classification":
        return nn.functional.binary_cross_entropy_with_logits(out, (target > 0).to(out.dtype))
    return nn.functional.l1_loss(out, target)


def _step(
    model: RoadGNN,
    inputs: Inputs,
    optimizer: torch.optim.Optimizer,
    task: str,
    negatives: str,
    row: int,
    generator: np.random.Generator,
) -> float:
    counts = inputs.counts[[row]].toarray()[0]
    drawn = draw_edges(counts, inputs.dataset.edge_index, negatives, generator)
    if drawn is None:
        return float("nan")
    edges = torch.as_tensor(drawn, device=inputs.device)
    x, z = inputs.month(row, model.input_time_steps)
    out = model(x, z, inputs.ends, inputs.edge_index, inputs.z_row, inputs.images, edges)
    loss = accident_loss(out, torch.as_tensor(counts[drawn], device=inputs.device), task)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())
