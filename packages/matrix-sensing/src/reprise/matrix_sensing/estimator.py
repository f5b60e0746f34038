"""The method for one's own data, in the manner of scikit-learn."""

from __future__ import annotations

import warnings
from inspect import signature
from math import sqrt
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from reprise.matrix_sensing.descent import gradient_descent
from reprise.matrix_sensing.incremental import numerical_rank
from reprise.matrix_sensing.loop import DivergenceError, Path
from reprise.matrix_sensing.problem import SensingProblem, as_measurements
from reprise.matrix_sensing.tuning import safe_step, spectral_norm_estimate
from reprise.matrix_sensing.validation import finite_tensor, torch_device


class ConvergenceWarning(UserWarning):
    """The relative loss did not reach the tolerance."""


_CUTS = 3
_CUT = 8.0  # what diverges at all does so within a factor four of what is stable


class MatrixSensing:
    """Recover a positive semidefinite matrix of low rank from linear measurements; neither rank nor tuning is needed.

    Gradient descent on a full factor from a small start (Li, Ma and Zhang 2018), after bringing the targets to
    ‖X*‖₂ ≈ 1 by an estimate from the measurements.

    Parameters
    ----------
    scale : "auto" or float
        α of the start αB, relative to √‖X*‖₂. When "auto", 1e-6 for float64 data, as time only grows like log(1/α) and
        the error falls with α; for float32 data min(10⁻³, 1/(100 d)), well within the theorem's α ≤ 1/d.
    step : "auto" or float
        η for ‖X*‖₂ = 1; when "auto", 1/(4 ‖𝒜*𝒜‖) by power iteration, cut to an eighth if the loss should diverge.
    factor_rank : int, optional
        Columns of the factor; d when not given.
    steps : int
        Upper bound on the number of steps.
    tolerance : float
        Stop at this relative loss Σ residual²/Σ y². With noisy targets set it to the share of noise in Σ y²: going on
        would fit the noise.
    batch : int, optional
        Measurements per step.
    seed : int
        Of the random start.
    device : optional
        Where to run, such as ``"cuda"``; "auto" takes a GPU where there is one. Where the data are when not given.

    Attributes
    ----------
    matrix_ : ndarray, shape (d, d)
        The recovered matrix.
    factor_ : ndarray, shape (d, k)
        A factor U with U Uᵀ = matrix_.
    rank_ : int
        Place of the largest gap in the spectrum of matrix_.
    spectral_norm_ : float
        The estimate of ‖X*‖₂ by which the targets were divided.
    path_ : Path
        The run, at ‖X*‖₂ ≈ 1.
    converged_ : bool
        Whether the relative loss reached the tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> u = generator.standard_normal((12, 1))
    >>> A = generator.standard_normal((80, 12, 12))
    >>> model = MatrixSensing().fit(A, np.einsum("mij,ij->m", A, u @ u.T))
    >>> bool(np.allclose(model.matrix_, u @ u.T, atol=1e-3)), model.rank_
    (True, 1)
    """

    matrix_: np.ndarray[Any, Any]
    factor_: np.ndarray[Any, Any]
    rank_: int
    spectral_norm_: float
    path_: Path
    converged_: bool

    def __init__(
        self,
        scale: str | float = "auto",
        step: str | float = "auto",
        factor_rank: int | None = None,
        steps: int = 5000,
        tolerance: float = 1e-8,
        batch: int | None = None,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.scale = scale
        self.step = step
        self.factor_rank = factor_rank
        self.steps = steps
        self.tolerance = tolerance
        self.batch = batch
        self.seed = seed
        self.device = device

    def fit(self, A: Any, y: Any) -> Self:
        """Recover the matrix behind y_i = ⟨A_i, X⟩.

        Parameters
        ----------
        A : array (m, d, d), scipy sparse array (m, d²), array (m, d) of vectors x_i, or Measurements
            As in `SensingProblem.from_arrays`.
        y : array, shape (m,)

        Returns
        -------
        MatrixSensing
            Itself, fitted.

        Raises
        ------
        ValueError
            If shapes do not fit, a number is not finite, or y is zero.

        Warns
        -----
        ConvergenceWarning
            If the tolerance is not reached.
        """
        for name, value in (("scale", self.scale), ("step", self.step)):
            if isinstance(value, str) and value != "auto":
                raise ValueError(f"{name} must be 'auto' or a number, got {value!r}")
        problem = SensingProblem.from_arrays(A, y)
        problem = problem if self.device is None else problem.to(torch_device(self.device))
        norm = spectral_norm_estimate(problem.measurements, problem.targets)
        path = self._descend(SensingProblem(problem.measurements, problem.targets / norm))
        factor = sqrt(norm) * path.factor
        spectrum = torch.linalg.svdvals(factor.cpu().double()).square().numpy()
        self.spectral_norm_ = norm
        self.path_, self.converged_ = path, path.converged
        if not path.converged:
            last = path.history[-1]
            warnings.warn(
                f"after {last['step']} steps the relative loss is {last['relative_loss']:.2g}, above the tolerance of "
                f"{self.tolerance:g}: raise steps, or set tolerance to the share of noise in the targets",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.factor_ = factor.cpu().numpy()
        self.matrix_ = (factor @ factor.mT).cpu().numpy()
        self.rank_ = numerical_rank(spectrum)
        return self

    def predict(self, A: Any) -> np.ndarray[Any, Any]:
        """Measurements ⟨A_i, matrix_⟩, shape (m,), of the recovered matrix."""
        return self._measured(A).cpu().numpy()

    def score(self, A: Any, y: Any) -> float:
        """Coefficient of determination of `predict(A)` against `y`."""
        predicted = self._measured(A)
        targets = finite_tensor("y", y).to(predicted)
        if targets.shape != predicted.shape:
            raise ValueError(f"y must have shape {tuple(predicted.shape)}, got {tuple(targets.shape)}")
        return float(1 - (targets - predicted).square().sum() / (targets - targets.mean()).square().sum())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor, by name."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters of the constructor."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"{name} is no parameter of MatrixSensing: choose among {', '.join(known)}")
            setattr(self, name, value)
        return self

    def _measured(self, A: Any) -> Tensor:
        if not hasattr(self, "matrix_"):
            raise AttributeError("this MatrixSensing is not fitted yet: call fit(A, y) first")
        measurements = as_measurements(A)
        if measurements.dimension != len(self.matrix_):
            raise ValueError(f"A must measure matrices of dimension {len(self.matrix_)}, got {measurements.dimension}")
        return measurements.apply(torch.as_tensor(self.matrix_).to(measurements.device, measurements.dtype))

    def _descend(self, problem: SensingProblem) -> Path:
        small = 1e-6 if problem.targets.dtype == torch.float64 else min(1e-3, 0.01 / problem.dimension)
        scale = small if isinstance(self.scale, str) else self.scale
        automatic = isinstance(self.step, str)
        step = safe_step(problem.measurements, problem.targets) if isinstance(self.step, str) else self.step
        for attempt in range(_CUTS + 1):
            try:
                return gradient_descent(
                    problem,
                    scale=scale,
                    step=step / _CUT**attempt,
                    factor_rank=self.factor_rank,
                    steps=self.steps,
                    tolerance=self.tolerance,
                    batch=self.batch,
                    seed=self.seed,
                )
            except DivergenceError:
                if not automatic or attempt == _CUTS:
                    raise
        raise AssertionError("unreachable")
