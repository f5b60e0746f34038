"""What the claims on pairs of algorithms ask for: gains from partners, and how alike two kinds of them rank pairs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from reprise.core import RowsMissing, values

HALVES = ["tuned_0", "tuned_1"]  # columns of two fine-tunings that differ in their graphs


def centred(table: pd.DataFrame, *, outside: bool = False) -> pd.DataFrame:
    """Scores of pairs less the algorithm's mean over them: no algorithm's difficulty is left in them.

    Of the pairs that an algorithm is in, so that only its partner differs; with `outside`, of those without it, too.
    """
    pairs = table[table["part"].isin(["pair", "outside"] if outside else ["pair"])].copy()
    if pairs.empty:
        raise RowsMissing("the table has no pairs")
    pairs["tuned"] = pairs[HALVES].astype(float).mean(axis=1)
    for column in ("estimated", "tuned", *HALVES, "trained"):
        scores = pairs[column].astype(float)
        pairs[column] = scores - scores.groupby([pairs["trial"], pairs["algorithm"]]).transform("mean")
    return pairs


def standardised(pairs: pd.DataFrame, column: str) -> pd.Series[float]:
    """Gains in units of their spread within each trial and algorithm."""
    return pairs[column] / pairs.groupby(["trial", "algorithm"])[column].transform("std")


def correlation(first: str, second: str, *, outside: bool = False) -> Any:
    """Spearman's correlation of two kinds of gains, within algorithms, one value per trial."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        pairs = centred(table, outside=outside)
        if outside and not (pairs["part"] == "outside").any():
            raise RowsMissing("the table has no pairs without the algorithm that is scored")
        pairs["x"], pairs["y"] = standardised(pairs, first), standardised(pairs, second)
        return pairs.groupby("trial")[["x", "y"]].apply(_spearman)

    return quantity


def _spearman(part: pd.DataFrame) -> float:
    return float(part["x"].corr(part["y"], method="spearman"))


def agreement_of_seeds(table: pd.DataFrame) -> pd.Series[float]:
    """Spearman's correlation of gains from scratch, mean over pairs of trials: one value."""
    pairs = centred(table)
    pairs["gain"] = standardised(pairs, "trained")
    wide = pairs.pivot_table(index=["algorithm", "partner"], columns="trial", values="gain")
    if wide.shape[1] < 2:
        raise RowsMissing("the table has a single trial")
    return pd.Series([np.mean([wide[a].corr(wide[b], method="spearman") for a, b in combinations(wide, 2)])])


def better_than_chance(table: pd.DataFrame) -> pd.Series[float]:
    """Agreement with the authors' tree less that of a random split."""
    cost = table[table["part"] == "cost"].set_index("trial")
    return cost["agreement"].astype(float) - cost["chance"].astype(float)


def cost(column: str) -> Any:
    """A column of the rows of costs."""
    return values(column, {"part": "cost"})
