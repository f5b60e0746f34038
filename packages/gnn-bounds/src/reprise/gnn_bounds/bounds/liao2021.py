"""The PAC-Bayes bounds of Liao, Urtasun and Zemel (2021): the maximum degree, for GCNs and for MPGNNs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from reprise.gnn_bounds.bounds.bound import Bound, log_geometric, natural_log
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import FeatureNorm, GraphStatistics
from reprise.gnn_bounds.validation import choice, positive, whole


def liao2021(
    norms: LayerNorms,
    stats: GraphStatistics,
    *,
    n: int,
    depth: int,
    width: int | None = None,
    margin: float = 1.0,
    model: Literal["gcn", "mpgnn"] = "gcn",
    feature_norm: FeatureNorm = "row",
    zeta_exponent: int | None = None,
    constant: float = 42.0,
) -> Bound:
    """PAC-Bayes bound on the gap with the maximum degree.

    Parameters
    ----------
    norms, stats, n, depth
        As for `ju2023`.
    width : int, optional
        h, the largest width; the largest dimension of a weight matrix by default.
    margin : float
        γ.
    model : "gcn" or "mpgnn"
        Their Theorem 3.2, or Theorem 3.4 (weights shared over the first l − 1 layers).
    feature_norm : "row", "spectral" or "mean"
        B_X is the largest norm of a row in their text; Ju et al. put ‖X‖₂ in its place.
    zeta_exponent : int, optional
        Power of 1/ζ in Theorem 3.4, which matters where ζ < 1 only: l + 1 in their text, l − 1 as Ju et al. print it
        and by default here.
    constant : float
        42 of their theorems; 1 compares rates alone.

    Returns
    -------
    Bound

    Raises
    ------
    ValueError, TypeError
        For `n` below 1, `depth` below 2, `margin` not positive, or other arguments out of range.

    Notes
    -----
    GCN: ``√(42² B_X² (d+1)^(l−1) l² h log(4lh) Π s_i² Σ r_i² / (γ² N))`` with the maximum degree d.
    MPGNN: ``√(42² B_X² max(ζ^(−(l−1)), (λξ)^((l+1)/l))² l² h log(4lh) (2 s_1² r_1² + s_l² r_l²) / (γ² N))`` with
    ``ζ = min(s_1, s_l)``, ``λ = s_1 s_l``, ``ξ = ((d s_1)^(l−1) − 1)/(d s_1 − 1)``, which is l − 1 at d s_1 = 1.
    """
    count, depth = whole("n", n), whole("depth", depth, least=2)
    choice("model", model, ("gcn", "mpgnn"))
    h = int(norms.dims.max()) if width is None else whole("width", width)
    degree = stats.max_degree
    shared = (
        np.log(positive("constant", constant))
        - np.log(positive("margin", margin))
        - 0.5 * np.log(count)
        + float(natural_log(stats.feature(feature_norm)).max())
        + np.log(depth)
        + 0.5 * np.log(h)
        + 0.5 * np.log(np.log(4 * depth * h))
    )
    logs = natural_log(norms.spectral)
    if model == "gcn":
        ranks = 0.5 * np.log((norms.stable_rank**2).sum())
        total = shared + 0.5 * (depth - 1) * np.log(degree + 1) + logs.sum() + ranks
        parts = {"degree": 0.5 * (depth - 1) * np.log10(degree + 1)}
    else:
        first, last = float(logs[:-1].max(initial=-np.inf)), float(logs[-1])
        exponent = depth - 1 if zeta_exponent is None else whole("zeta_exponent", zeta_exponent, least=0)
        growth = log_geometric(float(natural_log(degree)) + first, depth - 1)
        spread = max(-exponent * min(first, last), (depth + 1) / depth * (first + last + growth))
        frobenius = norms.frobenius[:-1].max(initial=0.0)
        total = shared + spread + 0.5 * float(natural_log(2 * frobenius**2 + norms.frobenius[-1] ** 2))
        parts = {"degree": spread / np.log(10.0), "xi": growth / np.log(10.0)}
    value = float(total) / np.log(10.0)
    return Bound(f"Liao et al. 2021 ({model})", value, np.array([value]), parts)
