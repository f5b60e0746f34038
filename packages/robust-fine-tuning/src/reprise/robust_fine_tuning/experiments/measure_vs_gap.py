"""The measure has the scale of the observed gap, where norm bounds are thousands of times larger (claims R1, R2)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn

from reprise.core import Claim, Context, Experiment, at_least
from reprise.core.figures import COLOURS, MARKERS
from reprise.robust_fine_tuning.bert import TextClassifier, load_bert
from reprise.robust_fine_tuning.constraints import DistancePenalty
from reprise.robust_fine_tuning.digits import digits_transfer, network, pretrained_digits
from reprise.robust_fine_tuning.distance import hessian_distance
from reprise.robust_fine_tuning.encoder import tokenize
from reprise.robust_fine_tuning.examples import take
from reprise.robust_fine_tuning.experiments.data_sets import BERT, CALTECH, CIFAR10, GLUE, INDOOR, RESNETS
from reprise.robust_fine_tuning.experiments.image_sets import Chosen, image_task
from reprise.robust_fine_tuning.fine_tuning import fine_tune
from reprise.robust_fine_tuning.flatness_bound import trace_bound
from reprise.robust_fine_tuning.gap import generalization_gap
from reprise.robust_fine_tuning.image_data import glue_pairs
from reprise.robust_fine_tuning.norm_bounds import Kind, pac_bayes_norm_bound
from reprise.robust_fine_tuning.quadratic_forms import Method
from reprise.robust_fine_tuning.radii_by_depth import layer_radii

METHODS = ("plain", "early stopping", "L2 penalty", "Frobenius", "MARS", "label smoothing", "mixup")
TEXTS = ("MRPC", "SST2")
NORM_BOUNDS: tuple[Kind, ...] = ("distance", "spectral", "infinity")


@dataclass(frozen=True)
class Settings:
    """Tasks, sizes and the strengths of seven ways to fine-tune."""

    tasks: tuple[str, ...] = ("digits",)
    sizes: tuple[int, ...] = (50, 100, 200, 400)  # n, at most
    methods: tuple[str, ...] = METHODS
    epochs: int = 60
    step_size: float = 3e-3
    penalty: float = 0.01  # λ of the L2 penalty
    radius: float = 1.0  # Frobenius, per layer
    row_radius: float = 1.0  # MARS: ℓ1 norm of a row
    smoothing: float = 0.1
    mixup: float = 0.2
    measured: int = 10**6  # training, and validation, examples that the maximum runs over, at most
    method: Method = "lanczos"
    chunk_size: int = 256  # examples at once
    trials: int = 3


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One fine-tuned network per cell; texts cannot be mixed."""
    for task in settings.tasks:
        for n in settings.sizes:
            for method in settings.methods:
                if method == "mixup" and task in TEXTS:
                    continue
                for trial in range(settings.trials):
                    yield {"task": task, "n": n, "method": method, "trial": trial}


def prepare(settings: Settings, context: Context) -> list[dict[str, Tensor]]:
    """One pretrained network per trial, where there are digits."""
    if "digits" not in settings.tasks:
        return []
    return [pretrained_digits(context.shared_seed("problem", trial) % 2**31) for trial in range(settings.trials)]


@dataclass(frozen=True)
class Problem:
    """A pretrained model, on the device, with its examples; a head without pretrained value, if there is one."""

    model: nn.Module
    train: tuple[Any, Tensor]
    validation: tuple[Any, Tensor]
    test: tuple[Any, Tensor]
    head: str | None = None


def problem(settings: Settings, cell: Mapping[str, Any], context: Context) -> Problem:
    """The task of a cell: digits, an image set with a ResNet-50, or a GLUE task with BERT."""
    name, n, seed = cell["task"], cell["n"], context.shared_seed("problem", cell["trial"]) % 2**31
    if name == "digits":
        task = digits_transfer(n, seed, state=context.prepared[cell["trial"]])
        model = network()
        model.load_state_dict(task.state)
        return Problem(model.to(context.device), task.train, task.validation, task.test)
    if name in TEXTS:
        return _text_problem(name, n, seed, context)
    images = image_task(name, 50, seed, context)
    inputs, labels = images.train
    few = torch.arange(min(n, len(labels)))
    return Problem(images.model, (Chosen(inputs, few), labels[few]), images.validation, images.test, "fc")


