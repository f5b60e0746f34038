"""What a simulation returns: the curves of all runs, and what they come to, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class EpidemicResult:
    """Counts over time in every run.

    Parameters
    ----------
    S, E, I, R : ndarray of int, shape (runs, steps + 1)
        People (or nodes) susceptible, exposed, infectious and recovered; column 0 is the start.
    model : {"seir", "sir", "sis"}
    ever_infected : ndarray of int, shape (runs,)
        How many were ill at any time. For SIS, where people are infected again, the number of infections.
    """

    S: np.ndarray
    E: np.ndarray
    I: np.ndarray  # noqa: E741 - the name of the field
    R: np.ndarray
    model: str
    ever_infected: np.ndarray

    @property
    def infections(self) -> np.ndarray:
        """What the paper reports, shape (runs,): recovered at the end, and for SIS infectious at the end."""
        return self.I[:, -1] if self.model == "sis" else self.R[:, -1]

    @property
    def mean(self) -> float:
        """Mean of `infections` over runs."""
        return float(self.infections.mean())

    @property
    def se(self) -> float:
        """Standard error of `mean`; NaN for a single run."""
        return standard_error(self.infections)

    @property
    def peak(self) -> np.ndarray:
        """Largest number of infectious at one time, shape (runs,)."""
        return np.asarray(self.I.max(axis=1))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the confidence interval of `mean` by Student's t."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
        if len(self.infections) == 1:
            return (-np.inf, np.inf)
        half = float(stats.t.ppf(0.5 + level / 2, len(self.infections) - 1)) * self.se
        return self.mean - half, self.mean + half


def standard_error(sample: np.ndarray) -> float:
    """Return the standard error of the mean of a sample; NaN for fewer than two."""
    return float(sample.std(ddof=1) / np.sqrt(len(sample))) if len(sample) > 1 else float("nan")
