"""Curvature of torch models: Hessian-vector products, traces, spectra."""

from .eigen import Eigenpairs, eigsh
from .linear import FromProduct, Matrix, SymmetricOperator
from .operators import EmpiricalFisher, GaussNewton, Hessian
from .parameters import ParameterSpace
from .trace import Estimate, trace

__all__ = [
    "Eigenpairs",
    "EmpiricalFisher",
    "Estimate",
    "FromProduct",
    "GaussNewton",
    "Hessian",
    "Matrix",
    "ParameterSpace",
    "SymmetricOperator",
    "eigsh",
    "trace",
]
