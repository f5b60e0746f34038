"""Few-shot classification with constrained layers: miniImageNet at scale paper, digits at laptop scale (claim G4)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn

from reprise.core import Claim, Context, Experiment, RowsMissing, at_least, values, within
from reprise.core.figures import COLOURS, MARKERS
from reprise.robust_fine_tuning.digits import digits_transfer, network, pretrained_digits
from reprise.robust_fine_tuning.examples import take
from reprise.robust_fine_tuning.experiments.data_sets import MINI_IMAGENET
from reprise.robust_fine_tuning.few_shot_data import Episode, episode, mini_imagenet
from reprise.robust_fine_tuning.fine_tuning import fine_tune
from reprise.robust_fine_tuning.gap import generalization_gap
from reprise.robust_fine_tuning.radii_by_depth import layer_radii
from reprise.robust_fine_tuning.resnet12 import resnet12

METHODS = ("plain", "one radius", "growing radii")
Radii = tuple[float, float]  # D, γ
Part = tuple[Any, Tensor]


@dataclass(frozen=True)
class Settings:
    """The task, how many episodes it has, and how each is learnt."""

    task: str = "digits"
    shots: tuple[int, ...] = (1, 5)
    ways: int = 5
    queries: int = 15  # of each class
    episodes: int = 20  # of each trial
    choosing: int = 20  # episodes of validation examples, on which radii are chosen
    epochs: int = 40
    step_size: float = 1e-2
    batch_size: int = 25
    # as many with growth as without, and both up to where no layer is held back
    radii: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    growing: tuple[Radii, ...] = ((0.5, 1.5), (2.0, 1.5), (8.0, 1.5), (0.5, 2.5), (2.0, 2.5), (8.0, 2.5))
    head_radius: float = 10.0
    pretraining: int = 30  # epochs on the base classes
    trials: int = 5


@dataclass(frozen=True)
class Prepared:
    """The pretrained network, the novel examples, and the radii chosen for each method and number of shots."""

    state: dict[str, Tensor]
    novel: Part
    radii: dict[tuple[str, int], Radii | None]


def prepare(settings: Settings, context: Context) -> Prepared:
    """Pretrain on the base classes, and choose radii on episodes of validation examples."""
    seed = context.shared_seed("pretraining") % 2**31
    validation: Part
    novel: Part
    if settings.task == "digits":
        state = pretrained_digits(seed, epochs=settings.pretraining)
        split = digits_transfer(500, seed, state=state)  # the same five novel digits, other images
        validation, novel = split.train, split.test
    else:
        folder = context.data(MINI_IMAGENET)
        state = _pretrain(settings, mini_imagenet(folder, "base"), seed, context)
        validation, novel = mini_imagenet(folder, "validation"), mini_imagenet(folder, "novel")
    chosen: dict[tuple[str, int], Radii | None] = {}
    for shots in settings.shots:
        for method in METHODS:
            tried: dict[Radii | None, float] = {}
            for radii in candidates(settings, method):
                seeds = [context.shared_seed("choosing", shots, i) % 2**31 for i in range(settings.choosing)]
                found = [_accuracy(settings, state, validation, shots, radii, one, context) for one in seeds]
                tried[radii] = sum(found) / len(found)
            chosen[method, shots] = max(tried, key=lambda radii: tried[radii])
    return Prepared(state, novel, chosen)


def candidates(settings: Settings, method: str) -> list[Radii | None]:
    """The radii that a method may take."""
    if method == "plain":
        return [None]
    return [*settings.growing] if method == "growing radii" else [(D, 1.0) for D in settings.radii]


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """A set of episodes per cell, the same for all methods."""
    for shots in settings.shots:
        for method in METHODS:
            for trial in range(settings.trials):
                yield {"shots": shots, "method": method, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Mean accuracy on the queries of all episodes."""
    prepared: Prepared = context.prepared
    shots, radii = cell["shots"], prepared.radii[cell["method"], cell["shots"]]
    found = []
    for i in range(settings.episodes):
        seed = context.shared_seed("episode", shots, cell["trial"], i) % 2**31
        found.append(_accuracy(settings, prepared.state, prepared.novel, shots, radii, seed, context))
        context.progress(i + 1, settings.episodes)
    return [
        {
            "task": settings.task,
            "accuracy": sum(found) / len(found),
            "radius": radii[0] if radii else float("nan"),
            "growth": radii[1] if radii else float("nan"),
        }
    ]


