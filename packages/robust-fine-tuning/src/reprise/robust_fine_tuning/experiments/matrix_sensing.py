"""Noise in the weights leads matrix sensing to small nuclear norm (claim N7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, at_most, beats, values
from reprise.core.figures import COLOURS, DASHES
from reprise.hvp.optim import NSO

METHODS = ("GD, large start", "GD, small start", "NSO, large start")


@dataclass(frozen=True)
class Settings:
    """d, r, the truth's rank, n; the starts; the noise of NSO, switched off for the last steps."""

    dimension: int = 40
    columns: int = 40
    rank: int = 3
    measurements: int = 400
    large: float = 0.5  # ‖W_0‖₂ of the large start
    small: float = 1e-3
    sigma: float = 0.05
    step_size: float = 0.05
    steps: int = 2000
    quiet: float = 0.2  # share of the steps at the end that NSO makes without noise, to come to zero loss
    record_every: int = 100
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One method and problem per cell."""
    for method in METHODS:
        for trial in range(settings.trials):
            yield {"method": method, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Nuclear norm ‖WWᵀ‖_* = ‖W‖_F², error and loss along one run."""
    generator = torch.Generator().manual_seed(context.shared_seed("problem", cell["trial"]))
    d, n = settings.dimension, settings.measurements
    truth, _ = torch.linalg.qr(torch.randn(d, settings.rank, generator=generator, dtype=torch.float64))
    target = truth @ truth.mT
    matrices = torch.randn(n, d, d, generator=generator, dtype=torch.float64)
    start, _ = torch.linalg.qr(torch.randn(d, settings.columns, generator=generator, dtype=torch.float64))
    size = settings.small if cell["method"] == "GD, small start" else settings.large
    flat = matrices.flatten(1).to(context.device)
    target = target.to(context.device)
    measured = flat @ target.flatten()
    factor = (size * start).to(context.device).requires_grad_()
    noisy = cell["method"].startswith("NSO")
    noise = torch.Generator().manual_seed(context.shared_seed("noise", cell["trial"]))
    optimizer = NSO(
        [factor], torch.optim.SGD, sigma=settings.sigma if noisy else 0.0, generator=noise, lr=settings.step_size
    )

    def loss() -> torch.Tensor:
        value: torch.Tensor = (flat @ (factor @ factor.mT).flatten() - measured).square().sum() / (2 * n)
        return value

    rows = []
    for step in range(settings.steps + 1):
        if step % settings.record_every == 0:
            with torch.no_grad():
                product = factor @ factor.mT
                rows.append(
                    {
                        "step": step,
                        "nuclear_norm": float(factor.square().sum()),
                        "error": float((product - target).norm() / target.norm()),
                        "loss": float(loss()),
                        "predicted_trace": (2 * d + 2) * float(factor.square().sum()),
                        "trace": sensing_trace(matrices.to(context.device), factor),
                        "last": step == settings.steps,
                    }
                )
        if step >= (1 - settings.quiet) * settings.steps:
            optimizer.param_groups[0]["sigma"] = 0.0
        optimizer.step(loss)
    return rows


@torch.no_grad()
def sensing_trace(matrices: torch.Tensor, factor: torch.Tensor) -> float:
    """Trace of the Hessian at zero loss: ``(1/n) Σ_i ‖(A_i + A_iᵀ) W‖_F²``, for Gaussian A_i about (2d + 2)‖WWᵀ‖_*."""
    return float(((matrices + matrices.mT) @ factor).square().sum() / len(matrices))


def trace_gap(table: pd.DataFrame) -> pd.Series:
    """Per trial: the largest relative gap of trace and (2d + 2)‖WWᵀ‖_* at the end."""
    last = table[table["last"]]
    return (last["trace"] / last["predicted_trace"] - 1).abs().groupby(last["trial"]).max()


def at_end(column: str, method: str) -> Any:
    """One value per trial: the last one of a method."""
    return values(column, {"method": method, "last": True})


def plot(table: pd.DataFrame) -> Figure:
    """Nuclear norm and error against the step."""
    figure, axes = plt.subplots(1, 2)
    rank = table["nuclear_norm"].min()
    for i, method in enumerate(METHODS):
        part = table[table["method"] == method].groupby("step")
        for ax, column in zip(axes, ("nuclear_norm", "error")):
            curves = part[column]
            ax.plot(curves.median().index, curves.median(), color=COLOURS[i], linestyle=DASHES[i], label=method)
            ax.fill_between(curves.min().index, curves.min(), curves.max(), color=COLOURS[i], alpha=0.15, linewidth=0)
    axes[0].axhline(3, color="#777777", linewidth=0.9, linestyle=":", label="the truth")
    axes[0].set(xlabel="step", ylabel="nuclear norm of W Wᵀ", yscale="log", ylim=(max(0.5, min(1.0, rank)), None))
    axes[1].set(xlabel="step", ylabel="error (relative)", yscale="log")
    axes[0].set_yticks([1, 3, 10], ["1", "3", "10"])
    axes[0].legend()
    return figure


EXPERIMENT = Experiment(
    name="matrix-sensing",
    title="Noise stability leads matrix sensing to a small nuclear norm",
    scales={
        "smoke": Settings(
            dimension=10, columns=10, rank=1, measurements=40, steps=100, record_every=50, trials=2, step_size=0.02
        ),
        "laptop": Settings(),
        "gpu": Settings(dimension=100, columns=100, measurements=1500, steps=5000),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "N7",
            "from the same large start, NSO ends with a smaller nuclear norm than gradient descent",
            "TMLR 2024, section on matrix sensing",
            None,
            "direction",
            beats(at_end("nuclear_norm", METHODS[2]), at_end("nuclear_norm", METHODS[0])),
        ),
        Claim(
            "N7b",
            "and nearer to the truth",
            "TMLR 2024, section on matrix sensing",
            None,
            "direction",
            beats(at_end("error", METHODS[2]), at_end("error", METHODS[0])),
        ),
        Claim(
            "N7c",
            "the trace (1/n) Σ‖(A+Aᵀ)W‖² is (2d + 2)‖WWᵀ‖_* (relative gap, n = 10d)",
            "TMLR 2024, section on matrix sensing",
            "exact in expectation",
            "number",
            at_most(trace_gap, 0.05),
        ),
    ],
)
