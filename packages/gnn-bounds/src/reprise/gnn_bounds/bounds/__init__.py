"""Bounds on the generalization gap, all as logarithms, on the same norms and graph statistics."""

from reprise.gnn_bounds.bounds.bound import Bound
from reprise.gnn_bounds.bounds.garg2020 import garg2020
from reprise.gnn_bounds.bounds.ju2023 import ju2023
from reprise.gnn_bounds.bounds.liao2021 import liao2021

__all__ = ["Bound", "garg2020", "ju2023", "liao2021"]
