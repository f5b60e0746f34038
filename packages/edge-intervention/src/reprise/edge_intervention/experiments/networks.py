"""The real networks of the experiments, their parameters, and the interventions that are compared on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reprise.core import Context, DataSet, RemoteFile
from reprise.edge_intervention import baselines
from reprise.edge_intervention.edge_lists import load_edges
from reprise.edge_intervention.mobility import CITIES, MobilityNetwork, load_mobility
from reprise.edge_intervention.solver import frank_wolfe
from reprise.edge_intervention.spectrum import leading_triples

_PARTS = ("weights.npz", "beta_poi.npy", "cbg_population.npy", "poi_indexes.npy")
MOBILITY = {
    city: DataSet(
        name="edge-intervention",
        files=tuple(RemoteFile(f"mobility/{city}/{part}") for part in _PARTS),
        source="GitHub VirtuosoResearch/Designing-Intervention-on-Mobility-Networks, data/generated_networks",
        size="2 to 8 MB a city",
        licence="MIT",
    )
    for city in ("CH", "MI", "PH", "WA")
}
WEEKLY = DataSet(
    name="edge-intervention",
    files=(
        RemoteFile("mobility/WA/weekly_networks.npz"),
        RemoteFile("mobility/WA/beta_poi.npy"),
        RemoteFile("mobility/WA/cbg_population.npy"),
    ),
    source="GitHub VirtuosoResearch/Designing-Intervention-on-Mobility-Networks, data/generated_weekly_networks",
    size="6 MB",
    licence="MIT",
)
# Name: file, format, and the paper's rank and steps.
GRAPHS = {
    "airport": ("graphs/openflights.txt", "tnet", 6, 4),
    "advogato": ("graphs/out.advogato", "konect", 7, 12),
    "bitcoin": ("graphs/soc-sign-bitcoinalpha.csv", "bitcoin", 3, 15),
}
SOCIAL = DataSet(
    name="edge-intervention",
    files=tuple(RemoteFile(file) for file, *_ in GRAPHS.values()),
    source="openflights of tnet (opsahl.co.uk), advogato of KONECT (konect.cc), soc-sign-bitcoin-alpha of SNAP",
    size="2 MB",
    licence="free for research, cite their authors",
)

# The paper's rank and steps were tuned per city; these are the same for all.
FIXED = (20, 30)
BASELINES = ("uniform", "weighted", "K-edge")


def city_network(context: Context, city: str) -> MobilityNetwork:
    """Return a city with transmission rates per step and visits per week."""
    return _city(context.data(MOBILITY[city]), city)


@cache
def _city(folder: Path, city: str) -> MobilityNetwork:
    found = load_mobility(folder / "mobility" / city)
    return MobilityNetwork(found.weekly, found.beta_poi * CITIES[city].psi, found.population, found.category_pois)


def graph(context: Context, name: str) -> sparse.csr_array:
    """Return one of the three graphs."""
    file, kind, *_ = GRAPHS[name]
    return load_edges(context.data(SOCIAL) / file, kind)


def top_singular_value(W: sparse.csr_array) -> float:
    """Return σ₁."""
    return float(leading_triples(W, 1).values[0])


def city_intervention(network: MobilityNetwork, city: str, method: str, fraction: float) -> sparse.csr_array:
    """Return the weights of a method that `METHODS` explains."""
    W = network.weights
    rank, steps = FIXED
    options: dict[str, Any] = {"budget_fraction": fraction, "smoothing": 0.0}
    if method == "none":
        return W
    if method == "FW paper":
        return frank_wolfe(W, rank=CITIES[city].rank, steps=CITIES[city].steps, mode="paper", **options).weights
    if method == "FW fixed":
        return frank_wolfe(W, rank=rank, steps=steps, **options).weights
    if method == "FW smoothed":
        return frank_wolfe(W, rank=rank, steps=steps, budget_fraction=fraction).weights
    if method.startswith("FW r="):
        return frank_wolfe(W, rank=int(method[5:]), steps=steps, **options).weights
    if method == "next generation":
        made = frank_wolfe(
            W,
            rank=rank,
            steps=steps,
            objective="next_generation",
            beta_poi=network.beta_poi,
            population=network.population,
            **options,
        )
        return made.weights
    if method == "category":
        return baselines.close_categories(W, network.category_pois, budget_fraction=fraction)
    return SIMPLE[method](W, budget_fraction=fraction)


SIMPLE: dict[str, Any] = {
    "uniform": baselines.uniform,
    "weighted": baselines.weighted,
    "weighted, whole budget": lambda W, **budget: baselines.weighted(W, exact_budget=True, **budget),
    "K-edge": baselines.k_edge_deletion,
    "water-fill": baselines.water_fill,
    "degree product": baselines.degree_product,
    "random": baselines.random_edges,
}


def deciles(values: np.ndarray) -> np.ndarray:
    """Return the tenth of the ranking in which each value lies, 0 to 9."""
    order = np.empty(len(values), dtype=np.int64)
    order[np.argsort(values, kind="stable")] = np.arange(len(values))
    return order * 10 // len(values)
