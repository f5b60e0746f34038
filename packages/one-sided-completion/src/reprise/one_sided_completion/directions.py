"""Principal directions of the second moment, with how sure of them the data lets us be (bootstrap over rows)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.one_sided_completion.imputation import impute
from reprise.one_sided_completion.moment import second_moment
from reprise.one_sided_completion.validation import as_ratings, integer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Directions:
    """Leading eigenvectors of a completed moment and their spread over resampled rows.

    Attributes
    ----------
    vectors : ndarray, shape (d, r)
        Orthonormal, most important first.
    values : ndarray, shape (r,)
        Eigenvalues of the completed moment.
    angles : ndarray, shape (replicates, r)
        Principal angles, in degrees, smallest first, between the span of `vectors` and that of each resample.
    vector_angles : ndarray, shape (replicates, r)
        Angle, in degrees, between each single direction and its namesake of the resample; large where two eigenvalues
        are close, even if their plane is certain.
    standard_errors : ndarray, shape (d, r)
        Of every loading, after each resample is turned towards `vectors`.
    """

    vectors: Array
    values: Array
    angles: Array
    vector_angles: Array
    standard_errors: Array

    def limit(self, level: float = 0.95) -> Array:
        """Angle, in degrees, that each principal angle stays below in this share of the resamples, shape (r,)."""
        return np.asarray(np.quantile(self.angles, level, axis=0))


def principal_directions(factor: Array) -> tuple[Array, Array]:
    """Eigenvectors, shape (d, r), and eigenvalues of X Xᵀ, largest first; each vector's largest loading is positive."""
    vectors, singular, _ = np.linalg.svd(factor, full_matrices=False)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1.0, signs), singular**2


def bootstrap_directions(ratings: Any, rank: int, *, replicates: int = 50, seed: int = 0, **options: Any) -> Directions:
    """Estimate principal directions of the rows, and resample rows to see how far they move.

    Parameters
    ----------
    ratings : scipy sparse array, shape (n, d)
    rank : int
    replicates : int
    seed : int
    **options
        Of `impute`. Every resample starts from the estimate of all rows.

    Returns
    -------
    Directions

    Raises
    ------
    ValueError
        As `impute`.

    Examples
    --------
    >>> from reprise.one_sided_completion import linear_mixtures, sample
    >>> seen = sample(linear_mixtures(3000, 20, 2, seed=0), p=0.3, seed=1)
    >>> found = bootstrap_directions(seen, rank=2, replicates=5)
    >>> found.vectors.shape, bool(found.limit()[0] < 10)
    ((20, 2), True)
    """
    ratings = as_ratings(ratings)
    integer("replicates", replicates, minimum=2)
    factor = impute(second_moment(ratings), rank, seed=seed, **options).factor
    vectors, values = principal_directions(factor)
    generator = np.random.default_rng(seed)
    angles, single, loadings = [], [], []
    for _ in range(replicates):
        rows = generator.integers(ratings.shape[0], size=ratings.shape[0])
        again = impute(second_moment(ratings[rows]), rank, **{**options, "init": factor}).factor
        turned, _ = principal_directions(again)
        left, cosines, right = np.linalg.svd(vectors.T @ turned)
        angles.append(np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0))))
        own = np.abs((vectors * turned).sum(axis=0))
        single.append(np.degrees(np.arccos(np.clip(own, 0.0, 1.0))))
        loadings.append(turned @ (left @ right).T)
    return Directions(vectors, values, np.array(angles), np.array(single), np.std(loadings, axis=0, ddof=1))
