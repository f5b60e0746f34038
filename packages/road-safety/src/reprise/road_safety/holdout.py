"""Places that a model has never seen: hold out contiguous districts, not only years.

Judged on later years of the same segments, a model may know each place by heart. In a district that is held out it has
seen no accident: neither to learn from nor as history. What generalises remains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from reprise.road_safety.blocks import spatial_blocks
from reprise.road_safety.dataset import RoadDataset, Scaler
from reprise.road_safety.errors import LeakageError
from reprise.road_safety.metrics import evaluate, monthly_mean
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.training import Inputs, seeded_network, train
from reprise.road_safety.validation import integer

# Months of a data set in which accidents may be read, and the scores of its segments in one of them.
Scorer = Callable[[RoadDataset, int], np.ndarray]
Learner = Callable[[RoadDataset], Scorer]
_METRICS = ("auroc", "ap", "precision_at_k")


@dataclass(frozen=True)
class _Scaled(RoadDataset):
    """A network whose features are scaled as those of the part that a model learnt from."""

    as_scaled: Scaler | None = None

    def scaler(self, train_years: Sequence[int]) -> Scaler:
        assert self.as_scaled is not None
        return self.as_scaled


def districts(dataset: RoadDataset, blocks: int = 5, seed: int = 0) -> np.ndarray:
    """Divide the segments into contiguous districts by their middles, shape (E,)."""
    u, v = dataset.edge_index
    return spatial_blocks((dataset.lon[u] + dataset.lon[v]) / 2, (dataset.lat[u] + dataset.lat[v]) / 2, blocks, seed)


def part_of(dataset: RoadDataset, kept: Any) -> RoadDataset:
    """Return the data set of some segments, by a mask of shape (E,); all junctions stay."""
    mask = np.asarray(kept)
    if mask.dtype != bool or mask.shape != (dataset.num_edges,) or not mask.any():
        raise ValueError(f"kept must be a mask of shape ({dataset.num_edges},) with some True, got {mask.shape}")
    rows = np.flatnonzero(mask)
    return replace(
        dataset,
        edge_index=dataset.edge_index[:, rows],
        flags=dataset.flags[rows],
        length=dataset.length[rows],
        counts=sparse.csr_array(dataset.counts[:, rows]),
        volume={year: values[rows] for year, values in dataset.volume.items()},
        streets=tuple(dataset.streets[row] for row in rows) if dataset.streets else (),
    )


def held_out_metrics(
    dataset: RoadDataset, learn: Learner, held_out: Any, train_years: Sequence[int], test_years: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Judge a model on a district with and without having learnt from it.

    Parameters
    ----------
    dataset : RoadDataset
    learn : callable
        From a data set to a callable that scores the segments of another one, by row of the month; see
        `network_learner`.
    held_out : array_like of bool, shape (E,)
        Segments of the district.
    train_years, test_years : sequences of int
        Features are scaled by the training years of the part learnt from; test years are judged.

    Returns
    -------
    dict
        ``"time"``: the model that learnt from all segments, ``"space"``: the one that learnt from the others, each
        with ``auroc``, ``ap``, ``precision_at_k`` on the held-out segments in the test years (means over months,
        weighted by segments with accidents).

    Raises
    ------
    LeakageError
        If test years are among the training years.
    ValueError
    """
    if set(map(int, train_years)) & set(map(int, test_years)):
        raise LeakageError(f"test_years must not be among train_years, got {list(train_years)} and {list(test_years)}")
    outside = np.asarray(held_out)
    if outside.dtype != bool or outside.shape != (dataset.num_edges,) or not outside.any() or outside.all():
        raise ValueError(f"held_out must be a mask of shape ({dataset.num_edges},) that is neither empty nor full")
    part = part_of(dataset, ~outside)
    silent = unknown(dataset, outside, part.scaler(train_years))
    return {
        "time": _judged(dataset, learn(dataset), dataset, outside, test_years),
        "space": _judged(dataset, learn(part), silent, outside, test_years),
    }


def unknown(dataset: RoadDataset, held_out: np.ndarray, scaler: Scaler) -> RoadDataset:
    """Return the whole network, scaled by `scaler`, without the accidents of the segments held out."""
    known = dataset.counts.copy()
    known.data[held_out[known.indices]] = 0
    known.eliminate_zeros()
    given = {field.name: getattr(dataset, field.name) for field in fields(RoadDataset)}
    return _Scaled(**given | {"counts": known, "as_scaled": scaler})


def _judged(
    dataset: RoadDataset, score: Scorer, readable: RoadDataset, chosen: np.ndarray, years: Sequence[int]
) -> dict[str, float]:
    rows = []
    for row in dataset.rows_of(years):
        counts = dataset.counts[[int(row)]].toarray()[0][chosen]
        rows.append(evaluate(score(readable, int(row))[chosen], counts))
    return {name: monthly_mean(rows, name) for name in _METRICS}


def network_learner(
    model: Callable[[int, int], RoadGNN],
    train_years: Sequence[int],
    valid_years: Sequence[int],
    test_years: Sequence[int],
    *,
    history: bool = True,
    device: Any = "cpu",
    **options: Any,
) -> Learner:
    """Return what trains a network and scores segments with it; further options are those of `train`."""

    def learn(dataset: RoadDataset) -> Scorer:
        inputs = Inputs(dataset, train_years, history)
        network = seeded_network(model, inputs, integer("seed", options.get("seed", 0), minimum=0))
        train(
            dataset,
            network,
            train_years=train_years,
            valid_years=valid_years,
            test_years=test_years,
            history=history,
            device=device,
            **options,
        )
        seen: dict[int, Inputs] = {}

        def score(other: RoadDataset, row: int) -> np.ndarray:
            if id(other) not in seen:
                seen.clear()
                seen[id(other)] = Inputs(other, train_years, history, device)
            return scores_of(network, seen[id(other)], row)

        return score

    return learn


def scores_of(network: RoadGNN, inputs: Inputs, row: int) -> np.ndarray:
    """Return the probability of an accident of every segment in a month, shape (E,)."""
    network.eval()
    with torch.no_grad():
        return torch.sigmoid(inputs.scores(network, row)).cpu().numpy()


def past_count_learner(dataset: RoadDataset) -> Scorer:
    """Score by the mean of all months before: where nothing is known, all segments are alike."""
    return lambda other, row: np.asarray(other.counts[:row].sum(axis=0)).ravel() / max(row, 1)
