"""Generalization bounds for graph networks with the spectral norm of graph diffusion.

How far may a graph network be wrong on graphs it has not seen (Ju, Li, Sharma and Zhang, AISTATS 2023)?
``compare(model, graphs, labels)`` sets every bound beside the observed gap and the Hessian measure.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.gnn_bounds.authors_measure import AuthorsMeasure, authors_measure
    from reprise.gnn_bounds.batch import GraphBatch, Prepared, prepare
    from reprise.gnn_bounds.bounds import Bound, garg2020, ju2023, liao2021
    from reprise.gnn_bounds.chooser import choose_diffusion
    from reprise.gnn_bounds.comparison import all_bounds, compare
    from reprise.gnn_bounds.diffusion import adjacency_matrix, diffusion_matrix
    from reprise.gnn_bounds.edits import add_self_loops, drop_hubs
    from reprise.gnn_bounds.fine_tuning import FineTuning, fine_tune
    from reprise.gnn_bounds.graphs import Graph, with_features
    from reprise.gnn_bounds.hessian import HessianMeasure, hessian_measure
    from reprise.gnn_bounds.lower_bound import LowerBoundGap, lower_bound_gap
    from reprise.gnn_bounds.molecule_data import Molecules, load_molecules
    from reprise.gnn_bounds.molecules import MoleculeGCN, MoleculeGIN
    from reprise.gnn_bounds.norms import LayerNorms
    from reprise.gnn_bounds.per_graph import Dominance, Tightening, dominant_graphs, tightenings
    from reprise.gnn_bounds.spectral import ConvergenceWarning, spectral_norm, spectral_norms
    from reprise.gnn_bounds.stability import NoiseStability, noise_stability
    from reprise.gnn_bounds.statistics import GraphStatistics, graph_statistics
    from reprise.gnn_bounds.synthetic import two_block_graphs
    from reprise.gnn_bounds.training import Fit, evaluate, split, train
    from reprise.gnn_bounds.tu import load_tu
    from reprise.gnn_bounds.unified import UnifiedGNN

_HOMES = {
    "authors_measure": ["AuthorsMeasure", "authors_measure"],
    "batch": ["GraphBatch", "Prepared", "prepare"],
    "bounds": ["Bound", "garg2020", "ju2023", "liao2021"],
    "chooser": ["choose_diffusion"],
    "comparison": ["all_bounds", "compare"],
    "diffusion": ["adjacency_matrix", "diffusion_matrix"],
    "edits": ["add_self_loops", "drop_hubs"],
    "fine_tuning": ["FineTuning", "fine_tune"],
    "graphs": ["Graph", "with_features"],
    "hessian": ["HessianMeasure", "hessian_measure"],
    "lower_bound": ["LowerBoundGap", "lower_bound_gap"],
    "molecule_data": ["Molecules", "load_molecules"],
    "molecules": ["MoleculeGCN", "MoleculeGIN"],
    "norms": ["LayerNorms"],
    "per_graph": ["Dominance", "Tightening", "dominant_graphs", "tightenings"],
    "spectral": ["ConvergenceWarning", "spectral_norm", "spectral_norms"],
    "stability": ["NoiseStability", "noise_stability"],
    "statistics": ["GraphStatistics", "graph_statistics"],
    "synthetic": ["two_block_graphs"],
    "training": ["Fit", "evaluate", "split", "train"],
    "tu": ["load_tu"],
    "unified": ["UnifiedGNN"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AuthorsMeasure",
    "Bound",
    "ConvergenceWarning",
    "Dominance",
    "FineTuning",
    "Fit",
    "Graph",
    "GraphBatch",
    "GraphStatistics",
    "HessianMeasure",
    "LayerNorms",
    "LowerBoundGap",
    "MoleculeGCN",
    "MoleculeGIN",
    "Molecules",
    "NoiseStability",
    "Prepared",
    "Tightening",
    "UnifiedGNN",
    "add_self_loops",
    "adjacency_matrix",
    "all_bounds",
    "authors_measure",
    "choose_diffusion",
    "compare",
    "diffusion_matrix",
    "dominant_graphs",
    "drop_hubs",
    "evaluate",
    "fine_tune",
    "garg2020",
    "graph_statistics",
    "hessian_measure",
    "ju2023",
    "liao2021",
    "load_molecules",
    "load_tu",
    "lower_bound_gap",
    "noise_stability",
    "prepare",
    "spectral_norm",
    "spectral_norms",
    "split",
    "tightenings",
    "train",
    "two_block_graphs",
    "with_features",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
