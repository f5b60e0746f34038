"""Made-up networks for tests, documentation and scaling: communities, a heavy tail, and a city."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reprise.edge_intervention.mobility import MobilityNetwork
from reprise.edge_intervention.validation import integer, number


def stochastic_block_model(
    size: int = 1000, blocks: int = 2, p_in: float = 0.05, p_out: float = 0.01, seed: int = 0
) -> sparse.csr_array:
    """Return an undirected graph of `blocks` communities of `size` nodes with weights 1.

    Examples
    --------
    >>> stochastic_block_model(size=50).shape
    (100, 100)
    """
    size, blocks = integer("size", size), integer("blocks", blocks)
    p_in, p_out = number("p_in", p_in, high=1.0), number("p_out", p_out, high=1.0)
    generator = np.random.default_rng(integer("seed", seed, minimum=0))
    block = np.repeat(np.arange(blocks), size)
    upper = generator.random((len(block), len(block))) < np.where(block[:, None] == block, p_in, p_out)
    upper = np.triu(upper, 1)
    return sparse.csr_array((upper | upper.T).astype(np.float64))


def power_law_graph(edges: int, nodes: int | None = None, seed: int = 0) -> sparse.csr_array:
    """Return a directed graph with a heavy tail: end points ``⌊n U²⌋``, weights ``1 + Poisson(2)``, repeated edges
    added.

    Parameters
    ----------
    edges : int
        Drawn; those that fall together make one.
    nodes : int, optional
        By default ``edges / 20``.
    seed : int

    Examples
    --------
    >>> power_law_graph(1000).shape
    (50, 50)
    """
    edges = integer("edges", edges)
    nodes = max(edges // 20, 2) if nodes is None else integer("nodes", nodes)
    generator = np.random.default_rng(integer("seed", seed, minimum=0))
    ends = (nodes * generator.random((2, edges)) ** 2).astype(np.int64)
    weights = 1.0 + generator.poisson(2.0, edges)
    return sparse.csr_array(sparse.coo_array((weights, (ends[0], ends[1])), shape=(nodes, nodes)))


def gravity_mobility(
    block_groups: int = 100,
    places: int = 300,
    *,
    length: float = 0.1,
    visits: float = 20.0,
    weeks: int = 1,
    seed: int = 0,
) -> tuple[MobilityNetwork, list[sparse.csr_array]]:
    """Return a made-up city: block groups and places on the unit square, with visits by gravity.

    Parameters
    ----------
    block_groups, places : int
    length : float
        Distance over which visits fall by a factor of e.
    visits : float
        Mean number per block group and thousand people, in a week.
    weeks : int
        How many weekly networks to draw; their totals vary by a factor between 0.7 and 1.3.
    seed : int

    Returns
    -------
    network : MobilityNetwork
        With the visits of the first week; ``beta_poi ∝ dwell² / area``.
    weekly : list of csr_array
        Poisson counts with means ``factor_t · N_i · size_j · exp(−distance/length)``.

    Examples
    --------
    >>> network, weekly = gravity_mobility(20, 30, weeks=2)
    >>> network.weights.shape, len(weekly)
    ((20, 30), 2)
    """
    n, m, weeks = integer("block_groups", block_groups), integer("places", places), integer("weeks", weeks)
    length, visits = number("length", length, open_low=True), number("visits", visits, open_low=True)
    generator = np.random.default_rng(integer("seed", seed, minimum=0))
    homes, sites = generator.random((n, 2)), generator.random((m, 2))
    population = np.rint(generator.lognormal(7.2, 0.4, n)) + 1
    size, area = generator.lognormal(0.0, 1.0, m), generator.lognormal(6.0, 0.8, m)
    dwell = generator.uniform(0.2, 1.0, m)
    distance = np.linalg.norm(homes[:, None, :] - sites[None, :, :], axis=2)
    pull = size * np.exp(-distance / length)
    mean = visits * population[:, None] / 1000 * pull / pull.sum(axis=1, keepdims=True)
    factors = generator.uniform(0.7, 1.3, weeks)
    weekly = [sparse.csr_array(generator.poisson(factor * mean).astype(np.float64)) for factor in factors]
    busiest = np.argsort(-size)[: max(m // 3, 1)]
    return MobilityNetwork(weekly[0], dwell**2 / area, population, np.sort(busiest)), weekly
