"""Curvature of torch models: Hessian-vector products, traces, spectra.

>>> import torch
>>> H = Hessian.of(lambda x: (x**2).sum(), torch.zeros(3))
>>> trace(H, method="hutchinson").value
6.0
"""

from .curvature import CurvatureOperator
from .density import SignFractions, SpectralDensity, spectral_density
from .diagonal import DiagonalEstimate, diagonal, layer_traces
from .eigen import Eigenpairs, eigsh
from .explain import Explanation, LayerShare, explain
from .linear import Combination, FromProduct, Matrix, SymmetricOperator
from .operators import EmpiricalFisher, GaussNewton, Hessian
from .optim import NSO, SAM
from .parameters import ParameterSpace
from .per_example import ExampleTraces, per_example_quadratic, per_example_traces
from .positive import quadratic_positive
from .solve import Inverse, Solution, solve
from .trace import Estimate, trace
from .watch import Watch, watch

__all__ = [
    "NSO",
    "SAM",
    "Combination",
    "CurvatureOperator",
    "DiagonalEstimate",
    "Eigenpairs",
    "EmpiricalFisher",
    "Estimate",
    "ExampleTraces",
    "Explanation",
    "FromProduct",
    "GaussNewton",
    "Hessian",
    "Inverse",
    "LayerShare",
    "Matrix",
    "ParameterSpace",
    "SignFractions",
    "Solution",
    "SpectralDensity",
    "SymmetricOperator",
    "Watch",
    "diagonal",
    "eigsh",
    "explain",
    "layer_traces",
    "per_example_quadratic",
    "per_example_traces",
    "quadratic_positive",
    "solve",
    "spectral_density",
    "trace",
    "watch",
]
