"""Moments with noise, to hand to another site: a plain Gaussian mechanism on sums and counts.

No guarantee of differential privacy is claimed: which pairs are kept depends on the data as well.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from reprise.one_sided_completion.moment import SecondMoment
from reprise.one_sided_completion.validation import integer, number


def release(moment: SecondMoment, *, noise_std: float, seed: int) -> SecondMoment:
    """Add independent Gaussian noise to every seen sum and count.

    Parameters
    ----------
    moment : SecondMoment
    noise_std : float
        Standard deviation, in units of the products for sums and of rows for counts.
    seed : int

    Returns
    -------
    SecondMoment
        Without the pairs whose noisy count is below one. The sums of squares, from which standard errors come, are
        replaced by those of a spread of zero: they are not released.

    Raises
    ------
    ValueError
        If `noise_std` is negative.

    See Also
    --------
    sensitivity : what one row changes, which `noise_std` should be compared with.

    Examples
    --------
    >>> from scipy import sparse
    >>> from reprise.one_sided_completion import second_moment
    >>> moment = second_moment(sparse.random_array((500, 4), density=0.9, rng=0, format="csr"))
    >>> noisy = release(moment, noise_std=1.0, seed=0)
    >>> bool(0 < abs(noisy.to_dense() - moment.to_dense()).max() < 0.05)
    True
    """
    number("noise_std", noise_std)
    generator = np.random.default_rng(seed)
    count = moment.count + noise_std * generator.standard_normal(len(moment.count))
    total = moment.total + noise_std * generator.standard_normal(len(moment.total))
    kept = count >= 1
    indptr = np.concatenate([[0], np.cumsum(np.bincount(moment.pair_rows[kept], minlength=moment.dimension))])
    count, total = count[kept], total[kept]
    return replace(
        moment, indptr=indptr, indices=moment.indices[kept], count=count, total=total, square=total**2 / count
    )


def sensitivity(*, per_row: int, bound: float) -> tuple[float, float]:
    """Euclidean norms of what one more row can add to the counts and to the sums of the pairs i ≤ j.

    Parameters
    ----------
    per_row : int
        C, the most entries that a row shows.
    bound : float
        The largest absolute value of an entry.

    Returns
    -------
    counts, sums : float
        √(C (C + 1)/2), and the same times bound².

    Examples
    --------
    >>> [round(each, 2) for each in sensitivity(per_row=3, bound=5.0)]
    [2.45, 61.24]
    """
    integer("per_row", per_row)
    number("bound", bound, open_=True)
    pairs = sqrt(per_row * (per_row + 1) / 2)
    return pairs, pairs * bound**2