def _accuracy(
    settings: Settings,
    state: dict[str, Tensor],
    part: Part,
    shots: int,
    radii: Radii | None,
    seed: int,
    context: Context,
) -> float:
    """Accuracy on one episode's queries after fine-tuning on its support."""
    inputs, labels = part
    generator = torch.Generator().manual_seed(seed)
    task: Episode = episode(labels, ways=settings.ways, shots=shots, queries=settings.queries, generator=generator)
    model = _network(settings, settings.ways, seed)
    head = [name for name in model.state_dict() if name.startswith(_head(settings))]
    kept = {name: value for name, value in state.items() if name not in head}
    model.load_state_dict(kept, strict=False)
    model.to(context.device)
    constraints = None
    if radii is not None:
        start = copy.deepcopy(model.state_dict())
        options: dict[str, Any] = {"head": _head(settings), "head_radius": settings.head_radius}
        constraints = layer_radii(model, start, *radii, **options)
    fine_tune(
        model,
        (take(inputs, task.support), task.support_labels),
        constraints=constraints,
        optimizer=partial(torch.optim.Adam, lr=settings.step_size, amsgrad=True),
        decay_every=None,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
    )
    query = (take(inputs, task.query), task.query_labels)
    return generalization_gap(model, query, query).test_accuracy


def _network(settings: Settings, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network() if settings.task == "digits" else resnet12(classes)


def _head(settings: Settings) -> str:
    return "4" if settings.task == "digits" else "head"


def _pretrain(settings: Settings, base: Part, seed: int, context: Context) -> dict[str, Tensor]:
    """The ResNet-12 after training on the base classes, as is usual for few-shot learning."""
    model = _network(settings, int(base[1].max()) + 1, seed).to(context.device)
    fine_tune(
        model,
        base,
        optimizer=partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True),
        decay_every=settings.pretraining // 3,
        epochs=settings.pretraining,
        batch_size=64,
        seed=seed,
    )
    return {name: value.cpu() for name, value in model.state_dict().items()}


def gain(winner: str, loser: str, task: str) -> Callable[[pd.DataFrame], pd.Series]:
    """One value per trial: points of accuracy gained, averaged over the numbers of shots."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        if task not in set(table["task"]):
            raise RowsMissing(f"the table lacks {task}")
        return 100 * (values("accuracy", {"method": winner})(table) - values("accuracy", {"method": loser})(table))

    return quantity


def plot(table: pd.DataFrame) -> Figure:
    """Accuracy of every method, per number of shots."""
    shots = list(dict.fromkeys(table["shots"]))
    figure, axes = plt.subplots(1, len(shots), figsize=(6.0, 2.6), squeeze=False)
    for ax, count in zip(axes[0], shots):
        for i, method in enumerate(METHODS):
            found = 100 * table[(table["shots"] == count) & (table["method"] == method)]["accuracy"]
            ax.plot([i] * len(found), found, color=COLOURS[i], marker=MARKERS[i], linestyle="none", alpha=0.6)
            ax.plot([i - 0.25, i + 0.25], [found.mean()] * 2, color="black", linestyle="-", linewidth=1.2)
        ax.set_xticks(range(len(METHODS)), ["free", "one radius", "growing"])
        ax.set(title=f"{count} {'example' if count == 1 else 'examples'} of each class", xlim=(-0.5, 2.5))
    axes[0, 0].set_ylabel("accuracy on queries (%)")
    return figure


EXPERIMENT = Experiment(
    name="few-shot",
    title="Constrained layers learn from a few examples",
    scales={
        "smoke": Settings(
            shots=(1,), episodes=2, choosing=1, epochs=3, radii=(1.0,), growing=((1.0, 1.5),), pretraining=2, trials=2
        ),
        "laptop": Settings(),
        "paper": Settings(
            task="mini-imagenet",
            episodes=60,  # 600 in all
            choosing=60,
            step_size=1e-3,
            growing=((0.5, 1.1), (2.0, 1.1), (8.0, 1.1), (0.5, 1.3), (2.0, 1.3), (8.0, 1.3)),  # of 17 layers
            pretraining=90,
            trials=10,
        ),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    data={"paper": (MINI_IMAGENET,)},
    claims=[
        Claim(
            "G4",
            "radii that grow with depth gain 0.75 points over free fine-tuning on 600 tasks of miniImageNet (mean of 1 "
            "and 5 shots)",
            "NeurIPS 2021, abstract",
            0.75,
            "number",
            within(gain("growing radii", "plain", "mini-imagenet"), 0.75, 0.4),
        ),
        Claim(
            "G4b",
            "on few-shot tasks of digits they gain at least 0.1 points over free fine-tuning",
            "NeurIPS 2021, abstract",
            0.75,
            "direction",
            at_least(gain("growing radii", "plain", "digits"), 0.1),
        ),
        Claim(
            "G4c",
            "and over one radius for all layers",
            "NeurIPS 2021, abstract",
            None,
            "direction",
            at_least(gain("growing radii", "one radius", "digits"), 0.1),
        ),
    ],
)
