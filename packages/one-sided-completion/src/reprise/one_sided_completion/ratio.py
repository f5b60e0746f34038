"""Mean and variance of a ratio A/B by its Taylor series, on which the analysis of the estimator rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.one_sided_completion.validation import number

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RatioMoments:
    """Approximate moments of A/B.

    Attributes
    ----------
    first_order : float or ndarray
        E A / E B.
    mean : float or ndarray
        With the second-order term: E A/E B − Cov(A, B)/(E B)² + E A Var B/(E B)³.
    variance : float or ndarray
        Var A/(E B)² − 2 E A Cov(A, B)/(E B)³ + (E A)² Var B/(E B)⁴.
    """

    first_order: Any
    mean: Any
    variance: Any


def ratio_moments(mean_a: Any, mean_b: Any, variance_a: Any, variance_b: Any, covariance: Any) -> RatioMoments:
    """Approximate the mean and the variance of A/B from moments of A and B.

    Parameters
    ----------
    mean_a, mean_b, variance_a, variance_b, covariance : float or array of one shape

    Returns
    -------
    RatioMoments

    Raises
    ------
    ValueError
        If E B is not positive.

    Examples
    --------
    >>> ratio_moments(2.0, 10.0, 0.0, 1.0, 0.0).mean
    0.202
    """
    if not (np.asarray(mean_b) > 0).all():
        raise ValueError(f"mean_b must be positive, got {np.min(mean_b)}")
    ratio = mean_a / mean_b
    mean = ratio - covariance / mean_b**2 + ratio * variance_b / mean_b**2
    variance = variance_a / mean_b**2 - 2 * ratio * covariance / mean_b**2 + ratio**2 * variance_b / mean_b**2
    return RatioMoments(ratio, mean, variance)


def hajek_moments(first: Array, second: Array, *, p: float) -> RatioMoments:
    """Approximate moments of T̂_ij over masks, for two whole columns of M seen uniformly at rate p.

    Parameters
    ----------
    first, second : array, shape (n,)
        Columns i ≠ j.
    p : float

    Returns
    -------
    RatioMoments
        Of A/B, A = Σ_k b_k y_k and B = Σ_k b_k with y_k = M_ki M_kj and b_k independent, true with chance p².
        Since E A/E B is T_ij and the second-order terms cancel, `mean` is T_ij: the estimator is unbiased.
    """
    pair = number("p", p, maximum=1.0, open_=True) ** 2
    products = np.asarray(first, dtype=np.float64) * np.asarray(second, dtype=np.float64)
    spread = pair * (1 - pair)
    return ratio_moments(
        pair * products.sum(),
        pair * len(products),
        spread * (products**2).sum(),
        spread * len(products),
        spread * products.sum(),
    )
