"""A road network with its accidents, weather and traffic, month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.validation import real_array

Month = tuple[int, int]
WEATHER = ("tavg", "tmin", "tmax", "prcp", "wspd", "pres")  # °C, °C, °C, mm a day, km/h, hPa
FLAGS = (
    *("oneway", "access_ramp", "bus_stop", "crossing", "disused", "elevator", "escape", "living_street", "motorway"),
    *("motorway_link", "primary", "primary_link", "residential", "rest_area", "road", "secondary", "secondary_link"),
    *("stairs", "tertiary", "tertiary_link", "trunk", "trunk_link", "unclassified", "unsurfaced"),
)


@dataclass(frozen=True)
class MonthData:
    """What is known of one month.

    Parameters
    ----------
    x : ndarray, shape (N, p + 6)
        Static features of the nodes, then the weather of the month.
    z : ndarray, shape (E, 26)
        24 flags and the length of the edges, then the traffic of the year.
    counts : ndarray of int, shape (E,)
        Accidents.
    observed : bool
        Whether accidents were recorded that month at all.
    """

    x: np.ndarray
    z: np.ndarray
    counts: np.ndarray
    observed: bool


@dataclass(frozen=True)
class Scaler:
    """Means and standard deviations of the training years, by which features are centred and scaled.

    Parameters
    ----------
    static, weather, length, volume : tuple of (mean, standard deviation)
        Standard deviations of 0 are 1. Missing values become the mean.
    """

    static: tuple[np.ndarray, np.ndarray]
    weather: tuple[np.ndarray, np.ndarray]
    length: tuple[float, float]
    volume: tuple[float, float]


@dataclass(frozen=True)
class RoadDataset:
    """Junctions, segments and months.

    Parameters
    ----------
    name : str
    node_id : ndarray, shape (N,)
        As the owner of the data numbers them.
    lon, lat : ndarray, shape (N,)
        Degrees.
    edge_index : ndarray of int64, shape (2, E)
        Rows of both ends of each segment.
    flags : ndarray of bool, shape (E, 24)
        In the order of `FLAGS`.
    length : ndarray, shape (E,)
        Metres; NaN where unknown.
    months : tuple of (year, month)
        In order of time.
    counts : csr_array of int, shape (months, E)
        Accidents.
    weather : ndarray, shape (months, N or 1, 6)
        In the order of `WEATHER`, NaN where unknown; one row where all nodes share a station.
    volume : mapping of year to ndarray, shape (E,)
        Annual average daily traffic, NaN where unknown.
    node_static : ndarray, shape (N, p)
    observed : ndarray of bool, shape (months,)
        Months in which accidents were recorded.
    images : ndarray, shape (N, d), optional
        Embedding of an aerial image of every node; rows of zeros where there is none.
    streets : tuple of ndarray
        Lines of the segments for maps, if known.
    report : mapping
        What was found and repaired while reading: rejects, misaligned edges, missing values.
    """

    name: str
    node_id: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    edge_index: np.ndarray
    flags: np.ndarray
    length: np.ndarray
    months: tuple[Month, ...]
    counts: sparse.csr_array
    weather: np.ndarray
    volume: Mapping[int, np.ndarray]
    node_static: np.ndarray
    observed: np.ndarray
    images: np.ndarray | None = None
    streets: tuple[np.ndarray, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, edges, months = len(self.node_id), self.edge_index.shape[1], len(self.months)
        expected = {
            "lon": (self.lon.shape, (n,)),
            "lat": (self.lat.shape, (n,)),
            "edge_index": (self.edge_index.shape, (2, edges)),
            "flags": (self.flags.shape, (edges, len(FLAGS))),
            "length": (self.length.shape, (edges,)),
            "counts": (self.counts.shape, (months, edges)),
            "node_static": (self.node_static.shape[:1], (n,)),
            "observed": (self.observed.shape, (months,)),
            "weather": (self.weather.shape, (months, self.weather.shape[1], len(WEATHER))),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise ValueError(f"{name} must have shape {wanted}, got {found}")
        if self.images is not None and (self.images.ndim != 2 or len(self.images) != n):
            raise ValueError(f"images must have shape ({n}, d), got {self.images.shape}")
        if self.weather.shape[1] not in (1, n):
            raise ValueError(f"weather must have one row per node, {n}, or one for all, got {self.weather.shape[1]}")
        if edges and (self.edge_index.min() < 0 or self.edge_index.max() >= n):
            raise ValueError(f"edge_index must lie within 0 and {n - 1}, got {self.edge_index.max()}")
        if list(self.months) != sorted(set(self.months)):
            raise ValueError("months must be in order of time, each once")
        if self.counts.nnz and (self.counts.data.min() < 0 or (self.counts.data % 1 != 0).any()):
            raise ValueError(f"counts must be whole numbers of at least 0, got {self.counts.data.min()}")

    @property
    def num_nodes(self) -> int:
        """Number of junctions."""
        return len(self.node_id)

    @property
    def num_edges(self) -> int:
        """Number of segments."""
        return int(self.edge_index.shape[1])

    @property
    def years(self) -> tuple[int, ...]:
        """Years with months, in order."""
        return tuple(sorted({year for year, _ in self.months}))

    @cached_property
    def edge_static(self) -> np.ndarray:
        """Flags and length in metres, shape (E, 25), as read."""
        return np.column_stack([self.flags.astype(np.float64), self.length])

    def edge_id(self, u: Any, v: Any) -> np.ndarray:
        """Return the edges from rows u to rows v, −1 where there is none; of parallel ones the last.

        Notes
        -----
        By key ``u · N + v``: files hold edges in orders of their own.
        """
        return find_edges(self.edge_index, self.num_nodes, u, v)

    def month_index(self, year: int, month: int) -> int:
        """Return the row of a month.

        Raises
        ------
        KeyError
            If the data set has no such month.
        """
        try:
            return self.months.index((year, month))
        except ValueError:
            raise KeyError(f"month {year}-{month:02d} is not among the {len(self.months)} of {self.name}") from None

    def rows_of(self, years: Sequence[int]) -> np.ndarray:
        """Return the rows of the observed months of some years, in order."""
        wanted = {int(year) for year in years}
        return np.array(
            [t for t, (year, _) in enumerate(self.months) if year in wanted and self.observed[t]], dtype=int
        )

    def scaler(self, train_years: Sequence[int]) -> Scaler:
        """Return means and deviations of the training years.

        Raises
        ------
        ValueError
            If the data set has no observed month in those years.
        """
        rows = self.rows_of(train_years)
        if not len(rows):
            raise ValueError(f"train_years must have observed months in {self.name}, got {list(train_years)}")
        static = _moments(self.node_static)
        weather = _moments(self.weather[rows].reshape(-1, len(WEATHER)))
        length = _moments(self.length[:, None])
        given = [self.volume[year] for year in train_years if year in self.volume]
        volume = _moments(np.concatenate(given)[:, None]) if given else (np.zeros(1), np.ones(1))
        return Scaler(
            static, weather, (float(length[0][0]), float(length[1][0])), (float(volume[0][0]), float(volume[1][0]))
        )

    def month(self, year: int, month: int, scaler: Scaler | None = None) -> MonthData:
        """Return one month; as read without a scaler, else centred, scaled and without missing values."""
        row = self.month_index(year, month)
        weather = np.broadcast_to(self.weather[row], (self.num_nodes, len(WEATHER)))
        volume = self.volume.get(year, np.full(self.num_edges, np.nan))
        static, length = self.node_static, self.length
        if scaler is not None:
            static, weather = scaled(static, *scaler.static), scaled(weather, *scaler.weather)
            length, volume = scaled(length, *scaler.length), scaled(volume, *scaler.volume)
        x = np.concatenate([static, weather], axis=1)
        z = np.column_stack([self.flags.astype(np.float64), length, volume])
        return MonthData(x, z, self.counts[[row]].toarray()[0], bool(self.observed[row]))

    def to_pyg(self, year: int, month: int, scaler: Scaler | None = None) -> Any:
        """Return one month as a graph of torch_geometric.

        Returns
        -------
        torch_geometric.data.Data
            ``x`` (N, p + 6) and ``pos`` (N, 2), degrees; ``edge_index`` (2, M) with ``edge_attr`` (M, 26): two-way
            segments carry messages both ways; ``edge_label_index`` (2, E) and ``edge_label`` (E,): every segment once,
            with its accidents; ``edge_id`` (M,): the segment of every message. Missing values are NaN without a
            scaler.

        Raises
        ------
        KeyError
            If the data set has no such month.
        """
        import torch

        # Before torch_geometric, which it loads without torch's warnings about itself.
        from reprise.road_safety.training import messages  # isort: skip
        from torch_geometric.data import Data

        given = self.month(year, month, scaler)
        edge_index, segment = messages(self)
        z = torch.as_tensor(given.z, dtype=torch.float32)
        return Data(
            x=torch.as_tensor(given.x, dtype=torch.float32),
            pos=torch.as_tensor(np.column_stack([self.lon, self.lat]), dtype=torch.float32),
            edge_index=edge_index,
            edge_attr=z[segment],
            edge_id=segment,
            edge_label_index=torch.as_tensor(self.edge_index),
            edge_label=torch.as_tensor(given.counts),
        )

    def with_node_features(self, features: np.ndarray) -> RoadDataset:
        """Return the same data set with other static features of the nodes, shape (N, p)."""
        return replace(self, node_static=np.asarray(features, dtype=np.float64))

    def with_images(self, embedding: Any) -> RoadDataset:
        """Return the same data set with an embedding of an image of every node, shape (N, d); zeros: no image.

        Raises
        ------
        ValueError, TypeError
            If the embedding is no finite array of one row per node.
        """
        return replace(self, images=real_array("embedding", embedding, ndim=2, length=self.num_nodes))


def find_edges(edge_index: np.ndarray, num_nodes: int, u: Any, v: Any) -> np.ndarray:
    """Return the position of each pair (u, v) among the edges, −1 where it is none; of equal edges the last."""
    keys = edge_index[0].astype(np.int64) * num_nodes + edge_index[1]
    wanted = np.asarray(u, dtype=np.int64) * num_nodes + np.asarray(v, dtype=np.int64)
    if not len(keys):
        return np.full(wanted.shape, -1)
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], wanted, side="right") - 1
    found = (place >= 0) & (keys[order][np.maximum(place, 0)] == wanted)
    return np.where(found, order[np.maximum(place, 0)], -1)


def scaled(values: np.ndarray, mean: Any, deviation: Any) -> np.ndarray:
    """Centre and scale; missing values become the mean, 0."""
    return np.asarray(np.nan_to_num((values - mean) / deviation, nan=0.0))


def monthly_counts(
    months: Sequence[Month], edges: int, month: np.ndarray, edge: np.ndarray, count: np.ndarray
) -> sparse.csr_array:
    """Sum counts by row of month and by edge, shape (months, E).

    Raises
    ------
    DatasetLayoutError
        If a count is negative or no whole number.
    """
    value = np.asarray(count, dtype=np.float64)
    if len(value) and (not np.isfinite(value).all() or (value < 0).any() or (value % 1 != 0).any()):
        wrong = value[~np.isfinite(value) | (value < 0) | (value % 1 != 0)][0]
        raise DatasetLayoutError(f"counts of accidents must be whole numbers of at least 0, got {wrong:g}")
    table = sparse.coo_array((value.astype(np.int64), (month, edge)), shape=(len(months), edges)).tocsr()
    table.eliminate_zeros()
    return table


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column without its missing values; 0 and 1 for a column without any."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / count
    deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(deviation > 0, deviation, 1.0)
