"""The method for one's own data, in the manner of scikit-learn."""

from __future__ import annotations

import warnings
from inspect import signature
from typing import Any, Literal, Self, cast

import numpy as np

from reprise.one_sided_completion.directions import principal_directions
from reprise.one_sided_completion.imputation import completed, impute
from reprise.one_sided_completion.moment import SecondMoment, second_moment
from reprise.one_sided_completion.recovery import recover_rows
from reprise.one_sided_completion.validation import as_ratings
from reprise.one_sided_completion.weights import Diagonal, Weights

Array = np.ndarray[Any, Any]


class SecondMomentCompletion:
    """Learn the second moment MᵀM/n of a matrix, and with it the span of its rows, from a few entries per row.

    Hájek's estimate of every pair of columns that some row shows, completed to low rank by gradient descent (Zhang,
    Zhang, Nguyen and Lan 2026, Algorithm 1); rows by ridge regression in that span (Algorithm 2).

    Parameters
    ----------
    rank : int
    regularization, incoherence : float
        λ and α of the penalty on large rows of the factor.
    tol : float
        Relative change of the objective at which to stop.
    max_iter : int
    init : {"spectral", "random"}
    weights : {"uniform", "counts", "inverse-variance"}
        Of the pairs in the objective.
    diagonal : float, "dense-code" or "sparse-code"
        Weight of the diagonal.
    seed : int
    backend : {"numba", "torch"}
    device : str
        Of torch.

    Attributes
    ----------
    factor_ : ndarray, shape (d, rank)
        X with X Xᵀ the completed moment.
    moment_ : ndarray, shape (d, d)
        The completed moment, made when it is asked for.
    estimate_ : SecondMoment
        What was seen, before completion.
    history_ : ndarray
        The objective at the start and after every step.
    n_iter_ : int
    converged_ : bool
    empty_columns_ : ndarray
        Columns without any entry; their rows of the factor are zero.

    Examples
    --------
    >>> from reprise.one_sided_completion import linear_mixtures, sample
    >>> M = linear_mixtures(4000, 30, 2, seed=0)
    >>> model = SecondMomentCompletion(rank=2).fit(sample(M, p=0.2, seed=1))
    >>> T = M.T @ M / len(M)
    >>> bool(np.linalg.norm(model.moment_ - T) < 0.1 * np.linalg.norm(T))
    True
    """

    factor_: Array
    estimate_: SecondMoment
    history_: Array
    n_iter_: int
    converged_: bool
    empty_columns_: Array
    row_factors_: Array

    def __init__(
        self,
        rank: int = 10,
        regularization: float = 1e-4,
        incoherence: float = 1e-3,
        tol: float = 1e-7,
        max_iter: int = 10_000,
        init: Literal["spectral", "random"] = "spectral",
        weights: Weights = "uniform",
        diagonal: Diagonal = 1.0,
        seed: int = 0,
        backend: Literal["numba", "torch"] = "numba",
        device: str = "cpu",
    ) -> None:
        self.rank = rank
        self.regularization = regularization
        self.incoherence = incoherence
        self.tol = tol
        self.max_iter = max_iter
        self.init = init
        self.weights = weights
        self.diagonal = diagonal
        self.seed = seed
        self.backend = backend
        self.device = device

    def fit(self, ratings: Any, y: None = None) -> Self:
        """Estimate and complete the second moment.

        Parameters
        ----------
        ratings : scipy sparse array, shape (n, d), or SecondMoment
            Stored entries are what was seen. A moment may come from a stream or from several sites.
        y : None
            Ignored.

        Returns
        -------
        SecondMomentCompletion
            Itself, fitted.

        Raises
        ------
        ValueError
            If an entry is shown twice or is not finite, the rank exceeds d, or no pair of columns was seen.

        Warns
        -----
        UserWarning
            If there are fewer rows than columns, or columns without entries.
        """
        moment = ratings if isinstance(ratings, SecondMoment) else second_moment(ratings)
        empty = moment.empty_columns
        if moment.rows < moment.dimension:
            warnings.warn(
                f"{moment.rows} rows and {moment.dimension} columns: the theory asks for at least as many rows",
                stacklevel=2,
            )
        if len(empty):
            shown = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
            warnings.warn(
                f"{len(empty)} columns hold no entry ({shown}): nothing is known of them, their rows of the factor "
                "are zero",
                stacklevel=2,
            )
        names = ("regularization", "incoherence", "tol", "max_iter", "weights", "diagonal", "seed", "backend", "device")
        result = impute(moment, self.rank, init=self.init, **{name: getattr(self, name) for name in names})
        self.estimate_ = moment
        self.factor_ = result.factor
        self.history_ = result.history
        self.n_iter_ = result.steps
        self.converged_ = result.converged
        self.empty_columns_ = empty
        return self

    @property
    def moment_(self) -> Array:
        """The completed moment X Xᵀ, shape (d, d)."""
        factor = self._fitted()
        return factor @ factor.T

    def row_space(self) -> Array:
        """Orthonormal basis of the span of the rows, most important direction first, shape (d, rank)."""
        return principal_directions(self._fitted())[0]

    def complete(self, ratings: Any, ridge: float = 1e-4) -> Array:
        """Coefficients of rows in the span of the factor, from the entries that they show.

        Parameters
        ----------
        ratings : scipy sparse array, shape (m, d)
            New rows, or those that were fitted.
        ridge : float
            μ of the regression.

        Returns
        -------
        ndarray, shape (m, rank)
            Row factors; they are also kept for `predict`.
        """
        factor = self._fitted()
        self.row_factors_ = recover_rows(factor, as_ratings(ratings, columns=len(factor)), ridge=ridge)
        return self.row_factors_

    def predict(self, rows: Any, columns: Any) -> Array:
        """Predicted entries of the rows last given to `complete`.

        Parameters
        ----------
        rows, columns : array of int, shape (k,)

        Returns
        -------
        ndarray, shape (k,)

        Raises
        ------
        AttributeError
            If `complete` was not called.
        ValueError
            If an index is out of range.
        """
        factor = self._fitted()
        if not hasattr(self, "row_factors_"):
            raise AttributeError("there are no row factors yet: call complete(ratings) first")
        rows, columns = np.atleast_1d(rows), np.atleast_1d(columns)
        for name, index, length in (("rows", rows, len(self.row_factors_)), ("columns", columns, len(factor))):
            if index.dtype.kind not in "iu":
                raise TypeError(f"{name} must be integers, got dtype {index.dtype}")
            if index.size and (index.min() < 0 or index.max() >= length):
                raise ValueError(f"{name} must lie between 0 and {length - 1}, got {index.min()} to {index.max()}")
        return cast(Array, np.einsum("pk,pk->p", self.row_factors_[rows], factor[columns]))

    def moment_at(self, rows: Any, columns: Any) -> Array:
        """Entries of the completed moment at pairs of columns, without the d × d array, shape (k,)."""
        return completed(self._fitted(), rows, columns)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor, by name."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters of the constructor."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"{name} is no parameter of SecondMomentCompletion: choose among {', '.join(known)}")
            setattr(self, name, value)
        return self

    def _fitted(self) -> Array:
        if not hasattr(self, "factor_"):
            raise AttributeError("this SecondMomentCompletion is not fitted yet: call fit(ratings) first")
        return self.factor_
