"""The convex way: of all positive semidefinite matrices that fit the targets, the one of least nuclear norm.

Recht, Fazel and Parrilo (2010): under the restricted isometry property it is the truth. For positive semidefinite
matrices the nuclear norm is the trace, so this is a semidefinite program, which cvxpy hands to Clarabel or SCS.
"""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

from reprise.matrix_sensing.problem import SensingProblem
from reprise.matrix_sensing.validation import positive_number

atoms: Any = cp  # cvxpy re-exports them by star imports, which type checkers do not follow

_CLARABEL_DIMENSION = 40
"""Interior points are faster and exact up to about this d; beyond, their d²-sized linear systems lose to SCS."""

_FIT = 1e-3
"""Largest residual, relative to the largest target, of what counts as a solution."""


def minimum_nuclear_norm(
    problem: SensingProblem, solver: str = "auto", *, penalty: float | None = None, tolerance: float | None = None
) -> Tensor:
    """Solution of min tr Z subject to Z ⪰ 0, ⟨A_i, Z⟩ = y_i.

    Parameters
    ----------
    problem : SensingProblem
    solver : "auto", "CLARABEL" or "SCS"
        Clarabel up to d = 40 and SCS above, or as named.
    penalty : float, optional
        λ: solve min tr Z + (1/2λ) Σ (⟨A_i, Z⟩ − y_i)² instead, for noisy targets.
    tolerance : float, optional
        Of the solver, relative and absolute; its own when not given.

    Returns
    -------
    Tensor, shape (d, d)

    Raises
    ------
    ValueError
        If no positive semidefinite matrix fits the targets, or the solver fails.

    References
    ----------
    Recht, Fazel and Parrilo (2010), Guaranteed minimum-rank solutions of linear matrix equations via nuclear norm
    minimization, SIAM Review 52.

    Examples
    --------
    >>> problem = SensingProblem.gaussian(dimension=8, rank=1, measurements=24, seed=0)
    >>> estimate = minimum_nuclear_norm(problem)
    >>> bool((estimate - problem.truth).norm() < 1e-4)
    True
    """
    names = ("auto", "CLARABEL", "SCS")
    if solver not in names:
        raise ValueError(f"solver must be one of {', '.join(names)}, got {solver!r}")
    if solver == "auto":
        solver = "CLARABEL" if problem.dimension <= _CLARABEL_DIMENSION else "SCS"
    matrices = problem.measurements.matrices().cpu().double().numpy().reshape(problem.count, -1)
    targets = problem.targets.cpu().double().numpy()
    size = float(np.abs(targets).max()) or 1.0  # solvers' absolute tolerances mean something only at size 1
    variable = cp.Variable((problem.dimension, problem.dimension), PSD=True)
    residual = matrices @ atoms.vec(variable, order="C") - targets / size
    if penalty is None:
        program = cp.Problem(cp.Minimize(atoms.trace(variable)), [residual == 0])
    else:
        weight = size / (2 * positive_number("penalty", penalty))
        program = cp.Problem(cp.Minimize(atoms.trace(variable) + weight * atoms.sum_squares(residual)))
    _solve(program, solver, tolerance)
    solution = np.asarray(variable.value)
    worst = float(np.abs(residual.value).max())
    if penalty is None and worst > _FIT:
        raise ValueError(
            f"{solver} stopped with residuals up to {size * worst:.2g}: "
            "give a smaller tolerance, the other solver, or a penalty when the targets are noisy"
        )
    found = torch.as_tensor(size * solution).to(problem.targets)
    return (found + found.mT) / 2


def _solve(program: Any, solver: str, tolerance: float | None) -> None:
    options: dict[str, Any] = {}
    if tolerance is not None:
        positive_number("tolerance", tolerance)
        names = ("eps_abs", "eps_rel") if solver == "SCS" else ("tol_gap_abs", "tol_gap_rel", "tol_feas")
        options = dict.fromkeys(names, tolerance)
    try:
        with warnings.catch_warnings():
            # Where only the truth fits, the program has no interior: solvers call even a residual of 1e-9 inaccurate.
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            program.solve(solver=solver, **options)
    except cp.error.SolverError as error:
        raise ValueError(f"{solver} failed on the nuclear-norm program: {error}; try the other solver") from error
    if program.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        raise ValueError(
            "the nuclear-norm program is infeasible: no positive semidefinite matrix fits y; "
            "give a penalty when the targets are noisy"
        )
    if program.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise ValueError(f"{solver} found no solution of the nuclear-norm program (status {program.status})")
