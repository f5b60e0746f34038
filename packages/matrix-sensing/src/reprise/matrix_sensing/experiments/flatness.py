"""Among matrices that fit, the flattest has the least nuclear norm and the least error (claims S9, S10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

from reprise.core import Claim, Context, Experiment, at_least, at_most, rank_correlation
from reprise.core.figures import COLOURS, MARKERS
from reprise.matrix_sensing.curvature import hessian_trace
from reprise.matrix_sensing.descent import gradient_descent_batch
from reprise.matrix_sensing.diagnostics import recovery_error
from reprise.matrix_sensing.problem import SensingProblem


@dataclass(frozen=True)
class Settings:
    """Sizes, starts of gradient descent, and sizes of the moves along the set of zero loss."""

    dimension: int = 40  # d
    rank: int = 2  # r
    measurements: int = 400  # m = 10d = 5dr
    scales: tuple[float, ...] = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3)  # α
    moves: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0)  # ‖random move‖_F, relative to ‖U‖_F
    steps: int = 2000
    trials: int = 5


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One problem per cell."""
    for trial in range(settings.trials):
        yield {"trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Trace, nuclear norm and error of interpolants: ends of gradient descent, and random moves away from the best."""
    problem = SensingProblem.gaussian(
        settings.dimension,
        settings.rank,
        settings.measurements,
        seed=context.shared_seed("problem", cell["trial"]),
        device=context.device,
    )
    paths = gradient_descent_batch(problem, scales=settings.scales, steps=settings.steps, record_every=settings.steps)
    factors = [("gradient descent", path.scale, path.factor) for path in paths]
    best = paths[-1].factor
    generator = torch.Generator().manual_seed(context.shared_seed("moves", cell["trial"]))
    for size in settings.moves:
        direction = torch.randn(best.shape, generator=generator, dtype=best.dtype).to(best.device)
        factors.append(("moved", size, best + size * best.norm() * direction / direction.norm()))
    rows = []
    for origin, size, factor in factors:
        interpolant = onto_zero_loss(problem, factor)
        trace = hessian_trace(problem, interpolant)
        nuclear_norm = float(interpolant.square().sum())
        residual = problem.measurements.forward(interpolant) - problem.targets
        rows.append(
            {
                "origin": origin,
                "size": size,
                "trace": trace,
                "nuclear_norm": nuclear_norm,
                "error": float(recovery_error(interpolant @ interpolant.mT, problem.known_truth)),
                "relative_loss": float(residual.square().sum() / problem.targets.square().sum()),
                "trace_ratio_gap": abs(trace / ((2 * settings.dimension + 2) * nuclear_norm) - 1),
            }
        )
    # One exact trace by Hessian-vector products: all d² coordinate directions.
    rows[-1]["hvp_gap"] = abs(hessian_trace(problem, interpolant, "hvp") / trace - 1)
    return rows


def onto_zero_loss(problem: SensingProblem, factor: Tensor, *, iterations: int = 20) -> Tensor:
    """The nearby factor of zero loss that Gauss and Newton's iteration with least-norm steps finds."""
    matrices = problem.measurements.matrices()
    for _ in range(iterations):
        residual = problem.targets - problem.measurements.forward(factor)
        if float(residual.norm()) <= 1e-12 * float(problem.targets.norm()):
            break
        jacobian = 2 * (matrices @ factor).flatten(1)  # (m, d·k)
        factor = factor + (jacobian.mT @ torch.linalg.solve(jacobian @ jacobian.mT, residual)).view_as(factor)
    return factor


def largest(column: str) -> Any:
    """One value per trial: the largest value of a column, over the interpolants that have one."""
    return lambda table: table.groupby("trial")[column].max()


def plot(table: pd.DataFrame) -> Figure:
    """Trace against nuclear norm, and trace against error, of all interpolants."""
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    labels = {"gradient descent": "gradient descent, by size of start", "moved": "moved along zero loss"}
    for index, (origin, part) in enumerate(table.groupby("origin")):
        style: Any = {"color": COLOURS[index], "marker": MARKERS[index], "s": 18, "alpha": 0.8}
        left.scatter(part["nuclear_norm"], part["trace"], label=labels[str(origin)], **style)
        right.scatter(part["error"], part["trace"], **style)
    norms = table["nuclear_norm"].sort_values()
    slope = float((table["trace"] / table["nuclear_norm"]).median())
    left.plot(norms, slope * norms, color="#777777", linewidth=0.8, zorder=0, label=f"{slope:.3g} × nuclear norm")
    left.set(xscale="log", yscale="log", xlabel="nuclear norm of U Uᵀ", ylabel="trace of the Hessian")
    right.set(xscale="log", xlabel="recovery error (relative)")
    left.legend()
    for axis, ticks in ((left.xaxis, [2, 3, 5, 10, 20]), (left.yaxis, [200, 500, 1000, 2000])):
        axis.set_ticks(ticks)
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    return figure


EXPERIMENT = Experiment(
    name="flatness",
    title="The flattest interpolant is the one of least nuclear norm",
    scales={
        "smoke": Settings(
            dimension=10, rank=1, measurements=50, scales=(1.0, 0.1, 1e-3), moves=(0.2, 1.0), steps=400, trials=2
        ),
        "laptop": Settings(),
        "gpu": Settings(dimension=80, rank=3, measurements=1200, trials=10),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "S9",
            "the trace by Hessian-vector products equals the closed form (relative gap)",
            "Zhang, Li and Ju (2024)",
            "exact",
            "number",
            at_most(largest("hvp_gap"), 1e-8),
        ),
        Claim(
            "S9b",
            "at zero loss the trace is (2d + 2)‖UUᵀ‖_* (relative gap, m = 10d)",
            "Zhang, Li and Ju (2024)",
            "exact in expectation",
            "number",
            at_most(largest("trace_ratio_gap"), 0.02),
        ),
        Claim(
            "S10",
            "among interpolants, flatter means closer to the truth: rank correlation of trace and error above 0.9",
            "Zhang, Li and Ju (2024)",
            None,
            "direction",
            at_least(rank_correlation("trace", "error", {"relative_loss": lambda column: column < 1e-6}), 0.9),
        ),
    ],
)
