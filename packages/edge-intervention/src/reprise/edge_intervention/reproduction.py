"""The basic reproduction number of a mobility network: how many people one infectious person infects at the start."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from reprise.edge_intervention.spectrum import DENSE
from reprise.edge_intervention.validation import number, numbers
from reprise.edge_intervention.weights import as_weights


def reproduction_number(W: Any, beta_poi: Any, population: Any, beta_base: float, recovery: float = 14) -> float:
    """R₀ of the metapopulation model.

    Parameters
    ----------
    W : matrix, shape (n, m)
        Visits per step.
    beta_poi : array_like, shape (m,)
    population : array_like, shape (n,)
        At least 1.
    beta_base : float
        Transmission rate at home.
    recovery : float
        Mean length of the infectious period, in steps.

    Returns
    -------
    float
        ``recovery · λ_max(β_base I + N^{-1/2} W B Wᵀ N^{-1/2})``, the growth near the state without disease.

    Raises
    ------
    InvalidWeightsError, ValueError, TypeError

    Examples
    --------
    >>> reproduction_number([[2.0]], [0.5], [100.0], beta_base=0.1)
    1.68
    """
    matrix = as_weights(W)
    n, m = matrix.shape
    beta = numbers("beta_poi", beta_poi, m, of="place")
    people = numbers("population", population, n, of="block group", low=1.0)
    base = number("beta_base", beta_base)
    recovery = number("recovery", recovery, low=1.0)
    scaled = matrix.multiply(people[:, None] ** -0.5).multiply(beta**0.5).tocsr()
    if n <= DENSE:
        top = float(np.linalg.eigvalsh((scaled @ scaled.T).toarray())[-1])
    else:
        gram = LinearOperator((n, n), matvec=lambda x: scaled @ (scaled.T @ x), dtype=np.float64)
        top = float(eigsh(gram, 1, which="LA", v0=np.ones(n), return_eigenvectors=False)[0])
    return round(recovery * (base + max(top, 0.0)), 12)
