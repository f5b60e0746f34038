"""The growth of an epidemic over weeks: the product of one matrix per week, its singular values and its gradient.

Everything goes through products of sparse matrices with thin blocks, forwards and backwards through the weeks; no dense
product of two networks is ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError, LinearOperator, svds

from reprise.edge_intervention.centrality import entries_on_edges
from reprise.edge_intervention.errors import ConvergenceError
from reprise.edge_intervention.spectrum import DENSE, leading_triples


@dataclass(frozen=True)
class ProductSpectrum:
    """Leading singular triples of ``Π = K_1 … K_s / scale^s``.

    Parameters
    ----------
    values : ndarray, shape (r,)
    left, right : ndarray, shape (n, r)
    log_objective : float
        ``log Σ_{k≤r} σ_k(K_1 … K_s)²``, of the unscaled product.
    log10_top : float
        ``log10 σ_1(K_1 … K_s)``.
    """

    values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    log_objective: float
    log10_top: float


class GrowthChain:
    """The weeks of a network as a chain of growth matrices.

    Parameters
    ----------
    weeks : list of csr_array
        All of one shape (n, m), canonical.
    rank : int

    Notes
    -----
    A rectangular week W gives ``K = W Wᵀ``, a square one ``K = W``. Every K is divided by that of the first week's
    largest singular value, because a product of ten overflows the aim of any step rule; the objective is a logarithm.
    """

    def __init__(self, weeks: list[sparse.csr_array], rank: int):
        self.square = weeks[0].shape[0] == weeks[0].shape[1]
        self.rank = min(rank, weeks[0].shape[0])
        top = float(leading_triples(weeks[0], 1).values[0])
        self.scale = top if self.square else top**2

    def forward(self, week: sparse.csr_array, block: np.ndarray) -> np.ndarray:
        """Return ``K block / scale``."""
        return np.asarray(week @ block if self.square else week @ (week.T @ block)) / self.scale

    def backward(self, week: sparse.csr_array, block: np.ndarray) -> np.ndarray:
        """Return ``Kᵀ block / scale``."""
        return np.asarray(week.T @ block) / self.scale if self.square else self.forward(week, block)

    def spectrum(self, weeks: list[sparse.csr_array], start: np.ndarray | None = None) -> ProductSpectrum:
        """Return the leading triples of the product; a product of zero has the log-objective −inf."""
        n = weeks[0].shape[0]

        def apply(block: np.ndarray) -> np.ndarray:
            for week in reversed(weeks):
                block = self.forward(week, block)
            return block

        def apply_transposed(block: np.ndarray) -> np.ndarray:
            for week in weeks:
                block = self.backward(week, block)
            return block

        ones = np.ones(n)
        if n <= DENSE or self.rank >= n - 1:
            left, values, right_t = np.linalg.svd(apply(np.eye(n)), full_matrices=False)
            left, values, right = left[:, : self.rank], values[: self.rank], right_t[: self.rank].T
        elif not np.any(apply(ones)):
            left, values, right = np.eye(n, self.rank), np.zeros(self.rank), np.eye(n, self.rank)
        else:
            operator = LinearOperator(
                (n, n),
                matvec=apply,
                rmatvec=apply_transposed,
                matmat=apply,
                rmatmat=apply_transposed,
                dtype=np.float64,
            )
            try:
                left, values, right_t = svds(operator, self.rank, v0=ones if start is None else start, tol=1e-9)
            except ArpackError as error:
                raise ConvergenceError(f"the singular vectors of the product did not converge: {error}") from error
            order = np.argsort(-values, kind="stable")
            left, values, right = left[:, order], values[order], right_t[order].T
        total = len(weeks) * np.log(self.scale)
        with np.errstate(divide="ignore"):
            log_objective = float(np.log((values**2).sum()) + 2 * total)
            top = float((np.log(values[0]) + total) / np.log(10))
        return ProductSpectrum(values, left, right, log_objective, top)

    def gradients(self, weeks: list[sparse.csr_array], found: ProductSpectrum) -> list[np.ndarray]:
        """Return the gradient of the log-objective on the edges of every week.

        Notes
        -----
        With ``H_t = (K_1 … K_{t−1})ᵀ UΣVᵀ (K_{t+1} … K_s)ᵀ = A_t B_tᵀ`` of rank r the gradient of ``Σ σ_k²`` is
        ``2 (H_t + H_tᵀ) W_t`` for rectangular weeks and ``2 H_t`` for square ones; time O(s r nnz).
        """
        ahead = [found.left * found.values]
        for week in weeks[:-1]:
            ahead.append(self.backward(week, ahead[-1]))
        behind = [found.right]
        for week in reversed(weeks[1:]):
            behind.append(self.forward(week, behind[-1]))
        behind.reverse()
        total = float((found.values**2).sum())
        if total == 0:
            return [np.zeros(week.nnz) for week in weeks]
        gradients = []
        for week, A, B in zip(weeks, ahead, behind):
            if self.square:
                left, right = A, B
            else:
                left, right = np.hstack([A, B]), week.T @ np.hstack([B, A])
            gradients.append(2.0 / (total * self.scale) * entries_on_edges(left, right, week))
        return gradients
