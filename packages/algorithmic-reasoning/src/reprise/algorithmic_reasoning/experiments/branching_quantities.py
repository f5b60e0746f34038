"""What the claims on branching networks ask for: differences of scores between methods."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.core import RowsMissing, values

METHODS = ("shared", "mixture", "lookahead", "groups", "branched", "found", "single")
SHARING = ("mixture", "lookahead", "groups", "branched")  # the paper's multitask baselines but for one network


def difference(networks: pd.DataFrame, first: str, second: str, sizes: Any) -> pd.Series[float]:
    """Score of one method less that of another, by trial and algorithm, mean over sizes."""
    chosen = networks[networks["nodes"].isin(list(sizes))]
    means = chosen.groupby(["method", "processor", "trial", "algorithm"])["score"].mean().astype(float)
    present = set(means.index.get_level_values("method"))
    if not {first, second} <= present:
        raise RowsMissing(f"the table lacks {first} or {second}")
    return means.xs(first, level="method") - means.xs(second, level="method")


def larger(first: str, second: str) -> Any:
    """`difference` on graphs larger than those trained on, one value per trial and algorithm."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        networks = table[(table["part"] == "network") & (table["processor"] != "edge_transformer")]
        if networks.empty:
            raise RowsMissing("the table has no network")
        sizes = sorted(networks["nodes"].unique())
        if len(sizes) < 2:
            raise RowsMissing("the table has a single size")
        return difference(networks, first, second, sizes[1:])

    return quantity


def twelve(kind: str, first: str, second: str) -> Any:
    """Difference, in points, of averages over all twelve algorithms, one value per trial, in the paper's setting.

    That is: graphs of 64 nodes, networks of 192 units, 10,000 rounds.
    """

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        networks = table[(table["part"] == "network") & (table["processor"] == kind) & (table["nodes"] == 64)]
        networks = networks[(networks["hidden"] == 192) & (networks["rounds"] == 10_000)]
        if networks["algorithm"].nunique() < len(ALGORITHMS):
            raise RowsMissing("the table has not all twelve algorithms at N = 64 in the paper's setting")
        return 100 * difference(networks, first, second, [64]).groupby("trial").mean()

    return quantity


def ahead_of_the_best(kind: str) -> Any:
    """The tree's lead over the best multitask baseline, in points, one value per trial."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        leads = [twelve(kind, "found", method)(table) for method in ("shared", *SHARING)]
        smallest: pd.Series[float] = pd.concat(leads, axis=1, join="inner").min(axis=1)
        return smallest

    return quantity


def seconds(method: str) -> Any:
    """Seconds of computing until a method's network is trained, its search among them, one value per trial."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        networks = table[(table["part"] == "network") & (table["processor"] != "edge_transformer")]
        chosen = networks[networks["method"] == method].drop_duplicates("trial").set_index("trial")
        if chosen.empty:
            raise RowsMissing(f"the table lacks {method}")
        return (chosen["search_seconds"] + chosen["training_seconds"]).astype(float)

    return quantity


def modules(column: str) -> Any:
    """A column of the count of modules."""
    return values(column, {"part": "modules"}, over="part")
