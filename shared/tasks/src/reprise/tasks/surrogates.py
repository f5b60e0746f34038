"""Surrogate models of a subset's outcome: what a subset that was never trained would give.

The linear surrogate says that the outcome of a subset is a sum over its members, ``f(S) ≈ c + Σ_{i ∈ S} β_i``, and is
fitted to the subsets whose outcomes were measured. Li, Nguyen and Zhang (2023), "Identification of negative transfers
in multitask learning using surrogate models". Anything else with `fit` and `predict` on subset indicators, such as
scikit-learn's KernelRidge, is a surrogate as well and goes through the same cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.model_selection import KFold

from reprise.tasks import _checks
from reprise.tasks.subsets import Subsets

Matrix = npt.NDArray[np.float64]


class Surrogate(Protocol):
    """A regression on subset indicators: every scikit-learn regressor is one."""

    def fit(self, indicators: Matrix, outcomes: Matrix, /) -> Any:
        """Learn from 0/1 indicators of shape (m, n) and outcomes of shape (m,)."""

    def predict(self, indicators: Matrix, /) -> Matrix:
        """Predicted outcomes, shape (m,)."""


class LinearSurrogate:
    """The outcome of a subset as an intercept plus a sum over its members.

    Parameters
    ----------
    penalty : {"ridge", "lasso"}
        On the members' coefficients; the intercept is free.
    strength : float
        Of the penalty, at least 0, as scikit-learn's ``alpha``: ``‖y - Xβ - c‖² + strength ‖β‖²`` for ridge,
        ``‖y - Xβ - c‖² / (2m) + strength ‖β‖₁`` for lasso. At 0, least squares of least norm.

    Attributes
    ----------
    tasks_ : tuple of names
    coefficients_ : array, shape (n,)
        What each task adds. With subsets of one size only differences between tasks are determined: the size is a
        constant, which the intercept takes; the penalty makes the coefficients small around it.
    intercept_ : float

    Examples
    --------
    >>> subsets = given_subsets(3, [(0,), (1,), (2,), (0, 1), (1, 2)])
    >>> model = LinearSurrogate(strength=0).fit(subsets, [1.0, 2.0, 3.0, 3.0, 5.0])
    >>> model.predict(given_subsets(3, [(0, 1, 2)])).round(6)
    array([6.])
    """

    def __init__(self, penalty: str = "ridge", strength: float = 1e-2) -> None:
        self.penalty = _checks.choice("penalty", penalty, ("ridge", "lasso"))
        self.strength = _checks.number("strength", strength)

    def fit(self, subsets: Subsets | Matrix, outcomes: npt.ArrayLike) -> Self:
        """Learn from measured outcomes, shape (m,).

        Raises
        ------
        ValueError
            If the shape doesn't fit or an outcome isn't finite: the message names the subset.
        """
        self.tasks_ = subsets.tasks if isinstance(subsets, Subsets) else tuple(range(subsets.shape[1]))
        indicators = _indicators(subsets)
        values = _outcomes(outcomes, subsets)
        if self.strength == 0:
            model = LinearRegression()
        elif self.penalty == "ridge":
            model = Ridge(alpha=self.strength)
        else:
            model = Lasso(alpha=self.strength, max_iter=100_000, tol=1e-8)
        model.fit(indicators, values)
        self.coefficients_: Matrix = model.coef_
        self.intercept_ = float(model.intercept_)
        return self

    def predict(self, subsets: Subsets | Matrix) -> Matrix:
        """Predicted outcomes, shape (m,), of any subsets of the same tasks.

        Raises
        ------
        ValueError
            If the tasks are others.
        """
        if isinstance(subsets, Subsets) and subsets.tasks != self.tasks_:
            raise ValueError(f"subsets must be of the tasks {list(self.tasks_)}, got {list(subsets.tasks)}")
        return _indicators(subsets) @ self.coefficients_ + self.intercept_


@dataclass(frozen=True, eq=False)
class SurrogateQuality:
    """How well a surrogate predicts subsets that it hasn't seen.

    Attributes
    ----------
    predictions : array, shape (m,)
        Each from a fit without that subset's fold.
    r2 : float
        1 - Σ(y - ŷ)² / Σ(y - ȳ)², with ȳ the mean of all outcomes.
    spearman : float
        Rank correlation of predictions and outcomes.
    residual_error : float
        Σ(y - ŷ)² / Σy².
    fold_r2 : array, shape (folds,)
        R² within each fold: the spread of the first.
    """

    predictions: Matrix
    r2: float
    spearman: float
    residual_error: float
    fold_r2: Matrix


def cross_validate(
    surrogate: Callable[[], Surrogate],
    subsets: Subsets,
    outcomes: npt.ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
) -> SurrogateQuality:
    """Predict every measured subset from the others, fold by fold.

    Parameters
    ----------
    surrogate : callable
        Returns a fresh surrogate: ``LinearSurrogate`` or ``lambda: KernelRidge(kernel="rbf")``.
    subsets : Subsets
        The m subsets that were measured, m >= 2 folds.
    outcomes : array, shape (m,)
        What was measured.
    folds : int
        At least 2.
    seed : int
        Of the shuffle into folds.

    Returns
    -------
    SurrogateQuality

    Raises
    ------
    ValueError
        If shapes don't fit, an outcome isn't finite, all outcomes are equal, or there are fewer than 2 subsets a fold.

    Examples
    --------
    >>> subsets = random_subsets(8, count=40, size=3)
    >>> quality = cross_validate(LinearSurrogate, subsets, subsets.members @ np.arange(8.0))
    >>> quality.r2 > 0.99
    True
    """
    indicators, values = _indicators(subsets), _outcomes(outcomes, subsets)
    folds = _checks.integer("folds", folds, minimum=2)
    if len(values) < 2 * folds:
        raise ValueError(f"subsets must be at least 2 per fold, {2 * folds}, got {len(values)}")
    if np.ptp(values) == 0:
        raise ValueError(f"outcomes must differ between subsets, got all {values[0]}")
    predictions, fold_r2 = np.empty_like(values), []
    splits = KFold(folds, shuffle=True, random_state=_checks.integer("seed", seed, minimum=0))
    for seen, held in splits.split(indicators):
        model = surrogate()
        model.fit(indicators[seen], values[seen])
        predictions[held] = np.asarray(model.predict(indicators[held])).ravel()
        fold_r2.append(_r2(values[held], predictions[held]))
    flat = np.ptp(predictions) == 0  # a surrogate that says the same of all ranks nothing
    return SurrogateQuality(
        predictions,
        r2=_r2(values, predictions),
        spearman=0.0 if flat else float(spearmanr(values, predictions).statistic),
        residual_error=float(((values - predictions) ** 2).sum() / (values**2).sum()),
        fold_r2=np.array(fold_r2),
    )


def _r2(values: Matrix, predictions: Matrix) -> float:
    total = ((values - values.mean()) ** 2).sum()
    return float(1 - ((values - predictions) ** 2).sum() / total) if total > 0 else float("nan")


def _indicators(subsets: Subsets | Matrix) -> Matrix:
    return np.asarray(subsets.members if isinstance(subsets, Subsets) else subsets, dtype=np.float64)


def _outcomes(outcomes: npt.ArrayLike, subsets: Subsets | Matrix) -> Matrix:
    values = np.asarray(outcomes, dtype=np.float64)
    count = len(subsets)
    if values.shape != (count,):
        raise ValueError(f"outcomes must have shape ({count},), got {values.shape}")
    if not np.isfinite(values).all():
        worst = int(np.flatnonzero(~np.isfinite(values))[0])
        names: tuple[Hashable, ...] | None = subsets.names(worst) if isinstance(subsets, Subsets) else None
        raise ValueError(f"outcomes must be finite, got {values[worst]} for subset {worst}, {names}")
    return values
