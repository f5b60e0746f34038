"""Zero-filling: what was not seen is taken for zero, and the leading eigenvectors are kept."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy.sparse.linalg import eigsh

from reprise.one_sided_completion.moment import SecondMoment
from reprise.one_sided_completion.validation import integer

Array = np.ndarray[Any, Any]


def zero_fill(moment: SecondMoment, rank: int = 10) -> Array:
    """Factor of the leading part of the zero-filled estimate, not rescaled, shape (d, rank).

    Raises
    ------
    ValueError
        If the rank exceeds d.
    """
    d = moment.dimension
    integer("rank", rank, maximum=d, limit="the number of columns")
    if rank < d - 1:
        found, vectors = eigsh(moment.values, k=rank, which="LA", v0=np.ones(d))
    else:
        found, vectors = np.linalg.eigh(moment.values.toarray())
    order = np.argsort(found)[::-1][:rank]
    return cast(Array, vectors[:, order] * np.sqrt(np.maximum(found[order], 0.0)))
