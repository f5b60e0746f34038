"""Expected accidents of segments by empirical Bayes: what a segment had, shrunk towards what its kind has.

Hauer (1997), *Observational before–after studies in road safety*; the Highway Safety Manual. A segment that had many
accidents will on average have fewer: some of them were chance. The count y of a segment is Poisson with a rate of its
own, which among segments of its kind is gamma with mean μ (a regression) and variance φ μ²; so given y the rate is
gamma with shape 1/φ + y and rate 1/(φ μ) + 1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import gamma
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.errors import ConvergenceWarning
from reprise.road_safety.validation import count_array, number, real_array

# Below this overdispersion counts are as good as Poisson, and the regression says all.
SMALLEST_OVERDISPERSION = 1e-6


@dataclass(frozen=True)
class ShrunkCounts:
    """What accidents to expect of every segment in a period as long as the observed one.

    Parameters
    ----------
    observed : ndarray, shape (E,)
    prior : ndarray, shape (E,)
        Expected of segments of its kind: the regression's μ.
    overdispersion : float
        φ: between segments of one kind rates have the variance φ μ².
    """

    observed: np.ndarray
    prior: np.ndarray
    overdispersion: float

    @property
    def shape(self) -> np.ndarray:
        """Of the gamma distribution of the rate, 1/φ + y."""
        return np.asarray(1 / self.overdispersion + self.observed)

    @property
    def rate(self) -> np.ndarray:
        """Of the gamma distribution, 1/(φ μ) + 1."""
        return np.asarray(1 / (self.overdispersion * self.prior) + 1)

    @property
    def expected(self) -> np.ndarray:
        """Mean of the rate, between `observed` and `prior`."""
        return np.asarray(self.shape / self.rate)

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the central interval of the rate; φ and μ are taken as known."""
        level = number("level", level, low=0.0, high=1.0, open_low=True)
        edges = np.array([(1 - level) / 2, (1 + level) / 2])
        low, high = gamma.ppf(edges[:, None], self.shape, scale=1 / self.rate)
        return low, high

    def sample(self, generator: np.random.Generator) -> np.ndarray:
        """Return one draw of the rates, shape (E,)."""
        return np.asarray(generator.gamma(self.shape) / self.rate)


def shrunk_counts(features: Any, counts: Any, weights: Any = None) -> ShrunkCounts:
    """Fit the regression and its overdispersion, and shrink the counts.

    Parameters
    ----------
    features : array_like, shape (E, p)
        Of the segments, such as `segment_features`. Length belongs in it as a logarithm.
    counts : array_like of int, shape (E,)
        Accidents of the whole period.
    weights : array_like, shape (E,), optional
        How often a segment counts in the regression, for a bootstrap.

    Returns
    -------
    ShrunkCounts

    Raises
    ------
    ValueError, TypeError

    Notes
    -----
    Poisson regression; φ by moments, see `overdispersion`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.repeat([0.0, 1.0], 500)
    >>> rates = (1 + 3 * kind) * rng.gamma(2, 0.5, 1000)
    >>> found = shrunk_counts(kind[:, None], rng.poisson(rates))
    >>> bool(np.square(found.expected - rates).mean() < np.square(found.observed - rates).mean())
    True
    """
    X = real_array("features", features, ndim=2)
    y = count_array("counts", counts, len(X))
    if not y.any():
        raise ValueError("counts must hold at least one accident, got none")
    w = np.ones(len(y)) if weights is None else real_array("weights", weights, ndim=1, length=len(X))
    if (w < 0).any() or not (w * y).any():
        raise ValueError("weights must be at least 0, and some above 0 where there are accidents")
    varying = X[:, np.ptp(X, axis=0) > 0] if np.ptp(X, axis=0).any() else np.zeros((len(y), 1))
    model = make_pipeline(
        StandardScaler(), PoissonRegressor(alpha=1e-4, solver="newton-cholesky", tol=1e-6, max_iter=200)
    )
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        model.fit(varying, y, poissonregressor__sample_weight=w)
    if any(issubclass(item.category, SklearnConvergenceWarning) for item in raised):
        warnings.warn("the regression of counts did not converge", ConvergenceWarning, stacklevel=2)
    mu = np.maximum(model.predict(varying), 1e-9)
    return ShrunkCounts(y, mu, overdispersion(y, mu, w))


def overdispersion(counts: np.ndarray, mean: np.ndarray, weights: Any = 1.0) -> float:
    """Return φ by moments, ``Σ w ((y − μ)² − μ) / Σ w μ²``, and at least `SMALLEST_OVERDISPERSION`."""
    phi = float((weights * ((counts - mean) ** 2 - mean)).sum() / (weights * mean**2).sum())
    return max(phi, SMALLEST_OVERDISPERSION)


def segment_features(dataset: RoadDataset) -> np.ndarray:
    """Return what does not change about segments, shape (E, 25 + 2p).

    Flags; the logarithm of the length (the mean where it is unknown); sums and absolute differences of the static
    features of both ends, missing ones as the mean.
    """
    length = np.log(np.maximum(dataset.length, 1.0))
    length = np.where(np.isfinite(length), length, np.nanmean(length) if np.isfinite(length).any() else 0.0)
    static = dataset.node_static
    known = np.isfinite(static)
    mean = np.where(known, static, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, static, mean)
    u, v = dataset.edge_index
    return np.column_stack([dataset.flags, length, filled[u] + filled[v], np.abs(filled[u] - filled[v])])
