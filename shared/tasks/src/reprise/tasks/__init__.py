"""Task affinity and clustering, estimated without retraining.

From a model and a list of tasks to groups of tasks that help one another:

- subsets: `random_subsets`, `all_pairs`, `given_subsets`
- gradient features: `binary_margin`, `multiclass_margin`, `pointer_margin`, `log_probability_margin`;
  `sample_gradients`, `output_gradients`, `parameter_count`, `adapted_parameters`; `RandomProjection`
- fits over subsets: `TaskFeatures`, `fit_logistic`, `fit_ridge`, `linearised_scores`; `logistic_statistics`,
  `squared_statistics`
- outcomes of subsets, in parallel: `estimate_subsets`, `measure_subsets`, `map_cells`
- surrogates of outcomes: `LinearSurrogate`, `cross_validate`
- affinity: `affinity_matrix`; `affinity_gains`, `gain_matrix`
- groups: `partition`, `partition_path`, `stability`, `spectral_partition`; `solve_relaxation`, `solve_low_rank`,
  `round_relaxation`, `partition_value`
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.tasks.affinity import Affinity, affinity_matrix
    from reprise.tasks.cells import estimate_subsets, map_cells, measure_subsets
    from reprise.tasks.consensus import Stability, stability
    from reprise.tasks.features import TaskFeatures
    from reprise.tasks.fits import SubsetFits, fit_logistic, fit_ridge
    from reprise.tasks.gains import affinity_gains, gain_matrix
    from reprise.tasks.gradients import Gradients, output_gradients, sample_gradients
    from reprise.tasks.grouping import Partition, partition, partition_path, partition_value, round_relaxation
    from reprise.tasks.low_rank import solve_low_rank
    from reprise.tasks.margins import binary_margin, log_probability_margin, multiclass_margin, pointer_margin
    from reprise.tasks.parameters import adapted_parameters, parameter_count
    from reprise.tasks.projection import RandomProjection
    from reprise.tasks.relaxation import Relaxation, solve_relaxation
    from reprise.tasks.scores import linearised_scores
    from reprise.tasks.spectral import spectral_partition
    from reprise.tasks.statistics import TaskStatistics, logistic_statistics, squared_statistics
    from reprise.tasks.subsets import Subsets, all_pairs, given_subsets, random_subsets
    from reprise.tasks.surrogates import LinearSurrogate, Surrogate, SurrogateQuality, cross_validate

_HOMES = {
    "affinity": ("Affinity", "affinity_matrix"),
    "cells": ("estimate_subsets", "map_cells", "measure_subsets"),
    "consensus": ("Stability", "stability"),
    "features": ("TaskFeatures",),
    "fits": ("SubsetFits", "fit_logistic", "fit_ridge"),
    "gains": ("affinity_gains", "gain_matrix"),
    "gradients": ("Gradients", "output_gradients", "sample_gradients"),
    "grouping": ("Partition", "partition", "partition_path", "partition_value", "round_relaxation"),
    "low_rank": ("solve_low_rank",),
    "margins": ("binary_margin", "log_probability_margin", "multiclass_margin", "pointer_margin"),
    "parameters": ("adapted_parameters", "parameter_count"),
    "projection": ("RandomProjection",),
    "relaxation": ("Relaxation", "solve_relaxation"),
    "scores": ("linearised_scores",),
    "spectral": ("spectral_partition",),
    "statistics": ("TaskStatistics", "logistic_statistics", "squared_statistics"),
    "subsets": ("Subsets", "all_pairs", "given_subsets", "random_subsets"),
    "surrogates": ("LinearSurrogate", "Surrogate", "SurrogateQuality", "cross_validate"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Affinity",
    "Gradients",
    "LinearSurrogate",
    "Partition",
    "RandomProjection",
    "Relaxation",
    "Stability",
    "SubsetFits",
    "Subsets",
    "Surrogate",
    "SurrogateQuality",
    "TaskFeatures",
    "TaskStatistics",
    "adapted_parameters",
    "affinity_gains",
    "affinity_matrix",
    "all_pairs",
    "binary_margin",
    "cross_validate",
    "estimate_subsets",
    "fit_logistic",
    "fit_ridge",
    "gain_matrix",
    "given_subsets",
    "linearised_scores",
    "log_probability_margin",
    "logistic_statistics",
    "map_cells",
    "measure_subsets",
    "multiclass_margin",
    "output_gradients",
    "parameter_count",
    "partition",
    "partition_path",
    "partition_value",
    "pointer_margin",
    "random_subsets",
    "round_relaxation",
    "sample_gradients",
    "solve_low_rank",
    "solve_relaxation",
    "spectral_partition",
    "squared_statistics",
    "stability",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first asked for: torch and cvxpy take seconds."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(_MODULES)
