"""The traces of one algorithm on several graphs, in compact form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Traces:
    """What an algorithm recorded on B graphs of one size: pointers, masks of one and categories as integers.

    Attributes
    ----------
    hints : dict of str to ndarray, shape (B, T, …)
        T is at least the longest length; beyond a graph's own length they hold anything.
    outputs : dict of str to ndarray, shape (B, …)
    lengths : ndarray of int64, shape (B,)
    """

    hints: dict[str, Array]
    outputs: dict[str, Array]
    lengths: Array


def at_end(values: Array, lengths: Array) -> Array:
    """What a hint, shape (B, T, …), holds after as many steps as each graph took."""
    found: Array = values[np.arange(len(values)), lengths - 1]
    return found
