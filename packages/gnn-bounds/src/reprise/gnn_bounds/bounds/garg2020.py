"""The Rademacher bound of Garg, Jegelka and Jaakkola (2020) for mean-field message-passing networks."""

from __future__ import annotations

import math

import numpy as np

from reprise.gnn_bounds.bounds.bound import Bound, log_geometric, log_sum, natural_log
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import FeatureNorm, GraphStatistics
from reprise.gnn_bounds.validation import number, positive, whole


def garg2020(
    norms: LayerNorms,
    stats: GraphStatistics,
    *,
    n: int,
    depth: int,
    width: int | None = None,
    margin: float = 1.0,
    feature_norm: FeatureNorm = "row",
    activation_bound: float = math.inf,
) -> Bound:
    """Rademacher bound on the gap with the maximum degree.

    Parameters
    ----------
    norms, stats, n, depth, width, margin, feature_norm
        As for `liao2021`; ‖U‖ and ‖W‖ are `norms.own` and `norms.neighbour`. For a GCN, which it is not stated for,
        the norms are plugged in.
    activation_bound : float
        b, the largest absolute value of the activation φ: infinite for ReLU, 1 for tanh. A bounded one takes the
        growth with depth out of R.

    Returns
    -------
    Bound
        `parts` holds log10 of ``log Q`` as ``"log_Q"``.

    Raises
    ------
    ValueError, TypeError
        For `n` below 1, `depth` below 2, `margin` not positive, or other arguments out of range.

    Notes
    -----
    Their Proposition 7 with L = l − 1 rounds: ``4/(γN) + 24 r B_β Z √(3 log Q)/(γ √N)``,
    ``Q = 24 B_β √N max(Z, M √r max(B_X B_1, R B_2))``, ``M = (𝓒^L − 1)/(𝓒 − 1)``, ``𝓒 = d B_2``,
    ``R = d min(b √r, B_1 B_X M)``, ``Z = B_1 B_X + B_2 R``.
    """
    count, depth = whole("n", n), whole("depth", depth, least=2)
    r = int(norms.dims.max()) if width is None else whole("width", width)
    gamma, bounded = np.log(positive("margin", margin)), number("activation_bound", activation_bound, above=0.0)
    own, neighbour = (float(natural_log(part[:-1].max(initial=0.0))) for part in (norms.own, norms.neighbour))
    out = float(natural_log(norms.spectral[-1]))
    features, degree = float(natural_log(stats.feature(feature_norm)).max()), float(natural_log(stats.max_degree))
    half_count, half_width = 0.5 * np.log(count), 0.5 * np.log(r)

    growth = log_geometric(degree + neighbour, depth - 1)  # M
    reach = degree + min(np.log(bounded) + half_width, own + features + growth)  # R
    size = log_sum([own + features, neighbour + reach])  # Z
    log_q = np.log(24) + out + half_count + max(size, growth + half_width + max(own + features, reach + neighbour))
    log_log_q = float(natural_log(max(log_q, 0.0)))
    main = np.log(24) + np.log(r) + out + size + 0.5 * (np.log(3) + log_log_q) - gamma - half_count
    logs = np.array([np.log(4) - gamma - np.log(count), main])
    scale = np.log(10.0)
    parts = {"log_Q": log_log_q / scale, "Z": size / scale, "R": reach / scale}
    return Bound("Garg et al. 2020", log_sum(logs) / scale, logs / scale, parts)
