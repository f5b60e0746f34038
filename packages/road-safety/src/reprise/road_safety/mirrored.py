"""One edge per street segment: the published layout holds a two-way street twice, once in each direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from reprise.road_safety.dataset import RoadDataset


def without_mirrors(dataset: RoadDataset) -> tuple[RoadDataset, np.ndarray]:
    """Join both directions of two-way segments.

    Returns
    -------
    dataset : RoadDataset
        Of each pair (u, v) and (v, u) of which neither is one-way, the one that comes first, with the accidents of
        both, the mean of their lengths and of their traffic where known, and the flags of either.
    edge : ndarray of int, shape (E,)
        The segment of every edge.

    Notes
    -----
    A crash labels one of the two directions, so that the other counts as a segment without accidents.
    """
    u, v = dataset.edge_index
    back = dataset.edge_id(v, u)
    here = np.arange(dataset.num_edges)
    paired = (back >= 0) & (back != here) & (dataset.edge_id(u, v) == here)
    paired &= ~dataset.flags[:, 0] & ~dataset.flags[np.maximum(back, 0), 0]
    first = np.where(paired, np.minimum(here, back), here)
    kept, edge = np.unique(first, return_inverse=True)
    join = sparse.csr_array((np.ones(len(here), dtype=np.int64), (here, edge)), shape=(len(here), len(kept)))
    flags = np.zeros((len(kept), dataset.flags.shape[1]), dtype=bool)
    np.logical_or.at(flags, edge, dataset.flags)
    joined = replace(
        dataset,
        edge_index=dataset.edge_index[:, kept],
        flags=flags,
        length=_mean(dataset.length, edge, len(kept)),
        counts=sparse.csr_array(dataset.counts @ join),
        volume={year: _mean(values, edge, len(kept)) for year, values in dataset.volume.items()},
        streets=tuple(dataset.streets[e] for e in kept) if dataset.streets else (),
        report={**dataset.report, "mirrored_edges": len(here) - len(kept)},
    )
    return joined, edge


def _mean(values: np.ndarray, edge: np.ndarray, size: int) -> np.ndarray:
    """Mean of the known values of each segment, NaN without any."""
    known = np.isfinite(values)
    count = np.bincount(edge[known], minlength=size)
    total = np.bincount(edge[known], values[known], size)
    return np.asarray(np.divide(total, count, out=np.full(size, np.nan), where=count > 0))
