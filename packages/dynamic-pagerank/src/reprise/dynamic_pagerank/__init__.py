"""Personalized PageRank that keeps up with a changing graph.

An edge comes or goes, and the scores are repaired exactly and made accurate again in about a microsecond, with an error
bound that holds at every moment (Zhang, Lofgren and Goel, KDD 2016): ``DynamicPageRank(graph, source=s).insert(u, v)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.dynamic_pagerank.bidirectional import PairScore, pair
    from reprise.dynamic_pagerank.certified import TopK
    from reprise.dynamic_pagerank.events import Edge
    from reprise.dynamic_pagerank.exact import power_iteration
    from reprise.dynamic_pagerank.generators import barabasi_albert, erdos_renyi, rmat
    from reprise.dynamic_pagerank.graph import DynamicGraph
    from reprise.dynamic_pagerank.monte_carlo import MonteCarloPageRank
    from reprise.dynamic_pagerank.pagerank import DynamicPageRank
    from reprise.dynamic_pagerank.ranking import top_k
    from reprise.dynamic_pagerank.scores import Scores
    from reprise.dynamic_pagerank.snap import read_events
    from reprise.dynamic_pagerank.static import personalized_pagerank
    from reprise.dynamic_pagerank.storage import load, save
    from reprise.dynamic_pagerank.tracking import TrackingPageRank
    from reprise.dynamic_pagerank.trajectory import Trajectory
    from reprise.dynamic_pagerank.window import SlidingWindow

_HOME_OF = {
    "DynamicGraph": "graph",
    "DynamicPageRank": "pagerank",
    "Edge": "events",
    "MonteCarloPageRank": "monte_carlo",
    "PairScore": "bidirectional",
    "Scores": "scores",
    "SlidingWindow": "window",
    "TopK": "certified",
    "TrackingPageRank": "tracking",
    "Trajectory": "trajectory",
    "barabasi_albert": "generators",
    "erdos_renyi": "generators",
    "load": "storage",
    "pair": "bidirectional",
    "personalized_pagerank": "static",
    "power_iteration": "exact",
    "read_events": "snap",
    "rmat": "generators",
    "save": "storage",
    "top_k": "ranking",
}

__all__ = [
    "DynamicGraph",
    "DynamicPageRank",
    "Edge",
    "MonteCarloPageRank",
    "PairScore",
    "Scores",
    "SlidingWindow",
    "TopK",
    "TrackingPageRank",
    "Trajectory",
    "barabasi_albert",
    "erdos_renyi",
    "load",
    "pair",
    "personalized_pagerank",
    "power_iteration",
    "read_events",
    "rmat",
    "save",
    "top_k",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
