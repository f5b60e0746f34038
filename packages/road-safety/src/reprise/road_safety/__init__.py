"""Accident prediction and causal effects on road networks.

Which street segments will have accidents, and what rain, season and road class do to them (Nippani et al., NeurIPS
2023; Zhang et al., KDD 2026). ``from_geojson(segments, crashes)`` makes a data set of any city.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.road_safety.balance import Overlap, auc, effective_size, standardised_differences
    from reprise.road_safety.baselines import BASELINES, run_baseline
    from reprise.road_safety.blocks import spatial_blocks
    from reprise.road_safety.budgets import Budget, at_budget
    from reprise.road_safety.calibration import Reliability, recalibration, reliability
    from reprise.road_safety.cambridge import build_cambridge
    from reprise.road_safety.city import from_geojson
    from reprise.road_safety.dataset import FLAGS, WEATHER, MonthData, RoadDataset, Scaler
    from reprise.road_safety.effects import EffectResult, effect
    from reprise.road_safety.encoders import GAT, GCN, GIN, SAGE, Encoder
    from reprise.road_safety.errors import (
        ConvergenceWarning,
        CoordinateError,
        DatasetLayoutError,
        DownloadError,
        LeakageError,
        PositivityError,
    )
    from reprise.road_safety.export import export_ml4roadsafety
    from reprise.road_safety.features import betweenness, history, structural_features, walk_embedding
    from reprise.road_safety.fetch import fetch_state
    from reprise.road_safety.fusion import BasicFusion, GatedFusion, MixtureOfExperts
    from reprise.road_safety.holdout import districts, held_out_metrics, network_learner, part_of, past_count_learner
    from reprise.road_safety.images import embed_images, image_features
    from reprise.road_safety.junctions import segment_speeds
    from reprise.road_safety.layout import from_ml4roadsafety, from_mmtrace
    from reprise.road_safety.maps import MapLayer, risk_map
    from reprise.road_safety.matched import MatchedDifferences, matched_differences
    from reprise.road_safety.matching import match
    from reprise.road_safety.metrics import evaluate
    from reprise.road_safety.mirrored import without_mirrors
    from reprise.road_safety.model import RoadGNN
    from reprise.road_safety.multitask import MultitaskResult, train_multitask
    from reprise.road_safety.pages import html_map
    from reprise.road_safety.ranking import rank_segments
    from reprise.road_safety.rates import RateRatio, matched_rate_ratio
    from reprise.road_safety.sensitivity import e_value, rosenbaum_bound
    from reprise.road_safety.shrinkage import ShrunkCounts, segment_features, shrunk_counts
    from reprise.road_safety.snapping import SnapResult, snap_points
    from reprise.road_safety.streets import Streets, read_streets, street_graph
    from reprise.road_safety.synthetic import SyntheticCity, TrueEffect, synthetic_city, synthetic_states
    from reprise.road_safety.training import TrainResult, train

_HOMES = {
    "balance": ["Overlap", "auc", "effective_size", "standardised_differences"],
    "baselines": ["BASELINES", "run_baseline"],
    "blocks": ["spatial_blocks"],
    "budgets": ["Budget", "at_budget"],
    "calibration": ["Reliability", "recalibration", "reliability"],
    "cambridge": ["build_cambridge"],
    "city": ["from_geojson"],
    "dataset": ["FLAGS", "WEATHER", "MonthData", "RoadDataset", "Scaler"],
    "effects": ["EffectResult", "effect"],
    "encoders": ["GAT", "GCN", "GIN", "SAGE", "Encoder"],
    "errors": [
        "ConvergenceWarning",
        "CoordinateError",
        "DatasetLayoutError",
        "DownloadError",
        "LeakageError",
        "PositivityError",
    ],
    "export": ["export_ml4roadsafety"],
    "features": ["betweenness", "history", "structural_features", "walk_embedding"],
    "fetch": ["fetch_state"],
    "fusion": ["BasicFusion", "GatedFusion", "MixtureOfExperts"],
    "images": ["embed_images", "image_features"],
    "holdout": ["districts", "held_out_metrics", "network_learner", "part_of", "past_count_learner"],
    "junctions": ["segment_speeds"],
    "layout": ["from_ml4roadsafety", "from_mmtrace"],
    "maps": ["MapLayer", "risk_map"],
    "matched": ["MatchedDifferences", "matched_differences"],
    "matching": ["match"],
    "metrics": ["evaluate"],
    "mirrored": ["without_mirrors"],
    "model": ["RoadGNN"],
    "multitask": ["MultitaskResult", "train_multitask"],
    "pages": ["html_map"],
    "ranking": ["rank_segments"],
    "rates": ["RateRatio", "matched_rate_ratio"],
    "sensitivity": ["e_value", "rosenbaum_bound"],
    "shrinkage": ["ShrunkCounts", "segment_features", "shrunk_counts"],
    "snapping": ["SnapResult", "snap_points"],
    "streets": ["Streets", "read_streets", "street_graph"],
    "synthetic": ["SyntheticCity", "TrueEffect", "synthetic_city", "synthetic_states"],
    "training": ["TrainResult", "train"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BASELINES",
    "FLAGS",
    "GAT",
    "GCN",
    "GIN",
    "SAGE",
    "WEATHER",
    "BasicFusion",
    "Budget",
    "ConvergenceWarning",
    "CoordinateError",
    "DatasetLayoutError",
    "DownloadError",
    "EffectResult",
    "Encoder",
    "GatedFusion",
    "LeakageError",
    "MapLayer",
    "MatchedDifferences",
    "MixtureOfExperts",
    "MonthData",
    "MultitaskResult",
    "Overlap",
    "PositivityError",
    "RateRatio",
    "Reliability",
    "RoadDataset",
    "RoadGNN",
    "Scaler",
    "ShrunkCounts",
    "SnapResult",
    "Streets",
    "SyntheticCity",
    "TrainResult",
    "TrueEffect",
    "at_budget",
    "auc",
    "betweenness",
    "build_cambridge",
    "districts",
    "e_value",
    "effect",
    "effective_size",
    "embed_images",
    "evaluate",
    "export_ml4roadsafety",
    "fetch_state",
    "from_geojson",
    "from_ml4roadsafety",
    "from_mmtrace",
    "held_out_metrics",
    "history",
    "html_map",
    "image_features",
    "match",
    "matched_differences",
    "matched_rate_ratio",
    "network_learner",
    "part_of",
    "past_count_learner",
    "rank_segments",
    "read_streets",
    "recalibration",
    "reliability",
    "risk_map",
    "rosenbaum_bound",
    "run_baseline",
    "segment_features",
    "segment_speeds",
    "shrunk_counts",
    "snap_points",
    "spatial_blocks",
    "standardised_differences",
    "street_graph",
    "structural_features",
    "synthetic_city",
    "synthetic_states",
    "train",
    "train_multitask",
    "walk_embedding",
    "without_mirrors",
]


def __getattr__(name: str) -> Any:
    """Load a public name's module on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """Return all public names."""
    return sorted(set(globals()) | set(__all__))
