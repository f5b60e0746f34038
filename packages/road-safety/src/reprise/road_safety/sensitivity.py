"""How strong would something unseen have to be, to explain an effect away?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from reprise.road_safety.validation import number, real_array


def rosenbaum_bound(pairs: Any, level: float = 0.05) -> float:
    """Return the largest Γ at which matched pairs still show an effect (Rosenbaum 2002), by the sign test.

    Parameters
    ----------
    pairs : array_like, shape (n1,)
        Outcome of each treated unit minus that of its match, see `EffectResult.pairs`; pairs without difference say
        nothing and are left out.
    level : float
        Of the one-sided test.

    Returns
    -------
    float
        At least 1; the odds of treatment within a pair may differ by this factor through something unseen, and the
        worst case still has a p-value of at most `level`. NaN if there is no effect even at Γ = 1.

    Notes
    -----
    Tests in the direction of the majority. At Γ the number of pairs in that direction is at most binomial with
    probability Γ/(1 + Γ).

    Examples
    --------
    >>> round(rosenbaum_bound([1] * 30 + [-1] * 10), 2)
    1.62
    """
    differences = real_array("pairs", pairs, ndim=1)
    level = number("level", level, low=0.0, high=0.5, open_low=True)
    positive, negative = int((differences > 0).sum()), int((differences < 0).sum())
    total, most = positive + negative, max(positive, negative)

    def worst(gamma: float) -> float:
        return float(binom.sf(most - 1, total, gamma / (1 + gamma))) - level

    if total == 0 or worst(1.0) > 0:
        return float("nan")
    high = 2.0
    while worst(high) < 0:
        high *= 2
        if high > 1e9:
            return math.inf
    return float(brentq(worst, 1.0, high, xtol=1e-6))


def e_value(ratio: float) -> float:
    """Return how strongly (as a risk ratio) something unseen must go with both treatment and outcome.

    Parameters
    ----------
    ratio : float
        Risk or rate ratio, above 0; of ratios below 1 the inverse is taken.

    Notes
    -----
    ``RR + √(RR (RR − 1))`` (VanderWeele and Ding 2017).

    Examples
    --------
    >>> round(e_value(1.2), 3), e_value(1.0)
    (1.69, 1.0)
    """
    given = number("ratio", ratio, low=0.0, open_low=True)
    given = max(given, 1 / given)
    return given + float(np.sqrt(given * (given - 1)))
