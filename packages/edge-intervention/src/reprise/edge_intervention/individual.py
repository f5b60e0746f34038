"""Epidemics from node to node of a weighted graph.

The chain in which a susceptible node escapes each step with ``Π_{j infectious} clip(1 − β W_ij, 10⁻³, 1)`` is drawn
edge by edge: the time that j takes to infect i is geometric, and so are the times that a node stays exposed and
infectious. What is left is a shortest path, and every draw belongs to an edge or a node. So with one seed the
epidemics on two networks are coupled, and a network with lower weights never has more nodes infected in any run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.edge_intervention.draws import geometric, mixed, uniform
from reprise.edge_intervention.epidemic import EpidemicResult
from reprise.edge_intervention.validation import integer, number, one_of
from reprise.edge_intervention.weights import as_weights

# The published code lets a node escape any one neighbour with at least this probability.
SMALLEST_ESCAPE = 1e-3


def simulate_graph(
    W: Any,
    beta: float = 0.05,
    p0: float = 0.01,
    steps: int = 50,
    runs: int = 50,
    *,
    model: str = "seir",
    incubation: float = 16,
    recovery: float = 14,
    seed: int = 0,
) -> EpidemicResult:
    """Simulate an epidemic on a weighted graph.

    Parameters
    ----------
    W : matrix, shape (n, n)
        ``W[i, j]`` is the weight with which j infects i: in-neighbours by row, as in the published code. Transpose a
        network whose edges point the way that the infection goes.
    beta : float
        Probability of infection per step and unit of weight.
    p0 : float
        Probability of each node to be exposed (SEIR) or infectious (SIR) at the start.
    steps, runs : int
    model : {"seir", "sir"}
    incubation, recovery : float
        Mean length of the exposed and the infectious period, in steps.
    seed : int
        Runs with one seed use common random numbers: lower weights never infect more.

    Returns
    -------
    EpidemicResult

    Raises
    ------
    InvalidWeightsError, ValueError, TypeError

    Notes
    -----
    The state at a step depends on that of the step before alone. Time O(edges of infected nodes) per run, independent
    of the number of steps but for the curves; memory O(n + nnz + runs · steps).

    Examples
    --------
    >>> chain = [[0, 0, 0], [100.0, 0, 0], [0, 100.0, 0]]
    >>> found = simulate_graph(chain, p0=0.2, steps=300, runs=4)
    >>> found.R.shape, bool((found.S + found.E + found.I + found.R == 3).all())
    ((4, 301), True)
    """
    matrix = as_weights(W)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"W must be square for a graph, got {matrix.shape}; simulate_metapopulation takes mobility networks"
        )
    beta, p0 = number("beta", beta), number("p0", p0, high=1.0)
    steps, runs = integer("steps", steps), integer("runs", runs)
    one_of("model", model, ("seir", "sir"))
    latent = 1.0 / number("incubation", incubation, low=1.0) if model == "seir" else 0.0
    recovering = 1.0 / number("recovery", recovery, low=1.0)
    seed = integer("seed", seed, minimum=0)
    columns = matrix.tocsc()
    escape = np.clip(1.0 - beta * columns.data, SMALLEST_ESCAPE, 1.0)
    curves = np.zeros((4, runs, steps + 1), dtype=np.int64)
    _simulate(columns.indptr, columns.indices, 1.0 - escape, p0, latent, recovering, seed, matrix.shape[0], curves)
    return EpidemicResult(curves[0], curves[1], curves[2], curves[3], model, matrix.shape[0] - curves[0, :, -1])


@njit(cache=True)
def _simulate(
    indptr: Any,
    indices: Any,
    infecting: Any,
    p0: float,
    latent: float,
    recovering: float,
    seed: int,
    n: int,
    curves: Any,
) -> None:
    """All runs; fills curves (4, runs, steps + 1). A latent rate of 0 stands for no latent period."""
    runs, steps = curves.shape[1], curves.shape[2] - 1
    infected_at = np.empty(n, np.int64)
    # Nodes by the step at which they are infected: chains through `following`, with some nodes in several of them.
    heads = np.empty(steps + 1, np.int64)
    capacity = 4 * n + 64
    following, named = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    for run in range(runs):
        infected_at[:] = steps + 1
        heads[:] = -1
        used = 0
        of_run = mixed(seed, run)
        exposed, infectious, recovered = curves[1, run], curves[2, run], curves[3, run]
        for i in range(n):
            if uniform(mixed(mixed(of_run, i), 1)) < p0:
                infected_at[i] = 0
                named[used], following[used], heads[0] = i, heads[0], used
                used += 1
        for now in range(steps + 1):
            entry = heads[now]
            while entry >= 0:
                j, entry = named[entry], following[entry]
                if infected_at[j] != now:
                    continue  # it was infected sooner by somebody else
                infected_at[j] = -now - 1  # done; a second entry of the same step must not count
                of_node = mixed(of_run, j)
                begins = now + (geometric(latent, mixed(of_node, 2)) if latent > 0.0 else 0)
                ends = begins + geometric(recovering, mixed(of_node, 3))
                exposed[now] += 1
                if begins <= steps:
                    exposed[begins] -= 1
                    infectious[begins] += 1
                if ends <= steps:
                    infectious[ends] -= 1
                    recovered[ends] += 1
                for e in range(indptr[j], indptr[j + 1]):
                    i = indices[e]
                    if infected_at[i] <= now:
                        continue
                    when = begins + geometric(infecting[e], mixed(mixed(of_node, 4), i))
                    if when <= min(ends, steps) and when < infected_at[i]:
                        infected_at[i] = when
                        if used == capacity:
                            capacity *= 2
                            following, named = _longer(following, capacity), _longer(named, capacity)
                        named[used], following[used], heads[when] = i, heads[when], used
                        used += 1
        total = 0
        for t in range(steps + 1):
            if t > 0:
                exposed[t] += exposed[t - 1]
                infectious[t] += infectious[t - 1]
                recovered[t] += recovered[t - 1]
            total = exposed[t] + infectious[t] + recovered[t]
            curves[0, run, t] = n - total


@njit(cache=True)
def _longer(array: Any, size: int) -> Any:
    longer = np.empty(size, np.int64)
    longer[: len(array)] = array
    return longer