def _text_problem(name: str, n: int, seed: int, context: Context) -> Problem:
    (texts, labels), (other, its) = glue_pairs(context.data(GLUE), name)
    folder = context.data(BERT)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    cut = len(order) - max(1, len(order) // 10)
    generator = torch.Generator().manual_seed(seed)
    model = TextClassifier(load_bert(folder), int(labels.max()) + 1, generator).to(context.device)

    def part(texts: list[str], labels: Tensor, index: Tensor) -> tuple[Any, Tensor]:
        return tokenize([texts[i] for i in index.tolist()], max_length=128, folder=folder), labels[index]

    train, aside = (part(texts, labels, index) for index in (order[:cut][:n], order[cut:]))
    return Problem(model, train, aside, part(other, its, torch.arange(len(its))), "head")


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Gap, measures and bounds of one network."""
    seed = context.shared_seed("problem", cell["trial"]) % 2**31
    task = problem(settings, cell, context)
    model, head, n = task.model, task.head, len(task.train[1])
    start = copy.deepcopy(model.state_dict())
    options: dict[str, Any] = {}
    if cell["method"] == "early stopping":
        options = {"validation": task.validation, "patience": 5}
    elif cell["method"] == "L2 penalty":
        options = {"penalty": DistancePenalty(model, start, settings.penalty, head=head)}
    elif cell["method"] == "Frobenius":
        options = {"constraints": layer_radii(model, start, settings.radius, head=head)}
    elif cell["method"] == "MARS":
        options = {"constraints": layer_radii(model, start, settings.row_radius, head=head, norm="infinity")}
    elif cell["method"] == "label smoothing":
        options = {"loss": partial(nn.functional.cross_entropy, label_smoothing=settings.smoothing)}
    elif cell["method"] == "mixup":
        options = {"mixup": settings.mixup}
    fine_tune(
        model,
        task.train,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=settings.step_size, weight_decay=0.0),
        decay_every=None,
        epochs=settings.epochs,
        seed=seed,
        **options,
    )
    model.eval()
    observed = generalization_gap(model, task.train, task.test)
    # the maximum runs over examples that were trained on and examples that were not
    held = [batch for part in (task.train, task.validation) for batch in _first(part, settings, context)]
    options = {"head": head, "n": n, "chunk_size": settings.chunk_size}
    found = hessian_distance(model, start, held, method=settings.method, steps=10, **options)
    gauss_newton = hessian_distance(model, start, held, method="ggn", **options)
    batched = hessian_distance(model, start, held, method="ggn", reduction="batch", **options)
    flat = trace_bound(model, start, held, probes=20, **options)
    norm = max(float(_vectors(inputs).norm(dim=1).max()) for inputs, _ in held)
    bounds = {
        f"{kind}_bound": pac_bayes_norm_bound(
            model, start, n, kind=kind, loss_bound=found.loss_bound, input_norm=norm, head=head
        )
        for kind in NORM_BOUNDS
    }
    return [
        {
            "gap": observed.gap,
            "train_loss": observed.train_loss,
            "test_loss": observed.test_loss,
            "test_accuracy": observed.test_accuracy,
            "loss_bound": found.loss_bound,
            "measure": found.measure,
            "measure_p95": found.measure_of("p95"),
            "measure_mean": found.measure_of("mean"),
            "measure_ggn": gauss_newton.measure,
            "measure_batch": batched.measure,
            "lanczos_error": float(found.errors.max()),
            "trace_bound": flat.value,
            "largest_trace": flat.trace,
            "distance": flat.radius,
            **bounds,
        }
    ]


def _first(part: tuple[Any, Tensor], settings: Settings, context: Context) -> list[tuple[Any, Tensor]]:
    """The first examples of a part, in batches on the device."""
    inputs, labels = part
    index = torch.arange(min(len(labels), settings.measured))
    return [
        (take(inputs, some, context.device), labels[some].to(context.device))
        for some in torch.split(index, settings.chunk_size)
    ]


def _vectors(inputs: Any) -> Tensor:
    """Inputs as rows; of texts their mask, which has the norm √length that embeddings of unit size would have."""
    rows: Tensor = (inputs[1] if isinstance(inputs, tuple) else inputs).float().flatten(1)
    return rows


def smallest_ratio(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: the least quotient, over networks and norm bounds, of a norm bound and a column."""

    def quotient(table: pd.DataFrame) -> pd.Series:
        columns = [f"{kind}_bound" for kind in NORM_BOUNDS]
        return (table[columns].min(axis=1) / table[column]).groupby(table["trial"]).min()

    return quotient


def share_near_gap(column: str, low: float, high: float) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: the share of networks with a gap above 0.02 whose measure lies within [low, high] times the gap."""

    def share(table: pd.DataFrame) -> pd.Series:
        large = table[table["gap"] > 0.02]
        ratio = large[column] / large["gap"]
        return ratio.between(low, high).groupby(large["trial"]).mean()

    return share


def rank_over_methods(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Per trial: Spearman's correlation of a measure and the gap over the methods, averaged over n."""

    def correlation(table: pd.DataFrame) -> pd.Series:
        found = {
            keys: rows[column].corr(rows["gap"], method="spearman")
            for keys, rows in table.groupby(["trial", "task", "n"])
        }
        return pd.Series(found).groupby(level=0).mean()

    return correlation


def plot(table: pd.DataFrame) -> Figure:
    """Measure and norm bounds against the gap, one point per network."""
    figure, (left, right) = plt.subplots(1, 2)
    seen = table[table["gap"] > 1e-3]
    line = np.array([seen["gap"].min(), seen["gap"].max()])
    for i, method in enumerate(table["method"].unique()):
        rows = seen[seen["method"] == method]
        left.scatter(rows["gap"], rows["measure"], s=14, color=COLOURS[i], marker=MARKERS[i], alpha=0.7, label=method)
    left.plot(line, line, color="#555555", linewidth=0.9, label="measure = gap")
    left.plot(line, 30 * line, color="#555555", linewidth=0.9, linestyle=":", label="30 × gap")
    left.set(xscale="log", yscale="log", xlabel="observed gap (nats)", ylabel="Hessian distance measure (nats)")
    left.legend(fontsize=6, ncol=2, handlelength=1.2, columnspacing=0.8)
    names = {
        "measure": "Hessian measure",
        "trace_bound": "trace bound of NSO",
        "distance_bound": "distance bound",
        "spectral_bound": "spectral bound",
        "infinity_bound": "infinity-norm bound",
    }
    for i, (column, label) in enumerate(names.items()):
        right.scatter(seen["gap"], seen[column], s=10, color=COLOURS[i], marker=MARKERS[i], alpha=0.6, label=label)
    right.plot(line, line, color="#555555", linewidth=0.9, label="bound = gap")
    right.set(xscale="log", yscale="log", xlabel="observed gap (nats)", ylabel="bound (nats)")
    right.set_ylim(top=float(seen["distance_bound"].max()) * 3e3)
    right.legend(fontsize=6, ncol=2, handlelength=1.2, columnspacing=0.8)
    return figure


EXPERIMENT = Experiment(
    name="measure-vs-gap",
    title="The measure has the scale of the gap, norm bounds do not",
    scales={
        "smoke": Settings(sizes=(50,), methods=("plain", "Frobenius", "MARS", "mixup"), epochs=10, trials=2),
        "laptop": Settings(),
        "paper": Settings(
            tasks=("indoor", "caltech", "cifar10", *TEXTS),
            sizes=(100_000,),
            epochs=30,
            step_size=1e-4,
            measured=256,
            method="ggn",
            chunk_size=8,
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    data={"paper": (INDOOR, CALTECH, CIFAR10, RESNETS, GLUE, BERT)},
    claims=[
        Claim(
            "R1",
            "norm-based bounds are at least 1,000 times the measure, for every network and each of three bounds",
            "ICML 2022, Figure 1 and the comparison of bounds",
            None,
            "direction",
            at_least(smallest_ratio("measure"), 1e3),
        ),
        Claim(
            "R1b",
            "the measure lies within [gap, 30 gap] for at least 80 % of the networks with a gap above 0.02",
            "ICML 2022, Figure 1",
            None,
            "direction",
            at_least(share_near_gap("measure", 1.0, 30.0), 0.8),
        ),
        Claim(
            "R1c",
            "so does the measure of batches of four, as the authors compute it, within [gap/10, 10 gap]",
            "ICML 2022, code",
            None,
            "direction",
            at_least(share_near_gap("measure_batch", 0.1, 10.0), 0.8),
        ),
        Claim(
            "R1d",
            "the trace bound of noise stability optimization too is at most a hundredth of every norm bound",
            "TMLR 2024, PAC-Bayes bound (recalled)",
            None,
            "direction",
            at_least(smallest_ratio("trace_bound"), 1e2),
        ),
        Claim(
            "R2",
            "the measure ranks seven ways to fine-tune as their gaps do (mean rank correlation over n, above 0)",
            "ICML 2022, figure on fine-tuning methods",
            None,
            "direction",
            at_least(rank_over_methods("measure"), 0.0),
        ),
    ],
)
