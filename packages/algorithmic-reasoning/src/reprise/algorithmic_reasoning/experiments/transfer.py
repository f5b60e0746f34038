"""Claims C10 and C11: groups of the authors' own 12 × 12 matrix of pairwise transfer, and how often transfer hurts.

Entry (i, j) is the accuracy on algorithm j of a network trained on i and j; the diagonal is trained alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.data_sets import TRANSFER
from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.core import Claim, Context, Experiment, all_of, at_least, values, within
from reprise.tasks import partition

Array = np.ndarray[Any, Any]

# What the authors print: groups of algorithms by their number, and the mean performance of a group's members.
FIRST = {"bfs", "dfs", "bridges", "strongly_connected_components", "dijkstra", "bellman_ford"}
PRINTED_GROUPS = {
    2: [FIRST],
    3: [FIRST - {"dfs"}, {"dfs"}],
    4: [FIRST - {"dfs", "dijkstra", "bellman_ford"}, {"dfs"}, {"bellman_ford"}],
}
PRINTED = {2: 0.7387, 3: 0.7528, 4: 0.7583, 5: 0.7513}
POINT = 0.01


@dataclass(frozen=True)
class Settings:
    """Numbers of groups, and penalties of the path."""

    groups: tuple[int, ...] = (2, 3, 4, 5, 6)
    ridges: tuple[float, ...] = tuple(k / 10 for k in range(1, 11))


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One number of groups, one penalty, or one pair."""
    for k in settings.groups:
        yield {"part": "groups", "k": k}
    for ridge in settings.ridges:
        yield {"part": "path", "ridge": ridge}
    yield {"part": "pairs"}


def performance(matrix: Array, labels: Array) -> float:
    """Mean over tasks of the mean accuracy with the others of its group; alone, of its own accuracy."""
    found = []
    for task in range(len(matrix)):
        others = np.flatnonzero((labels == labels[task]) & (np.arange(len(matrix)) != task))
        found.append(matrix[task, others].mean() if len(others) else matrix[task, task])
    return float(np.mean(found))


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Group of every algorithm and performance of the groups; or gains of every ordered pair."""
    file = pd.read_csv(context.data(TRANSFER) / "pairwise_transfer_full.csv", index_col=0)
    matrix = file.loc[list(ALGORITHMS), list(ALGORITHMS)].to_numpy(dtype=np.float64)
    if cell["part"] == "pairs":
        return [
            {"trained_with": first, "algorithm": second, "accuracy": matrix[i, j], "gain": matrix[i, j] - matrix[j, j]}
            for i, first in enumerate(ALGORITHMS)
            for j, second in enumerate(ALGORITHMS)
        ]
    options: dict[str, Any] = {"k": cell["k"]} if cell["part"] == "groups" else {"ridge": cell["ridge"]}
    found = partition((matrix + matrix.T) / 2, tasks=ALGORITHMS, **options)
    groups = [set(group) for group in found.groups]
    row = {"found": found.k, "performance": performance(matrix, found.labels)}
    if cell.get("k") in PRINTED_GROUPS:
        named = PRINTED_GROUPS[cell["k"]]
        rest = set(ALGORITHMS).difference(*named)
        row["agrees"] = float(all(group in groups for group in [*named, rest]) and len(groups) == len(named) + 1)
    return [row | {"algorithm": name, "group": int(label)} for name, label in zip(ALGORITHMS, found.labels)]


def plot(table: pd.DataFrame) -> Figure:
    """The matrix as gains over training alone, in the order of four groups, and performance by the number of groups."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.6), width_ratios=(1.3, 1))
    pairs, groups = table[table["part"] == "pairs"], table[table["part"] == "groups"]
    chosen = groups[groups["k"] == min(4, int(groups["k"].max()))].set_index("algorithm")["group"]
    order = sorted(ALGORITHMS, key=lambda name: (int(chosen[name]), ALGORITHMS.index(name)))
    gains = pairs.pivot(index="trained_with", columns="algorithm", values="gain").loc[order, order] * 100
    image = left.imshow(gains, cmap="PuOr", vmin=-15, vmax=15)
    short = [name.replace("_", " ").replace("strongly connected components", "scc") for name in order]
    left.set_xticks(range(len(order)), short, rotation=90, fontsize=6)
    left.set_yticks(range(len(order)), short, fontsize=6)
    left.set(xlabel="accuracy on", ylabel="trained together with")
    left.grid(visible=False)
    for border in np.flatnonzero(np.diff([chosen[name] for name in order])) + 0.5:
        left.axhline(border, color="black", lw=0.8, ls="-")
        left.axvline(border, color="black", lw=0.8, ls="-")
    figure.colorbar(image, ax=left, label="gain over training alone, points", shrink=0.8)
    means = groups.groupby("k")["performance"].mean()
    right.plot(means.index, means, "o-", label="here")
    right.plot(list(PRINTED), list(PRINTED.values()), "x", color="black", ms=7, ls="", label="paper's program")
    right.set(xlabel="groups", ylabel="mean performance of groups")
    right.set_xticks(sorted(groups["k"].unique()))
    right.legend()
    return figure


def at(column: str, k: int) -> Any:
    """A column for one number of groups."""
    return values(column, {"part": "groups", "k": k}, over="k")


def share(sign: float) -> Any:
    """Ordered pairs of different algorithms that gain (or lose, for −1) more than a point."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        pairs = table[(table["part"] == "pairs") & (table["trained_with"] != table["algorithm"])]
        return pd.Series([float((sign * pairs["gain"].astype(float) > POINT + 1e-9).sum())])

    return quantity


EXPERIMENT = Experiment(
    name="transfer",
    title="Groups of the recorded 12 × 12 transfer matrix",
    scales={"smoke": Settings(groups=(2, 3, 4), ridges=(0.1,)), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "C10",
            "the semidefinite program on the authors' matrix gives their groups for k = 2, 3 and 4",
            "analysis of the official repository",
            "the groups it prints",
            "number",
            all_of(*(at_least(at("agrees", k), 1.0) for k in (2, 3, 4))),
        ),
        *(
            Claim(
                f"C10{letter}",
                f"mean group performance of k = {k} groups, to the printed digits",
                "analysis of the official repository",
                PRINTED[k],
                "number",
                within(at("performance", k), PRINTED[k], 5e-5 + 1e-9),
            )
            for letter, k in zip("bcde", PRINTED)
        ),
        Claim(
            "C11",
            "62 of 132 ordered pairs lose more than a point against training alone",
            "Section 2, from that matrix",
            62.0,
            "number",
            within(share(-1.0), 62.0, 0.5),
        ),
        Claim(
            "C11b",
            "29 of 132 ordered pairs gain more than a point",
            "Section 2, from that matrix",
            29.0,
            "number",
            within(share(1.0), 29.0, 0.5),
        ),
    ],
)
