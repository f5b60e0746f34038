"""A city in which everything is known: what makes streets dangerous, what only an image shows, and what rain does.

Accidents follow the intensity::

    log λ_et = β₀ + .8 log(length/100 m) + class + .7 L_e + .5 S_e + .25 · winter_t + log 1.24 · rain_et + u_e

with a latent land use L and surface S (Gaussian fields on the junctions, the mean of both ends on a segment) and a
spatial residual u (a conditional autoregression on the segments). Counts are negative binomial. β₀ is solved for, so
that the wanted share of segments and months has an accident. Motorways have 1.22 times the accidents of the primary
roads that they would otherwise be, wet months 1.24 times those of dry ones, winter e^.25 = 1.28 times: the potential
outcomes are known, and with them the effects on the treated.
"""

from __future__ import annotations

from dataclasses import dataclass

import igraph
import numpy as np
from scipy import sparse
from scipy.optimize import brentq
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

from reprise.road_safety.dataset import FLAGS, WEATHER, Month, RoadDataset
from reprise.road_safety.features import structural_features
from reprise.road_safety.geometry import Projection
from reprise.road_safety.tiles import render_tiles
from reprise.road_safety.validation import integer, number, real_array

CLASSES = ("motorway", "primary", "secondary", "residential")
CLASS_EFFECTS = (0.5 + np.log(1.22), 0.5, 0.25, 0.0)
RAIN_EFFECT, WINTER_EFFECT, LAND_USE_EFFECT, SURFACE_EFFECT, LENGTH_EFFECT = np.log(1.24), 0.25, 0.7, 0.5, 0.8
DISPERSION = 2.0  # a gamma shape: the variance of a count is μ + μ²/2
RESIDUAL, DEPENDENCE = 0.4, 0.9  # standard deviation and ρ of the spatial residual
SPACING = 90.0  # metres: one junction per square of this side
MEAN_DEGREE = 2.8
STATES = (
    # Name, positive rate, shares of motorways, primary and secondary roads, level of traffic (vehicles a day).
    ("North", 0.020, (0.04, 0.12, 0.20), 3000.0),
    ("East", 0.030, (0.06, 0.14, 0.20), 5000.0),
    ("South", 0.040, (0.03, 0.10, 0.25), 4000.0),
    ("West", 0.025, (0.05, 0.16, 0.15), 6000.0),
    ("Middle", 0.035, (0.04, 0.08, 0.30), 8000.0),
)


@dataclass(frozen=True)
class TrueEffect:
    """A treatment with the expected potential outcomes of every unit, a segment in a month.

    Parameters
    ----------
    treated : ndarray of bool, shape (months, E)
    rate_treated, rate_control : ndarray, shape (months, E)
        Expected accidents λ with and without the treatment.
    """

    treated: np.ndarray
    rate_treated: np.ndarray
    rate_control: np.ndarray

    @property
    def att(self) -> float:
        """Mean effect on the treated, in accidents per segment and month."""
        return float((self.rate_treated - self.rate_control)[self.treated].mean())

    @property
    def att_any(self) -> float:
        """Mean effect on the treated, on the probability of any accident."""
        gap = any_accident(self.rate_treated) - any_accident(self.rate_control)
        return float(gap[self.treated].mean())

    @property
    def relative(self) -> float:
        """The effect on the treated over what they would have without: 0.24 is "24 % more"."""
        return self.att / float(self.rate_control[self.treated].mean())


@dataclass(frozen=True)
class SyntheticCity:
    """A synthetic city with all that is hidden in it.

    Parameters
    ----------
    dataset : RoadDataset
        What a user would have; without images.
    tiles : ndarray of uint8, shape (N, 32, 32, 3)
        An aerial image of every junction: see `render_tiles`.
    land_use, surface : ndarray, shape (N,)
        The latent fields, with mean 0 and standard deviation 1.
    residual : ndarray, shape (E,)
    rate : ndarray, shape (months, E)
        Expected accidents.
    intercept : float
        β₀.
    effects : dict of TrueEffect
        By treatment: ``motorway``, ``rain`` (above the yearly median of the segment), ``winter`` (December to
        February).
    """

    dataset: RoadDataset
    tiles: np.ndarray
    land_use: np.ndarray
    surface: np.ndarray
    residual: np.ndarray
    rate: np.ndarray
    intercept: float
    effects: dict[str, TrueEffect]


