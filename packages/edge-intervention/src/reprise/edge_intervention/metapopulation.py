"""Metapopulation epidemics on a mobility network: people of block groups infect one another at places and at home.

The model of Chang et al. (Nature 2021) with static or weekly visits, as the paper's experiments use it. All runs go
through one sparse product per step, as columns of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from reprise.edge_intervention.draws import binomial, mixed, poisson
from reprise.edge_intervention.epidemic import EpidemicResult
from reprise.edge_intervention.temporal import same_shape
from reprise.edge_intervention.validation import integer, number, numbers, one_of
from reprise.edge_intervention.weights import as_weights

MODELS = ("seir", "sir", "sis")


def simulate_metapopulation(
    W: Any,
    beta_poi: Any,
    population: Any,
    beta_base: float,
    p0: float,
    model: str = "seir",
    steps: int = 100,
    runs: int = 50,
    incubation: float = 16,
    recovery: float = 14,
    seed: int = 0,
    *,
    steps_per_network: int = 7,
) -> EpidemicResult:
    """Simulate an epidemic over the block groups of a mobility network.

    Parameters
    ----------
    W : matrix (n, m), or list of them
        Visits per step of each block group to each place. A list holds the weeks; each lasts `steps_per_network` steps,
        and the last one goes on.
    beta_poi : array_like, shape (m,)
        Transmission rate of each place, ``ψ`` times its published factor.
    population : array_like, shape (n,)
        At least 1; rounded to whole people.
    beta_base : float
        Transmission rate at home.
    p0 : float
        Share of people who are exposed (SEIR) or infectious (SIR, SIS) at the start.
    model : {"seir", "sir", "sis"}
    steps, runs : int
    incubation, recovery : float
        Mean length of the exposed and the infectious period, in steps.
    seed : int
        Runs with one seed use common random numbers, whatever the network.
    steps_per_network : int

    Returns
    -------
    EpidemicResult

    Raises
    ------
    InvalidWeightsError, ValueError, TypeError

    Notes
    -----
    Per step, of block group i: ``λ_i = Σ_j W_ij β_j Σ_k W_kj I_k/N_k``; newly exposed are ``Poisson(λ_i S_i/N_i) +
    Binomial(S_i, β_base I_i/N_i)``, at most S_i; of those exposed and infectious before the step, ``Binomial(E_i,
    1/16)`` and ``Binomial(I_i, 1/14)`` move on. Poisson draws above S_i are cut off, which matters only late in an
    epidemic. Time O(steps · runs · nnz), memory O((n + m) runs).

    Examples
    --------
    >>> found = simulate_metapopulation([[2.0], [1.0]], [0.5], [100, 200], beta_base=0.1, p0=0.05, runs=3, steps=20)
    >>> found.I.shape, bool((found.S + found.E + found.I + found.R == 300).all())
    ((3, 21), True)
    """
    weeks = same_shape(W) if isinstance(W, (list, tuple)) and np.ndim(W[0] if len(W) else 0) != 1 else [as_weights(W)]
    n, m = weeks[0].shape
    beta = numbers("beta_poi", beta_poi, m, of="place")
    people = np.rint(numbers("population", population, n, of="block group", low=1.0)).astype(np.int64)
    beta_base, p0 = number("beta_base", beta_base), number("p0", p0, high=1.0)
    one_of("model", model, MODELS)
    steps, runs = integer("steps", steps), integer("runs", runs)
    latent = 1.0 / number("incubation", incubation, low=1.0)
    recovering = 1.0 / number("recovery", recovery, low=1.0)
    seed = integer("seed", seed, minimum=0)
    lasting = integer("steps_per_network", steps_per_network)

    S, E, I, R, ever = (np.zeros((n, runs), dtype=np.int64) for _ in range(5))  # noqa: E741
    _begin(S, E if model == "seir" else I, ever, people, p0, seed)
    curves = np.zeros((4, runs, steps + 1), dtype=np.int64)
    curves[:, :, 0] = [state.sum(axis=0) for state in (S, E, I, R)]
    transposes = [week.T.tocsr() for week in weeks]
    for step in range(steps):
        week = min(step // lasting, len(weeks) - 1)
        # np.divide by people as columns: what a place meets is the share of each block group that is infectious.
        density = transposes[week] @ (I / people[:, None])
        force = weeks[week] @ (density * beta[:, None])
        _step(S, E, I, R, ever, force, people, beta_base, latent, recovering, MODELS.index(model), step, seed)
        curves[:, :, step + 1] = [state.sum(axis=0) for state in (S, E, I, R)]
    return EpidemicResult(curves[0], curves[1], curves[2], curves[3], model, ever.sum(axis=0))


@njit(cache=True)
def _begin(S: Any, first: Any, ever: Any, people: Any, p0: float, seed: int) -> None:
    n, runs = S.shape
    for i in range(n):
        for run in range(runs):
            state = mixed(mixed(mixed(seed, run), i), -1)
            first[i, run] = binomial(people[i], p0, state)
            S[i, run] = people[i] - first[i, run]
            ever[i, run] = first[i, run]


@njit(cache=True)
def _step(
    S: Any,
    E: Any,
    I: Any,  # noqa: E741
    R: Any,
    ever: Any,
    force: Any,
    people: Any,
    beta_base: float,
    latent: float,
    recovering: float,
    model: int,
    step: int,
    seed: int,
) -> None:
    """One step of all block groups and runs, in place; model is the index in MODELS."""
    n, runs = S.shape
    for run in range(runs):
        of_run = mixed(mixed(seed, run), step)
        for i in range(n):
            if S[i, run] == people[i] and force[i, run] == 0.0:
                continue
            state = mixed(of_run, i)
            size = people[i]
            infected = poisson(force[i, run] * S[i, run] / size, mixed(state, 0))
            infected += binomial(S[i, run], min(beta_base * I[i, run] / size, 1.0), mixed(state, 1))
            infected = min(infected, S[i, run])
            recovered = binomial(I[i, run], recovering, mixed(state, 3))
            S[i, run] -= infected
            ever[i, run] += infected
            if model == 0:
                turned = binomial(E[i, run], latent, mixed(state, 2))
                E[i, run] += infected - turned
                I[i, run] += turned - recovered
            else:
                I[i, run] += infected - recovered
            if model == 2:
                S[i, run] += recovered
            else:
                R[i, run] += recovered
