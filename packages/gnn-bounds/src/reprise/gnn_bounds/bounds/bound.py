"""A bound on the generalization gap, kept as a logarithm: at six layers and a degree of 500 it may leave float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bound:
    """The value of a bound.

    Parameters
    ----------
    name : str
    log10 : float
        Decimal logarithm of the value; −inf for a network of zeros.
    log10_terms : ndarray, shape (l,)
        Logarithms of the summands.
    parts : mapping of str to float
        Logarithms (base 10) of quantities in the formula, by name.
    """

    name: str
    log10: float
    log10_terms: Array
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "log10", float(self.log10))

    @property
    def value(self) -> float:
        """The bound itself; infinite where float64 cannot hold it."""
        with np.errstate(over="ignore"):
            return float(np.power(10.0, self.log10))

    @property
    def terms(self) -> Array:
        """The summands, shape (l,)."""
        with np.errstate(over="ignore"):
            return np.asarray(np.power(10.0, self.log10_terms))


def natural_log(values: Any) -> Array:
    """Natural logarithm with log 0 = −inf."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def log_sum(logs: Any) -> float:
    """log Σ exp, also of infinities."""
    return float(np.logaddexp.reduce(np.asarray(logs, dtype=np.float64)))


def log_geometric(log_ratio: float, terms: int) -> float:
    """log Σ_{k < terms} q^k for q = exp(log_ratio); at q = 1 it is log(terms), at q = 0 it is 0."""
    if terms < 1:
        return -np.inf
    if log_ratio == -np.inf:
        return 0.0
    return log_sum(np.arange(terms) * log_ratio)