def synthetic_city(
    nodes: int = 1500,
    years: tuple[int, ...] = (2018, 2019, 2020),
    *,
    name: str = "synthetic",
    positive_rate: float = 0.035,
    class_shares: tuple[float, ...] = (0.04, 0.12, 0.20),
    traffic: float = 5000.0,
    volume_share: float = 0.03,
    seed: int = 0,
) -> SyntheticCity:
    """Draw a city.

    Parameters
    ----------
    nodes : int
        Junctions; there are about 1.4 segments for each.
    years : sequence of int
        Of twelve months each.
    name : str
    positive_rate : float
        Expected share of segments and months with an accident.
    class_shares : sequence of 3 floats
        Shares of motorways, primary and secondary roads, by betweenness of the segments from above; the rest is
        residential.
    traffic : float
        Vehicles a day on a residential segment of mean land use.
    volume_share : float
        Share of the segments with a traffic count; above 0 at least one has.
    seed : int

    Returns
    -------
    SyntheticCity

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> city = synthetic_city(nodes=60, years=(2020,), seed=1)
    >>> city.dataset.num_edges, city.tiles.shape, round(city.effects["motorway"].relative, 2)
    (84, (60, 32, 32, 3), 0.22)
    """
    nodes, seed = integer("nodes", nodes, minimum=20), integer("seed", seed, minimum=0)
    years = tuple(integer("years", year) for year in np.atleast_1d(np.asarray(years)).tolist())
    if not years or list(years) != sorted(set(years)):
        raise ValueError(f"years must be in order, each once, got {years}")
    positive_rate = number("positive_rate", positive_rate, low=0.0, high=0.5, open_low=True)
    shares = real_array("class_shares", class_shares, ndim=1, length=len(CLASSES) - 1)
    if (shares < 0).any() or shares.sum() > 1:
        raise ValueError(f"class_shares must be at least 0 and sum to at most 1, got {shares.tolist()}")
    traffic = number("traffic", traffic, low=0.0, open_low=True)
    volume_share = number("volume_share", volume_share, low=0.0, high=1.0)
    generator = np.random.default_rng(seed)
    places = SPACING * np.sqrt(nodes) * generator.random((nodes, 2))
    edge_index = planar_graph(places, MEAN_DEGREE, generator)
    edges = edge_index.shape[1]
    length = np.linalg.norm(places[edge_index[0]] - places[edge_index[1]], axis=1)
    kind = road_classes(edge_index, nodes, shares)
    laplacian = _laplacian(edge_index, nodes)
    land_use, surface = matern_field(laplacian, 0.05, generator, 2)
    residual = RESIDUAL * autoregression(edge_index, nodes, generator)
    months: tuple[Month, ...] = tuple((year, month) for year in years for month in range(1, 13))
    weather = _weather(laplacian, months, generator)
    rain = wet_months(weather[:, :, WEATHER.index("prcp")][:, edge_index].mean(axis=1), len(years))
    winter = np.array([month in (12, 1, 2) for _, month in months])[:, None]

    land_use_edge, surface_edge = (field[edge_index].mean(axis=0) for field in (land_use, surface))
    constant = LENGTH_EFFECT * np.log(length / 100) + LAND_USE_EFFECT * land_use_edge + SURFACE_EFFECT * surface_edge
    of_class = np.array(CLASS_EFFECTS)[kind]
    parts = {
        "motorway": (np.broadcast_to(kind == 0, rain.shape), CLASS_EFFECTS[0] - CLASS_EFFECTS[1]),
        "rain": (rain, RAIN_EFFECT),
        "winter": (np.broadcast_to(winter, rain.shape), WINTER_EFFECT),
    }
    log_rate = constant + residual + of_class + RAIN_EFFECT * rain + WINTER_EFFECT * winter
    intercept = float(
        brentq(lambda beta: any_accident(np.exp(beta + log_rate)).mean() - positive_rate, -30.0, 30.0, xtol=1e-10)
    )
    rate = np.exp(intercept + log_rate)
    effects = {}
    for treatment, (treated, effect) in parts.items():
        control = rate * np.exp(-effect * treated)
        effects[treatment] = TrueEffect(treated, control * np.exp(effect), control)
    counts = generator.poisson(rate * generator.gamma(DISPERSION, 1 / DISPERSION, rate.shape))

    flags = np.zeros((edges, len(FLAGS)), dtype=bool)
    flags[np.arange(edges), [FLAGS.index(CLASSES[index]) for index in kind]] = True
    flags[:, 0] = (kind == 3) & (generator.random(edges) < 0.25)
    busy = np.log(traffic) + 0.6 * land_use_edge + np.array([1.5, 1.0, 0.5, 0.0])[kind]
    aadt = np.exp(busy + 0.2 * generator.standard_normal(edges))
    counted = np.zeros(edges, dtype=bool)
    counted[generator.permutation(edges)[: int(np.ceil(volume_share * edges))]] = True
    position = Projection(-71.0, 42.0).degrees(places)
    dataset = RoadDataset(
        name=name,
        node_id=np.arange(nodes),
        lon=position[:, 0],
        lat=position[:, 1],
        edge_index=edge_index,
        flags=flags,
        length=length,
        months=months,
        counts=sparse.csr_array(counts),
        weather=weather,
        volume={year: np.where(counted, aadt * 1.01**index, np.nan) for index, year in enumerate(years)},
        node_static=structural_features(edge_index, nodes),
        observed=np.ones(len(months), dtype=bool),
        streets=tuple(position[ends] for ends in edge_index.T),
        report={"intercept": intercept, "positive_rate": float((counts > 0).mean())},
    )
    tiles = render_tiles(places, edge_index, kind, land_use, surface, generator)
    return SyntheticCity(dataset, tiles, land_use, surface, residual, rate, intercept, effects)


