"""Where to cut contacts so that an epidemic dies.

The weights of a network within a budget that make its leading singular values, or the infections, as small as possible
(Li, Eliassi-Rad and Zhang, SDM 2023): ``frank_wolfe(W, budget_fraction=0.05).weights``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.edge_intervention.baselines import (
        cap_occupancy,
        close_categories,
        degree_product,
        edge_betweenness,
        k_edge_deletion,
        random_edges,
        uniform,
        water_fill,
        weighted,
    )
    from reprise.edge_intervention.centrality import edge_centrality
    from reprise.edge_intervention.edge_lists import load_edges, read_labelled_edges
    from reprise.edge_intervention.epidemic import EpidemicResult
    from reprise.edge_intervention.equity import losses_by_category, losses_by_population
    from reprise.edge_intervention.errors import (
        BudgetError,
        ConvergenceError,
        ConvergenceWarning,
        InvalidWeightsError,
        ProblemTooLargeError,
    )
    from reprise.edge_intervention.individual import simulate_graph
    from reprise.edge_intervention.knapsack import greedy_reduction
    from reprise.edge_intervention.mean_field import MeanFieldObjective
    from reprise.edge_intervention.metapopulation import simulate_metapopulation
    from reprise.edge_intervention.mobility import CITIES, MobilityNetwork, load_mobility, load_weekly
    from reprise.edge_intervention.objectives import SpectralObjective, next_generation_objective
    from reprise.edge_intervention.pareto import ParetoCurve, pareto_curve
    from reprise.edge_intervention.reproduction import reproduction_number
    from reprise.edge_intervention.results import InterventionResult, StepRecord
    from reprise.edge_intervention.semidefinite import optimal_sdp
    from reprise.edge_intervention.solver import frank_wolfe
    from reprise.edge_intervention.synthetic import gravity_mobility, power_law_graph, stochastic_block_model
    from reprise.edge_intervention.temporal import (
        TemporalResult,
        frank_wolfe_temporal,
        frank_wolfe_weekly,
        product_top,
        split_budget,
    )

_HOME = {
    "baselines": [
        "cap_occupancy",
        "close_categories",
        "degree_product",
        "edge_betweenness",
        "k_edge_deletion",
        "random_edges",
        "uniform",
        "water_fill",
        "weighted",
    ],
    "centrality": ["edge_centrality"],
    "edge_lists": ["load_edges", "read_labelled_edges"],
    "epidemic": ["EpidemicResult"],
    "equity": ["losses_by_category", "losses_by_population"],
    "errors": ["BudgetError", "ConvergenceError", "ConvergenceWarning", "InvalidWeightsError", "ProblemTooLargeError"],
    "solver": ["frank_wolfe"],
    "individual": ["simulate_graph"],
    "knapsack": ["greedy_reduction"],
    "mean_field": ["MeanFieldObjective"],
    "metapopulation": ["simulate_metapopulation"],
    "mobility": ["CITIES", "MobilityNetwork", "load_mobility", "load_weekly"],
    "objectives": ["SpectralObjective", "next_generation_objective"],
    "pareto": ["ParetoCurve", "pareto_curve"],
    "reproduction": ["reproduction_number"],
    "results": ["InterventionResult", "StepRecord"],
    "semidefinite": ["optimal_sdp"],
    "synthetic": ["gravity_mobility", "power_law_graph", "stochastic_block_model"],
    "temporal": ["TemporalResult", "frank_wolfe_temporal", "frank_wolfe_weekly", "product_top", "split_budget"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CITIES",
    "BudgetError",
    "ConvergenceError",
    "ConvergenceWarning",
    "EpidemicResult",
    "InterventionResult",
    "InvalidWeightsError",
    "MeanFieldObjective",
    "MobilityNetwork",
    "ParetoCurve",
    "ProblemTooLargeError",
    "SpectralObjective",
    "StepRecord",
    "TemporalResult",
    "cap_occupancy",
    "close_categories",
    "degree_product",
    "edge_betweenness",
    "edge_centrality",
    "frank_wolfe",
    "frank_wolfe_temporal",
    "frank_wolfe_weekly",
    "gravity_mobility",
    "greedy_reduction",
    "k_edge_deletion",
    "load_edges",
    "load_mobility",
    "load_weekly",
    "losses_by_category",
    "losses_by_population",
    "next_generation_objective",
    "optimal_sdp",
    "pareto_curve",
    "power_law_graph",
    "product_top",
    "random_edges",
    "read_labelled_edges",
    "reproduction_number",
    "simulate_graph",
    "simulate_metapopulation",
    "split_budget",
    "stochastic_block_model",
    "uniform",
    "water_fill",
    "weighted",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
