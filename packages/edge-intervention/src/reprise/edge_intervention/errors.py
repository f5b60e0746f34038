"""What can go wrong with an intervention, each with a name that a caller can catch."""

from __future__ import annotations


class InvalidWeightsError(ValueError):
    """A weight is negative, NaN or infinite; the message names the first edge of that kind."""


class BudgetError(ValueError):
    """The budget is negative, or more than can be removed; the message holds both numbers."""


class ProblemTooLargeError(ValueError):
    """The exact program would not fit; the message holds the limit and says what to use instead."""


class ConvergenceError(RuntimeError):
    """No solver reached its tolerance; the message holds the residual."""


class ConvergenceWarning(UserWarning):
    """A solver stopped short of its tolerance and its answer is used; the message says by how much."""