def synthetic_states(
    nodes: int = 400, years: tuple[int, ...] = (2018, 2019, 2020), *, seed: int = 0
) -> tuple[SyntheticCity, ...]:
    """Draw five cities that share their laws but not their accident rate, class mix and traffic: see `STATES`.

    Parameters
    ----------
    nodes : int
        Of each.
    years : sequence of int
    seed : int
        City number i has seed ``5 · seed + i``.

    Raises
    ------
    ValueError, TypeError
    """
    seed = integer("seed", seed, minimum=0)
    return tuple(
        synthetic_city(
            nodes,
            years,
            name=name,
            positive_rate=rate,
            class_shares=shares,
            traffic=traffic,
            seed=len(STATES) * seed + index,
        )
        for index, (name, rate, shares, traffic) in enumerate(STATES)
    )


def any_accident(rate: np.ndarray) -> np.ndarray:
    """Return the probability of at least one accident, ``1 − (1 + λ/r)^(−r)`` for a negative binomial of shape r."""
    return np.asarray(-np.expm1(-DISPERSION * np.log1p(rate / DISPERSION)))


def planar_graph(places: np.ndarray, mean_degree: float, generator: np.random.Generator) -> np.ndarray:
    """Return the edges of a connected planar graph on points, shape (2, E), ``E = N · mean_degree / 2``.

    The minimum spanning tree, and edges of the Delaunay triangulation drawn among those of at most twice the median
    length.
    """
    n = len(places)
    triangles = Delaunay(places).simplices
    pairs = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])), axis=0
    )
    length = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    tree = minimum_spanning_tree(sparse.csr_array((length, pairs.T), shape=(n, n))).tocoo()
    in_tree = np.isin(pairs @ [n, 1], np.sort(np.stack(tree.coords), axis=0).T @ [n, 1])
    spare = np.flatnonzero(~in_tree & (length <= 2 * np.median(length)))
    wanted = round(n * mean_degree / 2) - int(in_tree.sum())
    chosen = generator.choice(spare, min(wanted, len(spare)), replace=False)
    return np.asarray(pairs[np.sort(np.concatenate([np.flatnonzero(in_tree), chosen]))].T.astype(np.int64))


def road_classes(edge_index: np.ndarray, num_nodes: int, shares: np.ndarray) -> np.ndarray:
    """Return the class of every edge by its betweenness, as a position in `CLASSES`, shape (E,)."""
    graph = igraph.Graph(num_nodes, edge_index.T.tolist())
    rank = np.argsort(np.argsort(-np.asarray(graph.edge_betweenness(directed=False)), kind="stable"), kind="stable")
    borders = np.round(np.cumsum(shares) * edge_index.shape[1])
    return np.asarray(np.searchsorted(borders, rank, side="right"))


