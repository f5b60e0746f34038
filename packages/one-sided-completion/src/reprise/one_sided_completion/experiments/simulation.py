"""What the simulations share: a matrix and what is seen of it, errors, and the settings of the authors' programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from reprise.core import RowsMissing
from reprise.one_sided_completion.generators import GENERATORS
from reprise.one_sided_completion.imputation import impute
from reprise.one_sided_completion.moment import SecondMoment, second_moment
from reprise.one_sided_completion.sampling import sample

Array = np.ndarray[Any, Any]

# As in the authors' programs: a fixed step of 10⁴ for 1,000 steps, from a start uniform on [0, 0.1].
FIXED_STEP, SHORT_STEPS, START = 1e4, 1000, 0.1
# Of the longer runs: 10⁻⁶ without the 1/d of the paper's formula, which at d = 1,000 is λ = 10⁻³, and α = 1/d.
LONG_REGULARIZATION, LONG_STEPS = 1e-3, 1500


@dataclass(frozen=True)
class Simulation:
    """A matrix M, its second moment T, what is seen of M, and the estimate of T."""

    M: Array
    T: Array
    seen: sparse.csr_array
    moment: SecondMoment

    def error(self, factor: Array) -> float:
        """‖X Xᵀ − T‖_F, the authors' measure: absolute, where ‖T‖_F is 4 for common means."""
        return float(np.linalg.norm(factor @ factor.T - self.T))

    def relative_error(self, factor: Array) -> float:
        """The same over ‖T‖_F."""
        return self.error(factor) / float(np.linalg.norm(self.T))

    def kept_error(self, factor: Array) -> float:
        """Absolute error when the estimate is kept where a pair was seen, and X Xᵀ fills in the rest.

        The authors' longer runs report this one.
        """
        completed = factor @ factor.T
        rows, columns = self.moment.pair_rows, self.moment.indices
        completed[rows, columns] = completed[columns, rows] = self.moment.pair_values
        return float(np.linalg.norm(completed - self.T))

    def seen_error(self, moment: SecondMoment) -> float:
        """Error of an estimate on the entries that it holds, over ‖T‖_F: what the authors plot as bias."""
        rows, columns = moment.pair_rows, moment.indices
        difference = moment.pair_values - self.T[rows, columns]
        total = 2 * (difference**2).sum() - (difference[rows == columns] ** 2).sum()
        return float(np.sqrt(total) / np.linalg.norm(self.T))


def simulate(
    n: int,
    d: int,
    rank: int,
    *,
    seed: int,
    generator: str = "common-means",
    options: Mapping[str, Any] | None = None,
    **how: Any,
) -> Simulation:
    """Draw a matrix, show part of it (``p=`` or ``per_row=``), and estimate its second moment."""
    M = GENERATORS[generator](n, d, rank, seed=seed, **(options or {}))
    seen = sample(M, seed=seed + 1, **how)
    return Simulation(M, (M.T @ M / n).astype(np.float64), seen, second_moment(seen))


def short_run(moment: SecondMoment, rank: int, seed: int) -> Array:
    """Factor after 1,000 steps of the authors' fixed size, from their start."""
    begin = START * np.random.default_rng(seed).random((moment.dimension, rank))
    # What is stable grows with d².
    step = FIXED_STEP * (moment.dimension / 1000) ** 2
    return impute(moment, rank, init=begin, step_size=step, max_iter=SHORT_STEPS, tol=0.0).factor


def long_run(
    moment: SecondMoment,
    rank: int,
    seed: int,
    regularization: float = LONG_REGULARIZATION,
    *,
    steps: int = LONG_STEPS,
    tol: float = 1e-7,
) -> Array:
    """Factor at convergence, from the same start with backtracking."""
    begin = START * np.random.default_rng(seed).random((moment.dimension, rank))
    options: dict[str, Any] = {"regularization": regularization, "incoherence": 1 / moment.dimension}
    return impute(moment, rank, init=begin, max_iter=steps, tol=tol, **options).factor


def worst_factor(
    column: str, printed: Mapping[int, float], *, over: str, where: Mapping[str, Any]
) -> Callable[[pd.DataFrame], pd.Series[float]]:
    """One value per trial: the largest factor between a column and the values that the paper prints, either way."""

    def quantity(table: pd.DataFrame) -> pd.Series[float]:
        rows = table
        for name, value in where.items():
            rows = rows[rows[name] == value]
        factors: dict[Any, float] = {}
        for trial, part in rows.groupby("trial"):
            values = part.set_index(over)[column]
            if not set(printed) <= set(values.index):
                raise RowsMissing(f"not all of {sorted(printed)} were run")
            factors[trial] = max(max(values[key] / value, value / values[key]) for key, value in printed.items())
        if not factors:
            raise RowsMissing("no rows")
        return pd.Series(factors)

    return quantity
