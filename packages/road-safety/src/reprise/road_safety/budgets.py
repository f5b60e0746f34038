"""How many accidents lie on the streets that a budget in kilometres reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.road_safety.validation import count_array, number, real_array


@dataclass(frozen=True)
class Budget:
    """What the segments hold that a score puts first.

    Parameters
    ----------
    segments : int
        Chosen ones.
    km : float
        Their length; at most the budget.
    precision : float
        Share of them with an accident; NaN if none fits.
    recall : float
        Share of all accidents that lie on them; NaN without accidents.
    accidents_per_km : float
        NaN if none fits.
    """

    segments: int
    km: float
    precision: float
    recall: float
    accidents_per_km: float


def at_budget(scores: Any, counts: Any, length: Any, km: float, *, per_length: bool = True) -> Budget:
    """Choose segments by their score until a budget is spent, and count the accidents on them.

    Parameters
    ----------
    scores : array_like, shape (E,)
        Expected accidents, probabilities, or anything that ranks.
    counts : array_like of int, shape (E,)
        Accidents afterwards.
    length : array_like, shape (E,)
        Metres, above 0.
    km : float
        The budget: patrols, or streets that can be rebuilt.
    per_length : bool
        Rank by score over length, which for scores that are expected counts gets most out of a budget; else by score.

    Returns
    -------
    Budget

    Raises
    ------
    ValueError, TypeError

    Notes
    -----
    Segments are taken in order up to the first that does not fit any more. Of equal scores the first comes first.

    Examples
    --------
    >>> at_budget([3.0, 1.0, 2.0], [4, 0, 1], [1000.0, 1000.0, 1000.0], km=2).recall
    1.0
    """
    metres = real_array("length", length, ndim=1)
    if (metres <= 0).any():
        raise ValueError(f"length must be above 0, got {metres[metres <= 0][0]:g}")
    score = real_array("scores", scores, ndim=1, length=len(metres))
    found = count_array("counts", counts, len(metres))
    limit = number("km", km, low=0.0, open_low=True) * 1e3
    order = np.argsort(-(score / metres if per_length else score), kind="stable")
    reach = np.cumsum(metres[order])
    # A millimetre for what summing rounds.
    chosen = order[: int(np.searchsorted(reach, limit + 1e-3, side="right"))]
    used = float(metres[chosen].sum() / 1e3)
    none = float("nan")
    return Budget(
        segments=len(chosen),
        km=used,
        precision=float((found[chosen] > 0).mean()) if len(chosen) else none,
        recall=float(found[chosen].sum() / found.sum()) if found.any() else none,
        accidents_per_km=float(found[chosen].sum() / used) if len(chosen) else none,
    )
