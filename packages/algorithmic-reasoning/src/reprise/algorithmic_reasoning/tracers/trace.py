"""The trace of one algorithm on one graph, in compact form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """Hints, shape (T, …), and outputs, shape (…), by name: pointers, masks of one and categories as integers."""

    hints: dict[str, Array]
    outputs: dict[str, Array]
