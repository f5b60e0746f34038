"""Fine-tuned distances grow with depth, and pretraining makes the loss stable under noise (claims G5, G6)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, beats, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.robust_fine_tuning.experiments import trec
from reprise.robust_fine_tuning.experiments.data_sets import TEXT
from reprise.robust_fine_tuning.fine_tuning import fine_tune
from reprise.robust_fine_tuning.gap import perturbed_loss
from reprise.robust_fine_tuning.layers import layer_distances

SIGMAS = (1e-2, 1e-3, 1e-4)
INITIAL = ("pretrained", "random")


@dataclass(frozen=True)
class Settings:
    """An unconstrained run of the whole encoder, and the noise that it is tested with."""

    train: int = 200
    test: int = 20  # only to complete the split
    epochs: int = 2
    step_size: float = 1e-4
    sigmas: tuple[float, ...] = SIGMAS
    samples: int = 3
    measured: int = 40  # training questions of the perturbed loss
    trials: int = 3


def prepare(settings: Settings, context: Context) -> trec.Questions:
    """Embeddings of the questions: no layer is frozen."""
    questions, _ = trec.prepare(context, pool=2 * settings.train, validation=1, test=settings.test, depth=0)
    return questions


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One run of one initialisation per cell."""
    for initial in INITIAL:
        for trial in range(settings.trials):
            yield {"initial": initial, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Distance over pretrained norm per layer, mean over its matrices; the loss at every noise level."""
    questions: trec.Questions = context.prepared
    seed = context.shared_seed("task", cell["trial"]) % 2**31
    (inputs, labels), _ = questions.split(seed, settings.train)
    model = questions.top(torch.Generator().manual_seed(seed))
    if cell["initial"] == "random":
        _randomise(model, seed)
    model.to(context.device)
    start = copy.deepcopy(model.state_dict())
    history = fine_tune(
        model,
        (inputs, labels),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=settings.step_size, weight_decay=0.0),
        decay_every=None,
        epochs=settings.epochs,
        seed=seed,
    )
    rows: list[dict[str, Any]] = []
    distances = layer_distances(model, start, layers=lambda name, p: p.ndim == 2 and name.startswith("layers."))
    for depth in range(len(model.layers)):
        names = [name for name in distances if name.startswith(f"layers.{depth}.")]
        moved = sum(distances[name] ** 2 for name in names) ** 0.5
        size = sum(float(start[name].square().sum()) for name in names) ** 0.5
        rows.append({"kind": "distance", "layer": depth + 1, "distance": moved, "ratio": moved / size})
    data = trec.sample(inputs, labels, settings.measured, context.device)
    square = sum(float(p.detach().square().sum()) for p in model.parameters()) / sum(
        p.numel() for p in model.parameters()
    )
    for sigma in settings.sigmas:
        mean, std = perturbed_loss(model, data, sigma, samples=settings.samples, generator=seed)
        rows.append(
            {
                "kind": "noise",
                "sigma": sigma,
                "sigma_over_rms": sigma / square**0.5,
                "loss": mean,
                "loss_std": std,
                "train_loss": history.column("train_loss")[-1],
            }
        )
    return rows


def _randomise(model: nn.Module, seed: int) -> None:
    """Give every encoder layer the start of an untrained one: torch's own, drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in model.layers:  # type: ignore[union-attr]
            for part in layer.modules():
                if isinstance(part, nn.MultiheadAttention):
                    part._reset_parameters()
                elif isinstance(part, (nn.Linear, nn.LayerNorm)):
                    part.reset_parameters()


def depth_trend(table: pd.DataFrame) -> pd.Series:
    """Per trial: Spearman's correlation of depth and relative distance, pretrained."""
    chosen = table[(table["kind"] == "distance") & (table["initial"] == "pretrained")]
    return pd.Series(
        {trial: rows["layer"].corr(rows["ratio"], method="spearman") for trial, rows in chosen.groupby("trial")}
    )


def largest_ratio(table: pd.DataFrame) -> pd.Series:
    """Per trial: the largest relative distance of a layer, pretrained."""
    chosen = table[(table["kind"] == "distance") & (table["initial"] == "pretrained")]
    return chosen.groupby("trial")["ratio"].max()


def noisy_loss(initial: str, sigma: float) -> Any:
    """One value per trial: the perturbed loss."""
    return values("loss", {"initial": initial, "sigma": sigma})


def plot(table: pd.DataFrame) -> Figure:
    """Relative distance per layer, and perturbed loss against the noise."""
    figure, (left, right) = plt.subplots(1, 2)
    chosen = table[(table["kind"] == "distance") & (table["initial"] == "pretrained")]
    grouped = chosen.groupby("layer")["ratio"]
    error = np.stack([grouped.mean() - grouped.min(), grouped.max() - grouped.mean()])
    left.bar(grouped.mean().index, grouped.mean(), yerr=error, color=COLOURS[0], capsize=3)
    left.set(xlabel="encoder layer", ylabel="distance / pretrained norm")
    noise = table[table["kind"] == "noise"]
    for i, initial in enumerate(INITIAL):
        part = noise[noise["initial"] == initial].groupby("sigma")["loss"]
        right.errorbar(
            part.mean().index,
            part.mean(),
            yerr=np.stack([part.mean() - part.min(), part.max() - part.mean()]),
            color=COLOURS[i],
            marker=MARKERS[i],
            capsize=3,
            label=initial,
        )
    paper = {"pretrained": (0.33, 0.36, 1.11), "random": (0.44, 0.49, 2.51)}
    for i, initial in enumerate(INITIAL):
        right.plot(
            sorted(SIGMAS), paper[initial], color=COLOURS[i], marker=MARKERS[i], fillstyle="none", linestyle=":",
            label=f"{initial}, poster (Indoor, ResNet)",
        )  # fmt: skip
    right.set(xscale="log", xlabel="noise per weight σ", ylabel="loss under noise (nats)", ylim=(0, None))
    right.legend()
    return figure


EXPERIMENT = Experiment(
    name="layer-distances",
    title="Upper layers move further; pretraining makes the loss stable under noise",
    scales={
        "smoke": Settings(train=8, epochs=1, samples=1, measured=4, test=4, trials=1),
        "laptop": Settings(),
        "gpu": Settings(train=2700, epochs=10, samples=20, measured=500, trials=5),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    data=dict.fromkeys(("smoke", "laptop", "gpu"), (TEXT,)),
    claims=[
        Claim(
            "G5",
            "the relative distance of a layer grows with depth (rank correlation above 0.5)",
            "NeurIPS 2021, poster figure",
            None,
            "direction",
            at_least(depth_trend, 0.5),
        ),
        Claim(
            "G5b",
            "and stays below 0.6 of the pretrained norm",
            "NeurIPS 2021, poster figure",
            0.6,
            "direction",
            at_most(largest_ratio, 0.6),
        ),
        Claim(
            "G6",
            "the loss under noise in the weights is smaller after pretraining than from a random start, at "
            "σ = 0.01, 0.001 and 0.0001 (shown: how many times, at 0.01)",
            "NeurIPS 2021, poster table (Indoor: 2.51 to 1.11 at σ = 0.01)",
            2.26,
            "direction",
            all_of(*(beats(noisy_loss("pretrained", sigma), noisy_loss("random", sigma)) for sigma in SIGMAS)),
        ),
    ],
)
