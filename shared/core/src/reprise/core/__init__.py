"""Declare, run, record and report reproductions of papers.

An experiment is five plain things (settings, cells, measure, plot, claims); everything else is done here. The names
below are the whole public surface; each loads its module on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checks import (
        all_of,
        at_least,
        at_most,
        beats,
        loglog_slope,
        rank_correlation,
        ratio,
        slope,
        values,
        within,
    )
    from .claims import Check, Claim, Outcome, RowsMissing, Verdict
    from .context import Context
    from .data import DataSet, RemoteFile
    from .errors import MissingData, RepriseError
    from .paper import Experiment, Paper
    from .record import Record, read_record
    from .runner import run_experiment

_HOME = {
    "checks": [
        "all_of",
        "at_least",
        "at_most",
        "beats",
        "loglog_slope",
        "rank_correlation",
        "ratio",
        "slope",
        "values",
        "within",
    ],
    "claims": ["Check", "Claim", "Outcome", "RowsMissing", "Verdict"],
    "context": ["Context"],
    "data": ["DataSet", "RemoteFile"],
    "errors": ["MissingData", "RepriseError"],
    "paper": ["Experiment", "Paper"],
    "record": ["Record", "read_record"],
    "runner": ["run_experiment"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Check",
    "Claim",
    "Context",
    "DataSet",
    "Experiment",
    "MissingData",
    "Outcome",
    "Paper",
    "Record",
    "RemoteFile",
    "RepriseError",
    "RowsMissing",
    "Verdict",
    "all_of",
    "at_least",
    "at_most",
    "beats",
    "loglog_slope",
    "rank_correlation",
    "ratio",
    "read_record",
    "run_experiment",
    "slope",
    "values",
    "within",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
