"""The matrices of the paper's simulations: tall, of low rank up to a little noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reprise.one_sided_completion.validation import integer, number

Array = np.ndarray[Any, Any]

NOISE = 1e-4  # standard deviation of the noise on entries of mixtures


def orthonormal_rows(rank: int, d: int, generator: np.random.Generator) -> Array:
    """Right singular vectors of a Gaussian matrix, shape (rank, d)."""
    return np.linalg.svd(generator.standard_normal((rank, d)), full_matrices=False)[2]


def linear_mixtures(n: int, d: int, rank: int, *, seed: int, noise: float = NOISE) -> Array:
    """Every row a weighted mean of the same `rank` orthonormal vectors.

    Parameters
    ----------
    n, d, rank : int
    seed : int
    noise : float
        Standard deviation of Gaussian noise on every entry.

    Returns
    -------
    ndarray, shape (n, d)
        Row Σ_j a_j V_j + noise, with a_j uniform on [0.25, 1.75] and then divided by their sum.

    Raises
    ------
    ValueError
        If the rank exceeds d.

    Examples
    --------
    >>> linear_mixtures(50, 20, 3, seed=0).shape
    (50, 20)
    """
    generator = _generator(n, d, rank, noise, seed)
    vectors = orthonormal_rows(rank, d, generator)
    weights = generator.uniform(0.25, 1.75, (n, rank))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ vectors + noise * generator.standard_normal((n, d))


def noisy_mixtures(n: int, d: int, rank: int, *, seed: int, noise: float = NOISE) -> Array:
    """Every row one of the same `rank` orthonormal vectors, chosen uniformly, plus noise, shape (n, d).

    Parameters and errors as in `linear_mixtures`.

    Examples
    --------
    >>> rows = noisy_mixtures(50, 20, 3, seed=0, noise=0.0)
    >>> len(np.unique(rows, axis=0))
    3
    """
    generator = _generator(n, d, rank, noise, seed)
    vectors = orthonormal_rows(rank, d, generator)
    return vectors[generator.integers(rank, size=n)] + noise * generator.standard_normal((n, d))


def common_means(n: int, d: int, rank: int, *, seed: int, spread: float = 1.0) -> Array:
    """Entries from N(2/√d, (spread/d)²), truncated to `rank` by the singular value decomposition, shape (n, d).

    Almost all of it is the common mean: ‖MᵀM/n‖_F ≈ 4, and the entries of MᵀM/n differ from 4/d by about 1 %.

    Parameters
    ----------
    n, d, rank : int
    seed : int
    spread : float
        Standard deviation of the entries before truncation, in units of 1/d.

    Raises
    ------
    ValueError
        If the rank exceeds d.

    Examples
    --------
    >>> M = common_means(100, 25, 2, seed=0)
    >>> int(np.linalg.matrix_rank(M)), round(float(np.linalg.norm(M.T @ M / 100)), 1)
    (2, 4.0)
    """
    generator = _generator(n, d, rank, spread, seed)
    # Single precision halves the memory of the largest array here; the mean of what is lost is 1e-8 of an entry.
    full = generator.standard_normal((n, d), dtype=np.float32)
    full *= np.float32(spread / d)
    full += np.float32(2 / np.sqrt(d))
    leading = np.linalg.eigh((full.T @ full).astype(np.float64))[1][:, -rank:].astype(np.float32)
    return (full @ leading) @ leading.T


GENERATORS: dict[str, Callable[..., Array]] = {
    "linear-mixtures": linear_mixtures,
    "noisy-mixtures": noisy_mixtures,
    "common-means": common_means,
}


def _generator(n: int, d: int, rank: int, noise: float, seed: int) -> np.random.Generator:
    integer("n", n)
    integer("d", d)
    integer("rank", rank, maximum=d, limit="d")
    number("noise", noise)
    return np.random.default_rng(seed)
