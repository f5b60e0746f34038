"""Algorithm 1: fill in what was never seen of a second moment, by gradient descent on a factor of low rank.

X, shape (d, r), minimises

    1/(2m) Σ_(i,j) seen w_ij ((X Xᵀ)_ij − T̂_ij)² + (λ/d) Σ_i max(‖x_i‖ − α, 0)⁴,

where the second term keeps rows of X from growing apart (incoherence). The step is halved until the objective falls,
and grows by a fifth after every success.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, cast

import numpy as np
from scipy.sparse.linalg import eigsh

from reprise.one_sided_completion.moment import LARGE, SecondMoment
from reprise.one_sided_completion.objective import DenseObjective, Objective, PairObjective
from reprise.one_sided_completion.validation import choice, integer, number
from reprise.one_sided_completion.weights import Diagonal, Weights, pair_weights

Array = np.ndarray[Any, Any]
GROWTH = 1.2
HALVINGS = 60
WARM_UP = 10  # steps before the tolerance is looked at
DENSE_FRACTION = 0.35  # of entries seen, above which the dense form is the faster one


@dataclass(frozen=True)
class Imputation:
    """A factor of the completed moment.

    Attributes
    ----------
    factor : ndarray, shape (d, r)
        X; the completed moment is X Xᵀ.
    history : ndarray, shape (steps + 1,)
        The objective at the start and after every step.
    steps : int
    converged : bool
        Whether the relative change fell below the tolerance before the steps ran out.
    """

    factor: Array
    history: Array
    steps: int
    converged: bool


def impute(
    moment: SecondMoment,
    rank: int = 10,
    *,
    regularization: float = 1e-4,
    incoherence: float = 1e-3,
    diagonal: Diagonal = 1.0,
    weights: Weights = "uniform",
    init: Literal["spectral", "random"] | Array = "spectral",
    step_size: float | None = None,
    max_iter: int = 10_000,
    tol: float = 1e-7,
    seed: int = 0,
    form: Literal["auto", "pairs", "dense"] = "auto",
    backend: Literal["numba", "torch"] = "numba",
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Imputation:
    """Complete a second moment to one of low rank (Algorithm 1).

    Parameters
    ----------
    moment : SecondMoment
    rank : int
        r, columns of the factor; no more than d.
    regularization, incoherence : float
        λ, and α in units of √T: the norm above which rows of the factor are held back.
    diagonal : float, "dense-code" or "sparse-code"
        Weight of a diagonal entry, which is seen 1/p times more often than others: a number, or one of the two that
        the authors' programs use, 1 − (1−p)ⁿ and 1 − (1−p²)ᵈ.
    weights : {"uniform", "counts", "inverse-variance"}
        Of the other entries: all alike, by how many rows showed them, or by the inverse of the squared standard error,
        each variance drawn towards the pooled one (beyond the paper).
    init : {"spectral", "random"} or array, shape (d, rank)
        Leading eigenvectors of the zero-filled estimate, divided by the share that was seen; or 0.1 times Gaussian.
    step_size : float, optional
        Keep to this step, as the authors do (10⁴ in their simulations), instead of searching for one.
    max_iter : int
    tol : float
        Stop when the objective changes by less than this share of itself, after ten steps.
    seed : int
        Of the random start.
    form : {"auto", "pairs", "dense"}
        Compute on the seen pairs or on d × d arrays; "auto" takes what is faster.
    backend : {"numba", "torch"}
        torch is an extra: ``reprise-one-sided-completion[torch]``.
    device : str
        Of torch, such as ``"cuda"``.
    progress : callable, optional
        ``progress(done, total)`` after every step.

    Returns
    -------
    Imputation

    Raises
    ------
    ValueError
        If the rank exceeds d, no pair of two columns was seen, or an option is unknown.

    Notes
    -----
    One step costs O(pairs · r) on pairs, O(d² r) dense. Columns that no row shows get zero rows.

    References
    ----------
    Zhang, Zhang, Nguyen and Lan (2026), Algorithm 1.

    Examples
    --------
    >>> from reprise.one_sided_completion import linear_mixtures, sample, second_moment
    >>> M = linear_mixtures(4000, 30, 2, seed=0)
    >>> moment = second_moment(sample(M, p=0.2, seed=1))
    >>> X = impute(moment, rank=2).factor
    >>> T = M.T @ M / len(M)
    >>> bool(np.linalg.norm(X @ X.T - T) < 0.1 * np.linalg.norm(T))
    True
    """
    dimension = moment.dimension
    integer("rank", rank, maximum=dimension, limit="the number of columns")
    number("regularization", regularization)
    number("incoherence", incoherence)
    number("tol", tol)
    integer("max_iter", max_iter)
    if step_size is not None:
        number("step_size", step_size, open_=True)
    choice("form", form, ("auto", "pairs", "dense"))
    require_pairs(moment)
    objective = _objective(moment, pair_weights(moment, weights, diagonal), form, backend, device)
    begin = _start(moment, rank, init, seed)
    begin[moment.empty_columns] = 0.0
    return _descend(
        objective, begin, regularization / dimension, incoherence, step_size, max_iter, tol, progress or _silent
    )


def require_pairs(moment: SecondMoment) -> None:
    """Refuse a moment in which no two columns were ever seen together.

    Raises
    ------
    ValueError
    """
    if (moment.pair_rows == moment.indices).all():
        per_row = moment.count.sum() / moment.rows
        raise ValueError(
            "no row shows two columns, so nothing is known off the diagonal: a pair is seen about n C²/d² times, here "
            f"{moment.rows} · {per_row:.3g}² / {moment.dimension}² = "
            f"{moment.rows * per_row**2 / moment.dimension**2:.3g}, and rows with C ≥ 2 entries are needed"
        )


def _objective(moment: SecondMoment, weights: Array, form: str, backend: str, device: str) -> Objective:
    choice("backend", backend, ("numba", "torch"))
    if form == "auto":
        form = "dense" if moment.dimension <= LARGE and moment.seen_fraction >= DENSE_FRACTION else "pairs"
    parts = (moment.indptr, moment.indices, moment.pair_values, weights)
    if backend == "numba":
        if device != "cpu":
            raise ValueError(f"device must be cpu for the numba backend, got {device!r}: set backend='torch'")
        return PairObjective(*parts) if form == "pairs" else DenseObjective(*parts)
    try:
        module = import_module("reprise.one_sided_completion.objective_torch")
    except ImportError as error:
        raise ValueError("backend 'torch' needs an extra: install reprise-one-sided-completion[torch]") from error
    return cast(Objective, module.TorchObjective(*parts, form=form, device=device))


def _start(moment: SecondMoment, rank: int, init: Any, seed: int) -> Array:
    shape = (moment.dimension, rank)
    if isinstance(init, str):
        choice("init", init, ("spectral", "random"))
        if init == "random":
            return 0.1 * np.random.default_rng(seed).standard_normal(shape)
        return spectral_factor(moment, rank)
    begin = np.array(init, dtype=np.float64)
    if begin.shape != shape or not np.isfinite(begin).all():
        raise ValueError(f"init must be 'spectral', 'random' or a finite array of shape {shape}, got {begin.shape}")
    return begin


def spectral_factor(moment: SecondMoment, rank: int) -> Array:
    """Leading eigenvectors of the zero-filled estimate times the roots of their eigenvalues, shape (d, rank).

    The diagonal and the rest are first divided by the share of them that was seen, so that they stand for T on average.
    """
    integer("rank", rank, maximum=moment.dimension, limit="the number of columns")
    d = moment.dimension
    rows = moment.pair_rows
    on_diagonal = rows == moment.indices
    diagonal_share = on_diagonal.sum() / d
    share = (~on_diagonal).sum() / max(d * (d - 1) / 2, 1)
    filled = moment.pair_values / np.where(on_diagonal, max(diagonal_share, 1 / d), max(share, 1 / d**2))
    symmetric = moment.symmetric(filled)
    if rank < d // 2 and d > 200:
        found, vectors = eigsh(symmetric, k=rank, which="LA", v0=np.ones(d))
    else:
        found, vectors = np.linalg.eigh(symmetric.toarray())
    order = np.argsort(found)[::-1][:rank]
    return cast(Array, vectors[:, order] * np.sqrt(np.maximum(found[order], 0.0)))


def _descend(
    objective: Objective,
    begin: Array,
    regularization: float,
    incoherence: float,
    step_size: float | None,
    max_iter: int,
    tol: float,
    progress: Callable[[int, int], None],
) -> Imputation:
    @np.errstate(over="ignore", invalid="ignore")  # a step that is too long is seen by its value
    def evaluate(factor: Any) -> tuple[float, Any]:
        value, gradient = objective.value_and_gradient(factor)
        if regularization == 0.0:
            return value, gradient
        norms = (factor * factor).sum(1) ** 0.5
        excess = (norms - incoherence) * (norms > incoherence)
        pull = (4 * regularization) * excess**3 / (norms + (norms == 0))
        return value + regularization * float((excess**4).sum()), gradient + pull[:, None] * factor

    factor = objective.start(begin)
    value, gradient = evaluate(factor)
    history = [value]
    # The curvature of f near X is about 6 ‖X‖₂²/d² where seen entries are spread evenly; backtracking does the rest.
    step = step_size or len(begin) ** 2 / (8 * max(np.linalg.norm(begin, 2) ** 2, np.finfo(float).tiny))
    converged = False
    for taken in range(1, max_iter + 1):
        for _ in range(HALVINGS):
            trial = factor - step * gradient
            trial_value, trial_gradient = evaluate(trial)
            if step_size is not None or trial_value < value:
                break
            step /= 2
        else:
            converged = True  # no step however small makes it fall: a stationary point to rounding
            break
        if not np.isfinite(trial_value):
            raise ValueError(f"step_size must be smaller: the descent diverged at step {taken} with {step_size}")
        factor, gradient, previous, value = trial, trial_gradient, value, trial_value
        history.append(value)
        progress(taken, max_iter)
        if step_size is None:
            step *= GROWTH
        if taken > WARM_UP and abs(previous - value) <= tol * abs(previous):
            converged = True
            break
    return Imputation(objective.finish(factor), np.array(history), len(history) - 1, converged)


def _silent(done: int, total: int) -> None:
    pass


def completed(factor: Array, rows: Any, columns: Any) -> Array:
    """Entries (X Xᵀ)_ij of a completed moment at pairs of columns, without the d × d array.

    Examples
    --------
    >>> completed(np.array([[1.0], [2.0]]), [0, 1], [1, 1])
    array([2., 4.])
    """
    return cast(Array, np.einsum("pk,pk->p", factor[np.asarray(rows)], factor[np.asarray(columns)]))