def matern_field(
    laplacian: sparse.csr_array, kappa_squared: float, generator: np.random.Generator, fields: int
) -> np.ndarray:
    """Draw Gaussian fields ``(κ² I + Laplacian)⁻¹ ε`` on a graph, with mean 0 and deviation 1, shape (fields, N)."""
    n = laplacian.shape[0]
    solver = splu(sparse.csc_array(laplacian + kappa_squared * sparse.eye_array(n)))
    drawn = solver.solve(generator.standard_normal((n, fields))).T
    drawn -= drawn.mean(axis=1, keepdims=True)
    return np.asarray(drawn / drawn.std(axis=1, keepdims=True))


def autoregression(edge_index: np.ndarray, num_nodes: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a conditional autoregression on the segments, with mean 0 and deviation 1, shape (E,).

    Notes
    -----
    Its precision is ``D − ρW = (1 − ρ) D + ρ BᵀB``, with W the segments that share an end, D their number and B the
    incidence matrix of W. So ``b = ((1 − ρ)D)^½ ε + √ρ Bᵀ ε'`` has that covariance, and solving with the precision
    gives an exact draw.
    """
    edges = edge_index.shape[1]
    ends = sparse.csr_array(
        (np.ones(2 * edges), (edge_index.ravel(), np.tile(np.arange(edges), 2))), shape=(num_nodes, edges)
    )
    first, second = sparse.triu(ends.T @ ends, k=1).tocoo().coords
    pairs = len(first)
    B = sparse.csr_array(
        (np.tile([1.0, -1.0], pairs), (np.repeat(np.arange(pairs), 2), np.stack([first, second], axis=1).ravel())),
        shape=(pairs, edges),
    )
    # A segment without neighbours has a residual of its own.
    degree = np.maximum(np.bincount(np.concatenate([first, second]), minlength=edges), 1)
    precision = (1 - DEPENDENCE) * sparse.diags_array(degree.astype(float)) + DEPENDENCE * (B.T @ B)
    noise = np.sqrt((1 - DEPENDENCE) * degree) * generator.standard_normal(edges)
    noise += np.sqrt(DEPENDENCE) * (B.T @ generator.standard_normal(pairs))
    drawn = splu(sparse.csc_array(precision)).solve(noise)
    return np.asarray((drawn - drawn.mean()) / drawn.std())


def wet_months(precipitation: np.ndarray, years: int) -> np.ndarray:
    """Return which months are wetter than the median of their year, by column, shape (12 · years, E)."""
    by_year = precipitation.reshape(years, 12, -1)
    return np.asarray((by_year > np.median(by_year, axis=1, keepdims=True)).reshape(precipitation.shape))


def _laplacian(edge_index: np.ndarray, num_nodes: int) -> sparse.csr_array:
    u, v = edge_index
    ends = (np.concatenate([u, v]), np.concatenate([v, u]))
    A = sparse.csr_array((np.ones(2 * len(u)), ends), shape=(num_nodes, num_nodes))
    return sparse.csr_array(sparse.diags_array(np.asarray(A.sum(axis=1)).ravel()) - A)


def _weather(laplacian: sparse.csr_array, months: tuple[Month, ...], generator: np.random.Generator) -> np.ndarray:
    """Monthly weather at the junctions in the units of `WEATHER`, shape (months, N, 6): smooth in space, seasonal."""
    count = len(months)
    season = np.cos(2 * np.pi * (np.array([month for _, month in months]) - 1) / 12)[:, None]
    local = matern_field(laplacian, 0.01, generator, count)
    common = generator.standard_normal((4, count, 1))
    mean = 10 - 12 * season + 1.5 * common[0] + 0.3 * local
    rainfall = 3 * np.exp(0.4 * common[1] + 0.2 * local)
    wind = 15 + 3 * season + 2 * common[2] + 0 * local
    pressure = 1015 + 4 * common[3] + 0 * local
    return np.stack([mean, mean - 5, mean + 5, rainfall, wind, pressure], axis=2)
