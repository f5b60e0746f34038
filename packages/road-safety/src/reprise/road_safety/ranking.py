"""Where a measure would avoid most accidents: segments in order, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reprise.road_safety.blocks import spatial_blocks
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.shrinkage import segment_features, shrunk_counts
from reprise.road_safety.validation import integer, number, real_array

_PERCENTILES = (2.5, 97.5)
_NORMAL = 1.959964


def rank_segments(
    dataset: RoadDataset,
    factor: Any,
    *,
    years: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    blocks: int = 20,
    bootstrap: int = 200,
    per_km: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank segments by the accidents that a measure is expected to avoid on them.

    Parameters
    ----------
    dataset : RoadDataset
    factor : float or (estimate, low, high)
        Accidents with the measure over accidents without it (a "crash modification factor"), 0.8 for a fifth fewer,
        with its 95 % interval if there is one. From `effect`: ``1 + found.relative`` and ``1 + found.relative_ci``.
    years : sequence of int, optional
        Whose accidents count; all by default.
    names : sequence of str, optional
        Of the segments.
    blocks : int
        Contiguous blocks of segments that are resampled together; at most one per segment.
    bootstrap : int
    per_km : bool
        Rank by accidents avoided per kilometre, for a measure that is paid for by length.
    seed : int

    Returns
    -------
    DataFrame, one row per segment, best first
        ``rank, segment`` (row of the data set), ``name, km, observed`` (accidents), ``expected_per_year, low, high``,
        ``avoided_per_year, avoided_low, avoided_high``; ``cumulative_km``; ``cumulative_avoided`` with ``_low`` and
        ``_high``: of this and all better segments together.

    Raises
    ------
    ValueError, TypeError

    Notes
    -----
    The estimand is ``λ_e (1 − f)``: the mean number of accidents per year that segment e would have if nothing
    changed, times the share that the measure takes away. λ_e is estimated by empirical Bayes (`shrinkage`), so that
    chance in the past, which put some segments on top, is taken off again. It is no effect that was measured on the
    segment: f is the same for all, and that it carries over from where it was measured has to be argued for.

    An interval holds what three things leave open: the regression (blocks are resampled and it is fitted anew), the
    segment's own rate given its count (a draw from its gamma distribution), and the factor (normal on its logarithm).
    """
    middle, low, high = _factor(factor)
    blocks, bootstrap = integer("blocks", blocks), integer("bootstrap", bootstrap)
    seed = integer("seed", seed, minimum=0)
    if names is not None and len(names) != dataset.num_edges:
        raise ValueError(f"names must have one name per segment, {dataset.num_edges}, got {len(names)}")
    rows = dataset.rows_of(dataset.years if years is None else years)
    if not len(rows):
        raise ValueError(f"years must have observed months in {dataset.name}, got {list(years or ())}")
    counts = np.asarray(dataset.counts[rows].sum(axis=0)).ravel()
    elapsed = len(rows) / 12
    X = segment_features(dataset)
    best = shrunk_counts(X, counts)
    u, v = dataset.edge_index
    lon, lat = (dataset.lon[u] + dataset.lon[v]) / 2, (dataset.lat[u] + dataset.lat[v]) / 2
    block = spatial_blocks(lon, lat, min(blocks, dataset.num_edges), seed)

    generator = np.random.default_rng(seed)
    spread = (np.log(high) - np.log(low)) / (2 * _NORMAL)
    drawn, avoided = np.empty((2, bootstrap, dataset.num_edges), dtype=np.float32)
    for index in range(bootstrap):
        share = generator.multinomial(block.max() + 1, np.full(block.max() + 1, 1 / (block.max() + 1)))
        weights = share[block].astype(float)
        if not (weights * counts).any():
            weights = np.ones(len(counts))  # no accident in these blocks: nothing to learn from
        drawn[index] = shrunk_counts(X, counts, weights).sample(generator) / elapsed
        avoided[index] = drawn[index] * (1 - np.exp(np.log(middle) + spread * generator.standard_normal()))

    kilometres = dataset.length / 1e3
    value = best.expected / elapsed * (1 - middle)
    key = value / np.where(kilometres > 0, kilometres, np.nan) if per_km else value
    order = np.argsort(-np.nan_to_num(key, nan=-np.inf), kind="stable")
    bounds = np.percentile(drawn, _PERCENTILES, axis=0)[:, order]
    saved = np.percentile(avoided, _PERCENTILES, axis=0)[:, order]
    summed = np.percentile(np.cumsum(avoided[:, order], axis=1, dtype=np.float64), _PERCENTILES, axis=0)
    return pd.DataFrame(
        {
            "rank": np.arange(1, dataset.num_edges + 1),
            "segment": order,
            "name": ["" if names is None else str(names[e]) for e in order],
            "km": kilometres[order],
            "observed": counts[order],
            "expected_per_year": best.expected[order] / elapsed,
            "low": bounds[0],
            "high": bounds[1],
            "avoided_per_year": value[order],
            "avoided_low": saved[0],
            "avoided_high": saved[1],
            "cumulative_km": np.cumsum(np.nan_to_num(kilometres[order])),
            "cumulative_avoided": np.cumsum(value[order]),
            "cumulative_avoided_low": summed[0],
            "cumulative_avoided_high": summed[1],
        }
    )


def _factor(given: Any) -> tuple[float, float, float]:
    """Estimate and interval; a single number is known exactly."""
    if np.ndim(given) == 0:
        value = number("factor", given, low=0.0, open_low=True)
        return value, value, value
    middle, low, high = _three(given)
    if not 0 < low <= middle <= high:
        raise ValueError(f"factor must be (estimate, low, high) with 0 < low <= estimate <= high, got {given}")
    return middle, low, high


def _three(given: Any) -> tuple[float, float, float]:
    array = real_array("factor", given, ndim=1)
    if len(array) != 3:
        raise ValueError(f"factor must be one number or (estimate, low, high), got {len(array)} numbers")
    return float(array[0]), float(array[1]), float(array[2])
