"""Random draws that belong to what they decide: common random numbers for comparing interventions.

Each draw is a hash of the seed and of what it is for (run, step, node, kind), turned into the variate by inversion. So
two simulations with one seed draw the same numbers for the same events, whatever else differs between them, and every
count is monotone in its probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11))
# Inversion starts at the probability of nothing, which must not underflow: means above this are split.
_LARGEST_MEAN = 256.0


@njit(cache=True, inline="always")
def mixed(state: Any, word: Any) -> Any:
    """Return a 64-bit hash of a state and a word (the finaliser of SplitMix64)."""
    z = (np.uint64(state) ^ (np.uint64(word) * _SECOND)) + _GOLDEN
    z = (z ^ (z >> _SHIFTS[0])) * _FIRST
    z = (z ^ (z >> _SHIFTS[1])) * _SECOND
    return z ^ (z >> _SHIFTS[2])


@njit(cache=True, inline="always")
def uniform(state: Any) -> float:
    """Return a number in (0, 1) from a hash."""
    return (float(np.uint64(state) >> _SHIFTS[3]) + 0.5) * 2.0**-53


@njit(cache=True)
def poisson(mean: float, state: Any) -> int:
    """Return a Poisson variate; time O(mean)."""
    drawn = 0
    part = 0
    while mean > 0.0:
        piece = min(mean, _LARGEST_MEAN)
        u = uniform(mixed(state, part))
        probability = np.exp(-piece)
        k = 0
        # Above 2000 the probabilities have vanished, and rounding of their sum would never reach u.
        while u > probability and k < 2000:
            u -= probability
            k += 1
            probability *= piece / k
        drawn += k
        mean -= piece
        part += 1
    return drawn


@njit(cache=True)
def binomial(count: int, probability: float, state: Any) -> int:
    """Return a binomial variate; time O(count · probability)."""
    if count <= 0 or probability <= 0.0:
        return 0
    if probability >= 1.0:
        return count
    if probability > 0.5:
        return count - binomial(count, 1.0 - probability, state)
    largest = int(_LARGEST_MEAN / probability) + 1
    odds = probability / (1.0 - probability)
    drawn = 0
    part = 0
    while count > 0:
        size = min(count, largest)
        u = uniform(mixed(state, part))
        term = np.exp(size * np.log1p(-probability))
        k = 0
        while u > term and k < size:
            u -= term
            term *= odds * (size - k) / (k + 1.0)
            k += 1
        drawn += k
        count -= size
        part += 1
    return drawn


@njit(cache=True)
def geometric(probability: float, state: Any) -> int:
    """Return how many trials the first success takes, at least 1; a very large number for probability 0."""
    if probability <= 0.0:
        return 1 << 40
    if probability >= 1.0:
        return 1
    trials = np.ceil(np.log(uniform(state)) / np.log1p(-probability))
    return int(max(1.0, min(trials, float(1 << 40))))
