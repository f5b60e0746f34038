"""The bound of Ju, Li, Sharma and Zhang (2023): the spectral norm of the diffusion matrix, to the power l − 1."""

from __future__ import annotations

from typing import Literal

import numpy as np

from reprise.gnn_bounds.bounds.bound import Bound, log_sum, natural_log
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import FeatureNorm, GraphStatistics
from reprise.gnn_bounds.validation import choice, positive, whole


def ju2023(
    norms: LayerNorms,
    stats: GraphStatistics,
    *,
    n: int,
    depth: int,
    loss_bound: float = 5.4,
    constant: float = 1.0,
    feature_norm: FeatureNorm = "spectral",
    per: Literal["dataset", "graph"] = "dataset",
    readout: bool = False,
    exponent: int | None = None,
) -> Bound:
    """PAC-Bayes bound on the gap with the spectral norm of graph diffusion.

    Parameters
    ----------
    norms : LayerNorms
        Of the trained network.
    stats : GraphStatistics
        Of the data, with the network's diffusion.
    n : int
        Number N of training graphs.
    depth : int
        l: message-passing layers and the read-out.
    loss_bound : float
        B, an upper bound on the loss; 5.4 sufficed in the paper.
    constant : float
        C of the theorem, which depends on Lipschitz constants alone; 1 for measurements.
    feature_norm : "spectral", "row" or "mean"
        The paper's is ‖X‖₂; "mean" is ‖X‖_F/√n, which holds for ReLU networks that average over nodes.
    per : "dataset" or "graph"
        Product of the largest ‖X‖ and the largest ‖P_G‖^(l−1) of the set (as the paper), or the largest product of a
        graph, which is never larger.
    readout : bool
        Count the factor 1/√n_G of the mean over nodes; it is part of "mean" already.
    exponent : int, optional
        Power of ‖P_G‖; l − 1 by default, l − 2 for networks whose first round sees no neighbours.

    Returns
    -------
    Bound

    Raises
    ------
    ValueError, TypeError
        For `n` below 1, `depth` below 2, or other arguments out of range.

    Notes
    -----
    ``Σ_i √(C B d_i max ‖X‖² ‖P_G‖^(2(l−1)) r_i² Π_j s_j² / N)`` (their main theorem, without the term of order
    ``log(1/δ)/N^(3/4)``).
    """
    count, depth = whole("n", n), whole("depth", depth, least=2)
    power = depth - 1 if exponent is None else whole("exponent", exponent, least=0)
    choice("per", per, ("dataset", "graph"))
    features, diffusion = natural_log(stats.feature(feature_norm)), natural_log(stats.spectral)
    with np.errstate(invalid="ignore"):
        powers = power * diffusion if power else np.zeros_like(diffusion)
    if readout:
        features = features - 0.5 * np.log(stats.nodes)
    size = np.max(features + powers) if per == "graph" else np.max(features) + np.max(powers)
    shared = 0.5 * (np.log(positive("constant", constant)) + np.log(positive("loss_bound", loss_bound)) - np.log(count))
    product = float(natural_log(norms.spectral).sum())
    logs = shared + 0.5 * np.log(norms.dims) + size + natural_log(norms.stable_rank) + product
    scale = np.log(10.0)
    return Bound("Ju et al. 2023", log_sum(logs) / scale, logs / scale, {"graph": float(size) / scale})
