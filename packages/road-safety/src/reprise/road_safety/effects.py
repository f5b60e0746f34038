"""The effect of a treatment on crashes: differences, matching, weighting and doubly robust estimates, in one form.

Every estimator of Zhang et al. (KDD 2026) is a difference of two means of potential outcomes, each a sum of ratios::

    E[Y(a)] = Σ_i t_i m_a(X_i) / Σ_i t_i  +  Σ_i w_i (Y_i − m_a(X_i)) / Σ_i v_i

with an outcome model m_a (0 for all but the doubly robust), the target population t and weights w of the units of arm
a. So an interval by cluster bootstrap is a product of counts with sums per cluster for every one of them. It holds for
matching too, where resampling units and matching them again does not (Abadie and Imbens 2008; Otsu and Rai 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reprise.road_safety.balance import Overlap, effective_size, overlap, refuse_determined, standardised_differences
from reprise.road_safety.matching import match, whitened
from reprise.road_safety.propensity import folds_of, outcome, propensity
from reprise.road_safety.validation import binary_array, integer, labels, number, one_of, real_array

METHODS = ("naive", "nn", "psm", "ipw", "aipw")
ESTIMANDS = ("att", "ate")
METRICS = ("euclidean", "mahalanobis")


@dataclass(frozen=True)
class EffectResult:
    """An estimated effect with what is needed to believe it.

    Parameters
    ----------
    estimate : float
        ATT or ATE, in units of Y.
    relative : float
        The estimate over the mean outcome without treatment: 0.24 is "24 % more".
    se : float
        Standard deviation over the bootstrap.
    ci : tuple of float
        95 % percentile interval.
    relative_ci : tuple of float
        The same of `relative`.
    overlap : Overlap
    smd_before, smd_after : ndarray, shape (p,)
        Standardised mean differences of the covariates; below 0.1 is the usual aim.
    ess : float
        Effective number of controls.
    treated : int
        Treated units that count; fewer than there are if a caliper left some without a match.
    method, estimand : str
    pairs : ndarray, shape (n1,)
        For matching: outcome of each treated unit minus the mean of its matches, for `rosenbaum_bound`; else empty.
    """

    estimate: float
    relative: float
    se: float
    ci: tuple[float, float]
    relative_ci: tuple[float, float]
    overlap: Overlap
    smd_before: np.ndarray
    smd_after: np.ndarray
    ess: float
    treated: int
    method: str
    estimand: str
    pairs: np.ndarray


class _Mean(NamedTuple):
    """``Σ numerators / Σ denominators``, summed over the columns of both, shapes (n, 2)."""

    numerators: np.ndarray
    denominators: np.ndarray

    def under(self, counts: np.ndarray, cluster: np.ndarray) -> np.ndarray:
        """Return the mean with every cluster counted so often, shape (draws,); `counts` has shape (draws, clusters)."""
        sums = [
            counts @ np.stack([np.bincount(cluster, column, minlength=counts.shape[1]) for column in array.T], axis=1)
            for array in (self.numerators, self.denominators)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(sums[1] > 0, sums[0] / sums[1], 0.0).sum(axis=1))


class _Weights(NamedTuple):
    """Who counts how much: target population and units of each arm, shapes (n,)."""

    target: np.ndarray
    treated: np.ndarray
    control: np.ndarray
    pairs: np.ndarray


def effect(
    T: Any,
    Y: Any,
    X: Any,
    method: str = "aipw",
    estimand: str = "att",
    *,
    k: int = 1,
    caliper: float | None = None,
    metric: str = "euclidean",
    bias_correction: bool = False,
    blocks: Any = None,
    clusters: Any = None,
    folds: int = 5,
    bootstrap: int = 1000,
    propensity_model: Any = None,
    outcome_model: Any = None,
    seed: int = 0,
) -> EffectResult:
    """Estimate the effect of a binary treatment.

    Parameters
    ----------
    T : array_like, shape (n,)
        1 for treated units, such as months of a road segment with much rain, else 0.
    Y : array_like, shape (n,)
        Outcome: 1 if there was a crash, or the number of crashes.
    X : array_like, shape (n, p)
        Covariates to hold alike: features or an embedding. They must not contain the treatment.
    method : {"naive", "nn", "psm", "ipw", "aipw"}
        Difference of means; matching on X; matching on the logit of the propensity; weighting by it; doubly robust.
    estimand : {"att", "ate"}
        Of the treated, or of all units.
    k : int
        Matches of a unit, with replacement.
    caliper : float, optional
        Largest distance of a match: in X for "nn", in standard deviations of the logit for "psm".
    metric : {"euclidean", "mahalanobis"}
        Of "nn".
    bias_correction : bool
        Subtract the difference that an outcome model sees between matched units (Abadie and Imbens 2011).
    blocks : array_like, shape (n,), optional
        Units of one block stay in one fold when models are cross-fitted; spatial blocks, say.
    clusters : array_like, shape (n,), optional
        Units resampled together; the blocks by default, or single units without any.
    folds : int
        Folds of the cross-fitting; 1 fits and predicts on the same units.
    bootstrap : int
        Draws of clusters.
    propensity_model, outcome_model : scikit-learn estimators, optional
    seed : int
        Of the folds and the bootstrap.

    Returns
    -------
    EffectResult

    Raises
    ------
    PositivityError
        If X tells the arms apart with an AUC above 0.99.
    ValueError, TypeError

    Notes
    -----
    Formulas: section 3.6 of the paper's methods. ATT by weighting has the weights e/(1 − e), normalised (Hájek). The
    doubly robust ATE is ``mean[m₁ − m₀ + T(Y − m₁)/e − (1 − T)(Y − m₀)/(1 − e)]``. Models and matches are held fixed in
    the bootstrap.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 2))
    >>> T = rng.random(2000) < 1 / (1 + np.exp(-X[:, 0]))
    >>> Y = X[:, 0] + 0.5 * T + rng.standard_normal(2000)
    >>> found = effect(T, Y, X, bootstrap=200)
    >>> bool(found.ci[0] < 0.5 < found.ci[1]), bool(abs(found.smd_after).max() < 0.1)
    (True, True)
    """
    X = real_array("X", X, ndim=2)
    n = len(X)
    T, Y = binary_array("T", T, n), real_array("Y", Y, ndim=1, length=n)
    if T.all() or not T.any():
        raise ValueError(f"T must have treated and untreated units, got {int(T.sum())} treated of {n}")
    one_of("method", method, METHODS)
    one_of("estimand", estimand, ESTIMANDS)
    one_of("metric", metric, METRICS)
    k, folds = integer("k", k), integer("folds", folds)
    bootstrap, seed = integer("bootstrap", bootstrap), integer("seed", seed, minimum=0)
    caliper = None if caliper is None else number("caliper", caliper, low=0.0, open_low=True)
    groups = None if blocks is None else labels("blocks", blocks, n)
    if groups is not None and groups.max() + 1 < folds:
        raise ValueError(f"blocks must hold at least as many blocks as folds, {folds}, got {groups.max() + 1}")
    cluster = (
        labels("clusters", clusters, n) if clusters is not None else groups if groups is not None else np.arange(n)
    )

    everywhere = propensity(X, T, np.zeros(n, dtype=int), propensity_model)
    refuse_determined(X, T, everywhere)
    fold = folds_of(n, groups, folds, seed)
    scores = everywhere if folds == 1 else propensity(X, T, fold, propensity_model)

    weights = _weights(T, Y, X, scores, method, estimand, k, caliper, metric)
    m1 = m0 = np.zeros(n)
    if method == "aipw" or (bias_correction and method in ("nn", "psm")):
        m0 = outcome(X, Y, ~T, fold, outcome_model)
        m1 = outcome(X, Y, T, fold, outcome_model) if estimand == "ate" else m1
    # The doubly robust ATE is a plain mean over units, everything else normalises its weights.
    plain = method == "aipw" and estimand == "ate"
    means = [
        _Mean(
            np.stack([weights.target * m, weight * (Y - m)], axis=1),
            np.stack([weights.target, weights.target if plain else weight], axis=1),
        )
        for m, weight in ((m1, weights.treated), (m0, weights.control))
    ]
    one = np.ones((1, int(cluster.max()) + 1))
    with_treatment, without = (float(mean.under(one, cluster)[0]) for mean in means)
    estimate = with_treatment - without
    draws = _resampled(means, cluster, bootstrap, np.random.default_rng(seed))
    differences = draws[0] - draws[1]
    ratios = differences / np.where(draws[1] == 0, np.nan, draws[1])
    equal = np.ones(n)
    return EffectResult(
        estimate=estimate,
        relative=estimate / without if without else float("nan"),
        se=float(differences.std(ddof=1)) if bootstrap > 1 else float("nan"),
        ci=_interval(differences),
        relative_ci=_interval(ratios),
        overlap=overlap(scores, T),
        smd_before=standardised_differences(X, T, equal * T, equal * ~T),
        smd_after=standardised_differences(X, T, weights.treated, weights.control),
        ess=effective_size(weights.control),
        treated=int((weights.treated > 0).sum()),
        method=method,
        estimand=estimand,
        pairs=weights.pairs,
    )


def _weights(
    T: np.ndarray,
    Y: np.ndarray,
    X: np.ndarray,
    scores: np.ndarray,
    method: str,
    estimand: str,
    k: int,
    caliper: float | None,
    metric: str,
) -> _Weights:
    n = len(T)
    one, none = np.ones(n), np.empty(0)
    if method == "naive":
        return _Weights(one * T, one * T, one * ~T, none)
    if method in ("ipw", "aipw"):
        if estimand == "att":
            return _Weights(one * T, one * T, np.where(T, 0.0, scores / (1 - scores)), none)
        return _Weights(one, np.where(T, 1 / scores, 0.0), np.where(T, 0.0, 1 / (1 - scores)), none)
    if method == "nn":
        place = X if metric == "euclidean" else whitened(X)
    else:
        place = np.log(scores / (1 - scores))[:, None]
        caliper = None if caliper is None else caliper * float(place.std())
    kept, stand_in, partner = match(place, T, k, caliper)
    found = partner >= 0
    means = np.where(found, Y[partner], 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    pairs = (Y[T] - means)[found.any(axis=1)]
    if estimand == "att":
        return _Weights(one * kept, one * kept, stand_in, pairs)
    other_kept, other_stand_in, _ = match(place, ~T, k, caliper)
    target = one * (kept | other_kept)
    return _Weights(target, kept + other_stand_in, other_kept + stand_in, pairs)


def _resampled(means: list[_Mean], cluster: np.ndarray, draws: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Both means under `draws` resamplings of the clusters, in blocks that keep memory small."""
    count = int(cluster.max()) + 1
    parts: list[list[np.ndarray]] = [[], []]
    step = max(1, 20_000_000 // count)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        counts = generator.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        for part, mean in zip(parts, means):
            part.append(mean.under(counts, cluster))
    return [np.concatenate(part) for part in parts]


def _interval(draws: np.ndarray) -> tuple[float, float]:
    kept = draws[np.isfinite(draws)]
    if not len(kept):
        return (float("nan"), float("nan"))
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)
