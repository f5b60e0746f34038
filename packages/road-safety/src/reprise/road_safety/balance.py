"""Can the arms be compared at all, and were they made alike: overlap, standardised mean differences, sample sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from reprise.road_safety.errors import PositivityError

# Above this a score tells treated from untreated units apart: what is left to compare is noise.
LARGEST_AUC = 0.99


@dataclass(frozen=True)
class Overlap:
    """How far propensities of treated and untreated units overlap.

    Parameters
    ----------
    auc : float
        Probability that a treated unit has the larger propensity, 0.5 where the arms are alike.
    treated, control : tuple of float
        Smallest, median and largest propensity.
    outside : float
        Share of units whose propensity lies beyond those of the other arm.
    """

    auc: float
    treated: tuple[float, float, float]
    control: tuple[float, float, float]
    outside: float


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve by ranks, ties counting half; O(n log n).

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    count = int(positive.sum())
    others = len(positive) - count
    return float((rankdata(score)[positive].sum() - count * (count + 1) / 2) / (count * others))


def overlap(propensity: np.ndarray, T: np.ndarray) -> Overlap:
    """Describe the propensities of both arms, shapes (n,)."""
    arms = [propensity[T], propensity[~T]]
    summary = [(float(arm.min()), float(np.median(arm)), float(arm.max())) for arm in arms]
    low, high = max(summary[0][0], summary[1][0]), min(summary[0][2], summary[1][2])
    outside = float(((propensity < low) | (propensity > high)).mean())
    return Overlap(auc(propensity, T), summary[0], summary[1], outside)


def refuse_determined(X: np.ndarray, T: np.ndarray, propensity: np.ndarray) -> None:
    """Refuse covariates that contain the treatment.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    T : ndarray of bool, shape (n,)
    propensity : ndarray, shape (n,)
        As fitted on all units.

    Raises
    ------
    PositivityError
        If a column alone, or the propensity, separates the arms with an AUC above 0.99.
    """
    alone = np.array([auc(column, T) for column in X.T])
    guilty = np.flatnonzero(np.maximum(alone, 1 - alone) > LARGEST_AUC)
    if len(guilty):
        named = ", ".join(map(str, guilty[:5])) + (" …" if len(guilty) > 5 else "")
        raise PositivityError(
            f"X must not contain the treatment: column {named} alone tells the arms apart with an AUC of "
            f"{np.maximum(alone, 1 - alone)[guilty].max():.4f}; leave it out"
        )
    found = auc(propensity, T)
    if found > LARGEST_AUC:
        raise PositivityError(
            f"X must leave the arms comparable: the propensity tells them apart with an AUC of {found:.4f} "
            f"(at most {LARGEST_AUC} is allowed)"
        )


def standardised_differences(X: np.ndarray, T: np.ndarray, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Return differences of weighted means in units of the unweighted pooled standard deviation, shape (p,).

    Parameters
    ----------
    X : ndarray, shape (n, p)
    T : ndarray of bool, shape (n,)
    treated, control : ndarray, shapes (n,)
        Weights of the arms, 0 outside of them. Below 0.1 in absolute value is the usual aim.
    """
    spread = np.sqrt((X[T].var(axis=0) + X[~T].var(axis=0)) / 2)
    gap = treated @ X / treated.sum() - control @ X / control.sum()
    return np.asarray(np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0))


def effective_size(weight: np.ndarray) -> float:
    """Return ``(Σ w)² / Σ w²``: how many equally weighted units are worth as much."""
    return float(weight.sum() ** 2 / (weight**2).sum())
