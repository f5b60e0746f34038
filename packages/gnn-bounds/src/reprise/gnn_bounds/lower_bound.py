"""The matching lower bound: data on which the gap is as large as the bound says, in closed form.

One fixed graph with leading eigenpair P u = ‖P‖ u (u > 0, ‖u‖ = 1), features X = u, identity activations and scalar
weights |w_i| ≤ s_i give outputs ``f = κ ‖P‖^(l−1) Π w_i`` with κ = 1ᵀu/n, at most ``F = κ ‖P‖^(l−1) Π s_i``. Labels
are fair coins y = ±1, and the loss is F − y f. The empirical risk is least at f = F sign(ȳ),
where the gap is F |ȳ|: on average F √(2/(πN)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from reprise.gnn_bounds.diffusion import is_symmetric
from reprise.gnn_bounds.spectral import spectral_norm
from reprise.gnn_bounds.validation import positive, whole

LIMIT = math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class LowerBoundGap:
    """Gaps of empirical risk minimisers.

    Parameters
    ----------
    gap : float
        Mean over trials of population risk − empirical risk.
    stderr : float
    factor : float
        F = κ ‖P‖^(l−1) Π s_i.
    normalised : float
        gap·√N/F, which tends to √(2/π) ≈ 0.798.
    """

    gap: float
    stderr: float
    factor: float
    normalised: float


def lower_bound_gap(
    P: Any, depth: int, scales: Sequence[float], N: int, trials: int, generator: np.random.Generator | int = 0
) -> LowerBoundGap:
    """Gap of the empirical risk minimiser on the data of the lower bound.

    Parameters
    ----------
    P : sparse or dense array, shape (n, n)
        Symmetric diffusion matrix of a connected graph, no entry negative.
    depth : int
        l, at least 2.
    scales : sequence of float, shape (l,)
        s_i > 0.
    N : int
        Training examples.
    trials : int
        Independent draws of N labels.
    generator : numpy Generator or int

    Returns
    -------
    LowerBoundGap

    Raises
    ------
    ValueError, TypeError
        If P is not symmetric, has negative entries or is not connected, or other arguments are out of range.

    Notes
    -----
    Nothing of the closed form is used: the network is run on the graph for both signs of its last weight (its output
    is multilinear in the weights, so that the minimum lies at a corner), and risks are computed from labels.

    Examples
    --------
    >>> ring = np.roll(np.eye(8), 1, axis=0) + np.roll(np.eye(8), -1, axis=0)
    >>> found = lower_bound_gap(ring, 3, [1.0, 1.0, 1.0], N=64, trials=4000)
    >>> abs(found.normalised - LIMIT) < 0.04
    True
    """
    depth, N, trials = whole("depth", depth, least=2), whole("N", N), whole("trials", trials)
    values = [positive(f"scales[{index}]", value) for index, value in enumerate(scales)]
    if len(values) != depth:
        raise ValueError(f"scales must have one entry per layer ({depth}), got {len(values)}")
    matrix, norm, leading = _leading_pair(P)
    if isinstance(generator, (int, np.integer)) and not isinstance(generator, bool):
        generator = np.random.default_rng(whole("generator", generator, least=0))
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator must be a numpy Generator or a seed, got {type(generator).__name__}")
    outputs = np.array([_forward(matrix, leading, [*values[:-1], sign * values[-1]]) for sign in (1.0, -1.0)])
    factor = float(leading.mean() * norm ** (depth - 1) * math.prod(values))
    positives = generator.binomial(N, 0.5, size=trials)
    mean_label = 2 * positives / N - 1
    empirical = factor - mean_label[:, None] * outputs  # (trials, 2)
    chosen = empirical.argmin(axis=1)
    # labels are fair coins, so that every predictor has the population risk F − E[y] f = F
    gaps = factor - empirical[np.arange(trials), chosen]
    gap = float(gaps.mean())
    stderr = float(gaps.std(ddof=1) / math.sqrt(trials)) if trials > 1 else math.nan
    return LowerBoundGap(gap, stderr, factor, gap * math.sqrt(N) / factor)


def _forward(matrix: sparse.csr_array, features: np.ndarray[Any, Any], weights: Sequence[float]) -> float:
    """Output of the linear network with scalar weights: mean over nodes of P^(l−1) X w_1 … w_l."""
    state = features
    for weight in weights[:-1]:
        state = (matrix @ state) * weight
    return float(state.mean() * weights[-1])


def _leading_pair(P: Any) -> tuple[sparse.csr_array, float, np.ndarray[Any, Any]]:
    """P, ‖P‖ and the positive unit eigenvector,."""
    norm = spectral_norm(P)  # checks the form of P
    matrix = sparse.csr_array(P if sparse.issparse(P) else np.asarray(P, dtype=np.float64)).astype(np.float64)
    if not is_symmetric(matrix) or (matrix.data < 0).any():
        raise ValueError("P must be symmetric without negative entries")
    parts = sparse.csgraph.connected_components(matrix, directed=False, return_labels=False)
    if parts != 1 or norm == 0:
        raise ValueError(f"P must be that of a connected graph with an edge, got {parts} components")
    if matrix.shape[0] <= 2000:
        vector = np.abs(np.linalg.eigh(matrix.toarray())[1][:, -1])
    else:
        start = np.ones(matrix.shape[0])
        vector = np.abs(sparse.linalg.eigsh(matrix, k=1, which="LA", v0=start)[1][:, 0])
    return matrix, norm, vector / np.linalg.norm(vector)
