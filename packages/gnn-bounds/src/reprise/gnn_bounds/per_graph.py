"""The bound graph by graph: what each tightening gains, and which graphs set the bound.

The paper multiplies the largest ‖X‖ of the set with the largest ‖P_G‖^(l−1). Each step below replaces an inequality
by a sharper one:

1. *per graph*: the largest product of one graph, instead of the product of two maxima;
2. *mean features*: ‖X‖_F/√n instead of ‖X‖₂. The mean over nodes costs a factor 1/√n, and nonlinearities act on
   entries, so that the norm that passes through them is Frobenius';
3. *first round*: ‖P_G‖^(l−2) for networks with H⁽⁰⁾ = 0, whose first round sees no neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reprise.gnn_bounds.bounds.bound import Bound, natural_log
from reprise.gnn_bounds.bounds.ju2023 import ju2023
from reprise.gnn_bounds.norms import LayerNorms
from reprise.gnn_bounds.statistics import FeatureNorm, GraphStatistics
from reprise.gnn_bounds.validation import whole

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tightening:
    """A bound and how many times smaller it is than the one of the step before."""

    step: str
    bound: Bound
    gain: float


def tightenings(
    norms: LayerNorms,
    stats: GraphStatistics,
    *,
    n: int,
    depth: int,
    loss_bound: float = 5.4,
    zero_start: bool = False,
) -> list[Tightening]:
    """The bound of the paper and its sharper forms, one step at a time.

    Parameters
    ----------
    norms, stats, n, depth, loss_bound
        As for `ju2023`.
    zero_start : bool
        Whether the network starts from H⁽⁰⁾ = 0 (MPGNN).

    Returns
    -------
    list of Tightening
        "paper", "per graph", "mean features" and, with `zero_start`, "first round". The second holds for mean pooling.

    Raises
    ------
    ValueError, TypeError
        See `ju2023`.
    """
    shared: dict[str, Any] = {"n": n, "depth": depth, "loss_bound": loss_bound}
    bounds = {
        "paper": ju2023(norms, stats, **shared),
        "per graph": ju2023(norms, stats, per="graph", **shared),
        "mean features": ju2023(norms, stats, per="graph", feature_norm="mean", **shared),
    }
    if zero_start:
        bounds["first round"] = ju2023(norms, stats, per="graph", feature_norm="mean", exponent=depth - 2, **shared)
    found: list[Tightening] = []
    for step, bound in bounds.items():
        before = found[-1].bound.log10 if found else bound.log10
        gain = 1.0 if before == bound.log10 else float(10.0 ** (before - bound.log10))
        found.append(Tightening(step, bound, gain))
    return found


@dataclass(frozen=True)
class Dominance:
    """The graphs that set the bound.

    Parameters
    ----------
    order : ndarray of int, shape (k,)
        Their indices, the largest first.
    log10_size : ndarray, shape (k,)
        log10 of ‖X‖ ‖P_G‖^(l−1) of each.
    gain : ndarray, shape (k,)
        How many times smaller the bound per graph is without this graph and all before it.
    """

    order: Array
    log10_size: Array
    gain: Array


def dominant_graphs(
    stats: GraphStatistics, *, depth: int, top: int = 10, feature_norm: FeatureNorm = "spectral"
) -> Dominance:
    """Which graphs set the bound, and what leaving them out would gain.

    Parameters
    ----------
    stats : GraphStatistics
    depth : int
        l.
    top : int
        How many graphs to report.
    feature_norm : "spectral", "row" or "mean"

    Returns
    -------
    Dominance

    Raises
    ------
    ValueError, TypeError
        For a `depth` below 2 or `top` below 1.

    Examples
    --------
    >>> import networkx
    >>> from reprise.gnn_bounds import graph_statistics
    >>> stats = graph_statistics([networkx.star_graph(m) for m in (4, 100, 25)], "adjacency")
    >>> dominant_graphs(stats, depth=3, top=2).order.tolist()
    [1, 2]
    """
    depth, top = whole("depth", depth, least=2), whole("top", top)
    sizes = (natural_log(stats.feature(feature_norm)) + (depth - 1) * natural_log(stats.spectral)) / np.log(10.0)
    order = np.argsort(-sizes, kind="stable")
    top = min(top, len(order))
    left = np.append(sizes[order][1:], sizes[order][-1])[:top]  # the next in line once these are gone
    with np.errstate(invalid="ignore"):
        gain = np.power(10.0, sizes[order[0]] - left)
    return Dominance(order[:top], sizes[order[:top]], np.where(np.isnan(gain), 1.0, gain))
