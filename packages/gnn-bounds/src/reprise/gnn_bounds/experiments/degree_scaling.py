"""How each bound grows with the degree, on stars and on regular graphs, against exact exponents (claim B3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import sparse

from reprise.core import Claim, Context, Experiment, all_of, loglog_slope, within
from reprise.core.figures import COLOURS, DASHES, MARKERS
from reprise.gnn_bounds.bounds import garg2020, ju2023, liao2021
from reprise.gnn_bounds.graphs import Graph
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import graph_statistics


@dataclass(frozen=True)
class Settings:
    """Degrees, depths and the norms of all weights, which are held fixed."""

    degrees: tuple[int, ...] = tuple(2**power for power in range(2, 13))  # d
    largest_regular: int = 512  # a regular graph has 2d² entries
    depths: tuple[int, ...] = (2, 4, 6)  # l
    spectral: float = 2.0  # s of every layer: with d s ≫ 1 sums of powers are their last term
    frobenius: float = 6.0
    width: int = 128
    graphs: int = 1000  # N


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One family and depth per cell."""
    for family in ("star", "regular"):
        for depth in settings.depths:
            yield {"family": family, "depth": depth}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """All bounds at every degree; norms of graphs are computed, features have norm 1."""
    depth = cell["depth"]
    size = np.ones(depth)
    norms = LayerNorms(
        tuple(f"layer {i + 1}" for i in range(depth)),
        settings.spectral * size,
        settings.frobenius * size,
        settings.width * size.astype(int),
        settings.spectral * size,
        settings.spectral * size,
    )
    rows = []
    shared: Any = {"n": settings.graphs, "depth": depth}
    most = max(settings.degrees) if cell["family"] == "star" else settings.largest_regular
    for degree in (degree for degree in settings.degrees if degree <= most):
        graph = Graph(star(degree) if cell["family"] == "star" else regular(degree))
        stats, gcn = graph_statistics([graph], "adjacency"), graph_statistics([graph], "gcn")
        garg = garg2020(norms, stats, **shared)
        rows.append(
            {
                "degree": degree,
                "spectral": stats.max_spectral,
                "ours": ju2023(norms, stats, **shared).value,
                "ours_gcn": ju2023(norms, gcn, **shared).value,
                "liao_mpgnn": liao2021(norms, stats, model="mpgnn", **shared).value,
                "liao_gcn": liao2021(norms, gcn, model="gcn", **shared).value,
                "degree_plus_one": degree + 1,
                "garg": garg.value,
                # what stands beside √log Q grows as a pure power
                "garg_rate": garg.value / math.sqrt(10 ** garg.parts["log_Q"]),
                "garg_bounded": garg2020(norms, stats, activation_bound=1.0, **shared).value,
            }
        )
    return rows


def star(leaves: int) -> sparse.csr_array:
    """K_{1,m}: d = m, ‖A‖ = √m."""
    hub, others = np.zeros(leaves, dtype=int), np.arange(1, leaves + 1)
    ends = (np.concatenate([hub, others]), np.concatenate([others, hub]))
    return sparse.csr_array((np.ones(2 * leaves), ends), shape=(leaves + 1, leaves + 1))


def regular(degree: int) -> sparse.csr_array:
    """Every node with its d/2 next neighbours on either side, on a ring of 2d + 1: ‖A‖ = d."""
    nodes = 2 * degree + 1
    steps = np.arange(1, degree // 2 + 1)
    offsets = np.concatenate([steps, -steps])
    rows = np.repeat(np.arange(nodes), len(offsets))
    columns = (rows + np.tile(offsets, nodes)) % nodes
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))


def plot(table: pd.DataFrame) -> Figure:
    """Bounds against the degree: stars and regular graphs at depth 4, and regular graphs at depth 2."""
    figure, axes = plt.subplots(1, 3, figsize=(7.0, 3.4))
    panels = [("star", 4), ("regular", 4), ("regular", 2)]
    lines = [
        ("ours", "Ju et al., ‖A‖"),
        ("ours_gcn", "Ju et al., GCN"),
        ("liao_mpgnn", "Liao et al., MPGNN"),
        ("liao_gcn", "Liao et al., GCN"),
        ("garg", "Garg et al."),
        ("garg_bounded", "Garg et al., bounded φ"),
    ]
    for axis, (family, depth) in zip(axes, panels):
        part = table[(table["family"] == family) & (table["depth"] == depth)]
        for index, (column, label) in enumerate(lines):
            axis.plot(
                part["degree"],
                part[column],
                label=label,
                color=COLOURS[index],
                linestyle=DASHES[index],
                marker=MARKERS[index],
                markersize=3,
                linewidth=1.1,
            )
        name = "stars" if family == "star" else "regular graphs"
        axis.set(xscale="log", yscale="log", xlabel="degree d", title=f"{name}, l = {depth}")
    axes[0].set_ylabel("bound on the gap (nats)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _slopes(column: str, family: str, expected: Mapping[int, float], *, x: str = "degree") -> Any:
    # past d = 100 the lower terms of sums of powers no longer bend the line
    return all_of(
        *[
            within(
                loglog_slope(x, column, {"family": family, "depth": depth, "degree": lambda column: column >= 100}),
                value,
                0.02,
            )
            for depth, value in expected.items()
        ]
    )


def _claim(
    name: str, sentence: str, source: str, column: str, family: str, expected: Mapping[int, float], **x: str
) -> Claim:
    shown = ", ".join(f"{value:.4g}" for value in expected.values())
    depths = ", ".join(map(str, expected))
    return Claim(
        name,
        f"{sentence}: exponents {shown} at l = {depths} (shown: l = {next(iter(expected))})",
        source,
        next(iter(expected.values())),
        "number",
        _slopes(column, family, expected, **x),
    )


TABLE = "table of rates"
LIAO = {6: 4 * 7 / 6, 4: 2 * 5 / 4, 2: 0.0}  # (l − 2)(l + 1)/l
FULL = {6: 5.0, 4: 3.0, 2: 1.0}  # l − 1
HALF = {6: 2.5, 4: 1.5, 2: 0.5}  # (l − 1)/2
NONE = {6: 0.0, 4: 0.0, 2: 0.0}

EXPERIMENT = Experiment(
    name="degree-scaling",
    title="How the bounds grow with the degree",
    scales={"smoke": Settings(degrees=(64, 128, 256, 512)), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        _claim("B3", "ours grows on stars as d^((l−1)/2)", TABLE, "ours", "star", HALF),
        _claim("B3b", "ours for GCN does not depend on the graph, on stars", TABLE, "ours_gcn", "star", NONE),
        _claim(
            "B3c",
            "Liao et al. for MPGNN grow as d^((l−2)(l+1)/l), the printed formula",
            TABLE,
            "liao_mpgnn",
            "star",
            LIAO,
        ),
        _claim(
            "B3d", "Liao et al. for GCN grow as (d+1)^((l−1)/2)", TABLE, "liao_gcn", "star", HALF, x="degree_plus_one"
        ),
        _claim("B3e", "Garg et al. grow as d^(l−1), beside √log Q", TABLE, "garg_rate", "star", FULL),
        _claim("B3f", "on regular graphs ours grows as d^(l−1): nothing is gained", TABLE, "ours", "regular", FULL),
        _claim(
            "B3g",
            "on regular graphs Liao et al. for MPGNN grow slower than ours, at l = 2 not at all",
            "the printed formulas",
            "liao_mpgnn",
            "regular",
            {2: 0.0, 4: 2.5, 6: 4 * 7 / 6},
        ),
    ],
)
