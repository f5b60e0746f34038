"""Gradient descent from a small start finds the low-rank matrix.

Recover a positive semidefinite matrix of low rank from linear measurements of it, without knowing the rank and without
a regulariser (Li, Ma and Zhang, COLT 2018): ``MatrixSensing().fit(A, y).matrix_``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.matrix_sensing.curvature import hessian_trace
    from reprise.matrix_sensing.descent import gradient_descent, gradient_descent_batch
    from reprise.matrix_sensing.diagnostics import principal_angle, recovery_error, signal_error_split
    from reprise.matrix_sensing.estimator import ConvergenceWarning, MatrixSensing
    from reprise.matrix_sensing.incremental import RankPath, rank_path
    from reprise.matrix_sensing.loop import DivergenceError, Path
    from reprise.matrix_sensing.measurements import (
        CallableMeasurements,
        DenseMeasurements,
        EntryMeasurements,
        GaussianMeasurements,
        Measurements,
        RankOneMeasurements,
        SparseMeasurements,
    )
    from reprise.matrix_sensing.nuclear_norm import minimum_nuclear_norm
    from reprise.matrix_sensing.problem import SensingProblem
    from reprise.matrix_sensing.projected import projected_gradient_descent
    from reprise.matrix_sensing.truncated import truncated_gradient_descent
    from reprise.matrix_sensing.tuning import operator_norm, safe_step, spectral_norm_estimate

_HOMES = {
    "curvature": ["hessian_trace"],
    "descent": ["gradient_descent", "gradient_descent_batch"],
    "diagnostics": ["principal_angle", "recovery_error", "signal_error_split"],
    "estimator": ["ConvergenceWarning", "MatrixSensing"],
    "loop": ["DivergenceError", "Path"],
    "measurements": [
        "CallableMeasurements",
        "DenseMeasurements",
        "EntryMeasurements",
        "GaussianMeasurements",
        "Measurements",
        "RankOneMeasurements",
        "SparseMeasurements",
    ],
    "nuclear_norm": ["minimum_nuclear_norm"],
    "problem": ["SensingProblem"],
    "projected": ["projected_gradient_descent"],
    "incremental": ["RankPath", "rank_path"],
    "truncated": ["truncated_gradient_descent"],
    "tuning": ["operator_norm", "safe_step", "spectral_norm_estimate"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CallableMeasurements",
    "ConvergenceWarning",
    "DenseMeasurements",
    "DivergenceError",
    "EntryMeasurements",
    "GaussianMeasurements",
    "MatrixSensing",
    "Measurements",
    "Path",
    "RankOneMeasurements",
    "RankPath",
    "SensingProblem",
    "SparseMeasurements",
    "gradient_descent",
    "gradient_descent_batch",
    "hessian_trace",
    "minimum_nuclear_norm",
    "operator_norm",
    "principal_angle",
    "projected_gradient_descent",
    "rank_path",
    "recovery_error",
    "safe_step",
    "signal_error_split",
    "spectral_norm_estimate",
    "truncated_gradient_descent",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
