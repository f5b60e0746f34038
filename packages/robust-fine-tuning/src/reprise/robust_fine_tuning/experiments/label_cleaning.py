"""Which examples set the measure: a search for flipped labels (beyond the papers, claims B2)."""

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
from sklearn.metrics import roc_auc_score
from torch import nn

from reprise.core import Claim, Context, Experiment, at_least, values
from reprise.core.figures import COLOURS, MARKERS
from reprise.robust_fine_tuning.confusion import replace_labels
from reprise.robust_fine_tuning.distance import hessian_distance
from reprise.robust_fine_tuning.encoder import pool
from reprise.robust_fine_tuning.experiments import trec
from reprise.robust_fine_tuning.experiments.data_sets import TEXT
from reprise.robust_fine_tuning.fine_tuning import fine_tune


@dataclass(frozen=True)
class Settings:
    """A small network on frozen sentence vectors of TREC, with a share of its labels replaced."""

    train: int = 400
    replaced: tuple[float, ...] = (0.1, 0.2, 0.4)
    width: int = 32
    epochs: int = 15
    step_size: float = 1e-3
    steps: int = 10  # of Lanczos
    trials: int = 3


def prepare(settings: Settings, context: Context) -> trec.Questions:
    """Sentence vectors' hidden states: all six layers are frozen."""
    questions, _ = trec.prepare(context, pool=2 * settings.train, validation=1, test=20, depth=6)
    return questions


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One training set per cell."""
    for replaced in settings.replaced:
        for trial in range(settings.trials):
            yield {"replaced": replaced, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Area under the ROC curve for finding wrong labels, of four scores."""
    questions: trec.Questions = context.prepared
    seed = context.shared_seed("task", cell["trial"]) % 2**31
    (states, clean), _ = questions.split(seed, settings.train)
    x = pool(states.hidden, states.mask).to(context.device)
    noisy = replace_labels(clean, cell["replaced"], 6, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = settings.width
        model = nn.Sequential(nn.Linear(384, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 6))
    model.to(context.device)
    start = copy.deepcopy(model.state_dict())
    fine_tune(
        model,
        (x, noisy),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=settings.step_size),
        decay_every=None,
        epochs=settings.epochs,
        seed=seed,
    )
    model.eval()
    wrong = (noisy != clean).numpy()
    options: dict[str, Any] = {"head": "4", "n": settings.train}
    found = hessian_distance(model, start, (x, noisy), method="lanczos", steps=settings.steps, **options)
    surrogate = hessian_distance(model, start, (x, noisy), method="ggn", **options)
    with torch.no_grad():
        p = model(x).softmax(1).cpu()
        entropy = torch.special.entr(p).sum(1)
    worst = found.culprits(int(wrong.sum()))
    scores = {
        "contribution": found.contributions,
        "gauss_newton": surrogate.contributions,
        "loss": found.losses,
        "entropy": entropy,
    }
    return [
        {
            **{f"auroc_{name}": float(roc_auc_score(wrong, score.numpy())) for name, score in scores.items()},
            "precision": float(wrong[worst].mean()),
            "wrong": float(wrong.mean()),
        }
    ]


def plot(table: pd.DataFrame) -> Figure:
    """Area under the curve against the share of replaced labels, per score."""
    figure, ax = plt.subplots(figsize=(5.0, 3.0))
    names = {
        "contribution": "share in the Hessian measure",
        "gauss_newton": "the same, Gauss–Newton (sees no label)",
        "loss": "loss",
        "entropy": "entropy (sees no label)",
    }
    for i, (name, label) in enumerate(names.items()):
        part = table.groupby("replaced")[f"auroc_{name}"]
        error = np.stack([part.mean() - part.min(), part.max() - part.mean()])
        ax.errorbar(
            part.mean().index, part.mean(), yerr=error, color=COLOURS[i], marker=MARKERS[i], capsize=3, label=label
        )
    ax.axhline(0.5, color="#777777", linewidth=0.9, linestyle=":")
    ax.annotate("chance", (0.1, 0.505), fontsize=7, color="#555555")
    ax.set(xlabel="share of labels replaced", ylabel="AUROC for wrong labels", ylim=(0.3, 1.0))
    ax.legend(loc="lower right")
    return figure


EXPERIMENT = Experiment(
    name="label-cleaning",
    title="Examples that raise the measure are often mislabelled",
    scales={
        "smoke": Settings(train=40, replaced=(0.4,), width=8, epochs=3, steps=4, trials=2),
        "laptop": Settings(),
        "gpu": Settings(train=2700, width=128, steps=20, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    data=dict.fromkeys(("smoke", "laptop", "gpu"), (TEXT,)),
    claims=[
        Claim(
            "B2",
            "an example's share in the Hessian measure finds replaced labels: AUROC at least 0.7 with 20 % replaced",
            "beyond the papers",
            None,
            "direction",
            at_least(values("auroc_contribution", {"replaced": 0.2}), 0.7),
        ),
        Claim(
            "B2b",
            "and finds them better than its loss does (difference of AUROC, 20 % replaced)",
            "beyond the papers",
            None,
            "direction",
            at_least(
                lambda table: (
                    values("auroc_contribution", {"replaced": 0.2})(table)
                    - values("auroc_loss", {"replaced": 0.2})(table)
                ),
                0.0,
            ),
        ),
    ],
)
