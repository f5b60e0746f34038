"""Nuisance models, fitted on other folds than they predict: P(T = 1 | X) and E[Y | X] of one arm."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reprise.road_safety.errors import ConvergenceWarning

# As in the published scripts; a weight e/(1 − e) is at most a million.
CLIP = 1e-6


def folds_of(n: int, blocks: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """Return the fold of every unit; units of one block share a fold.

    Parameters
    ----------
    n : int
    blocks : ndarray of int, shape (n,), optional
        Such as spatial blocks, see `spatial_blocks`.
    folds : int
        1 means that models are fitted and used on all units.
    """
    if folds == 1:
        return np.zeros(n, dtype=int)
    fold = np.empty(n, dtype=int)
    splitter = KFold(folds, shuffle=True, random_state=seed) if blocks is None else GroupKFold(folds)
    for index, (_, held_out) in enumerate(splitter.split(np.zeros(n), groups=blocks)):
        fold[held_out] = index
    return fold


def propensity(X: np.ndarray, T: np.ndarray, fold: np.ndarray, model: Any = None) -> np.ndarray:
    """Return P(T = 1 | X) of every unit, clipped to [1e-6, 1 − 1e-6], shape (n,).

    Parameters
    ----------
    X : ndarray, shape (n, p)
    T : ndarray of bool, shape (n,)
    fold : ndarray of int, shape (n,)
    model : scikit-learn classifier, optional
        Logistic regression on standardised X by default.

    Raises
    ------
    ValueError
        If a fold's training part has units of one arm only.
    """
    return np.asarray(
        np.clip(_cross_fitted(model or logistic(), X, T, fold, np.ones(len(T), dtype=bool)), CLIP, 1 - CLIP)
    )


def outcome(X: np.ndarray, Y: np.ndarray, arm: np.ndarray, fold: np.ndarray, model: Any = None) -> np.ndarray:
    """Return E[Y | X] of every unit as learnt from the units of one arm, shape (n,).

    Parameters
    ----------
    X : ndarray, shape (n, p)
    Y : ndarray, shape (n,)
    arm : ndarray of bool, shape (n,)
        Units to learn from.
    fold : ndarray of int, shape (n,)
    model : scikit-learn classifier or regressor, optional
        Logistic regression for outcomes 0 and 1, else linear regression.
    """
    binary = bool(np.isin(Y, (0.0, 1.0)).all())
    if model is None:
        model = logistic() if binary else make_pipeline(StandardScaler(), LinearRegression())
    return _cross_fitted(model, X, Y, fold, arm)


def logistic() -> Any:
    """Return logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _cross_fitted(model: Any, X: np.ndarray, target: np.ndarray, fold: np.ndarray, usable: np.ndarray) -> np.ndarray:
    predicted = np.empty(len(target))
    count = int(fold.max()) + 1
    for held_out in range(count):
        inside = fold == held_out
        learn = usable & (~inside if count > 1 else inside)
        seen = np.unique(target[learn])
        if len(seen) == 0:
            raise ValueError("X leaves a fold without units to learn from: use fewer folds or other blocks")
        if len(seen) == 1:
            # Nothing to learn: every unit of this arm has the same outcome.
            predicted[inside] = seen[0]
            continue
        fitted = clone(model)
        with warnings.catch_warnings():
            warnings.simplefilter("error", SklearnConvergenceWarning)
            try:
                fitted.fit(X[learn], target[learn])
            except SklearnConvergenceWarning:
                warnings.simplefilter("ignore", SklearnConvergenceWarning)
                fitted.fit(X[learn], target[learn])
                converged = False
            else:
                converged = True
        if not converged:
            warnings.warn("a nuisance model did not converge", ConvergenceWarning, stacklevel=4)
        given = fitted.predict_proba(X[inside])[:, 1] if hasattr(fitted, "predict_proba") else fitted.predict(X[inside])
        predicted[inside] = given
    return predicted
