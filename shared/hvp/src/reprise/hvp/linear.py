"""Symmetric linear operators on R^P: products, algebra, and the way to dense matrices and to scipy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from .parameters import ParameterSpace

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

DENSE_LIMIT = 20_000


class SymmetricOperator:
    """A symmetric matrix known by its products.

    ``A @ v`` takes a vector (P,), a block (P, K) or, where the operator has a `space`, a dict of tensors named and
    shaped like the parameters; the answer has the form of the question. ``A + B``, ``A - B``, ``2 * A`` and
    ``A.shift(tau)`` are operators again.

    Parameters
    ----------
    size : int
        P.
    dtype, device
        Of the vectors.
    space : ParameterSpace, optional
        How vectors are split into parameters.
    """

    def __init__(
        self, size: int, dtype: torch.dtype, device: torch.device, space: ParameterSpace | None = None
    ) -> None:
        self.size = size
        self.dtype = dtype
        self.device = device
        self.space = space

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return (self.size, self.size)

    @property
    def T(self) -> SymmetricOperator:
        """The operator itself: it is symmetric."""
        return self

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P): what subclasses define."""
        raise TypeError(f"{type(self).__name__} defines no products")

    def matvec(self, vector: Tensor) -> Tensor:
        """Product with a vector, (P,) to (P,)."""
        self._validate(vector, dims=1)
        return self.apply(vector[None])[0]

    def matmat(self, block: Tensor) -> Tensor:
        """Product with the columns of a block, (P, K) to (P, K)."""
        self._validate(block, dims=2)
        return self.apply(block.T.contiguous()).T

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...
    @overload
    def __matmul__(self, other: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def __matmul__(self, other: Tensor | Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Product with a vector (P,), a block (P, K), or a dict of tensors."""
        if isinstance(other, Tensor):
            return self.matmat(other) if other.ndim == 2 else self.matvec(other)
        if isinstance(other, Mapping):
            return self._tree_product(other)
        raise TypeError(f"vector must be a tensor or a dict of tensors, got {type(other).__name__}")

    def dense(self) -> Tensor:
        """The matrix itself, shape (P, P), by P products.

        Raises
        ------
        ValueError
            If P is larger than 20 000.
        """
        if self.size > DENSE_LIMIT:
            raise ValueError(f"dense() needs P ≤ {DENSE_LIMIT}, got {self.size}")
        return self.apply(torch.eye(self.size, dtype=self.dtype, device=self.device))

    def to_scipy(self) -> LinearOperator:
        """A `scipy.sparse.linalg.LinearOperator` with the same products, on numpy arrays."""
        from scipy.sparse.linalg import LinearOperator

        def multiply(array: Any) -> Any:
            tensor = torch.as_tensor(array, dtype=self.dtype, device=self.device)
            result = self @ (tensor.reshape(-1) if tensor.ndim == 2 and tensor.shape[1] == 1 else tensor)
            return result.reshape(array.shape).cpu().numpy()

        dtype = torch.empty((), dtype=self.dtype).numpy().dtype
        return LinearOperator(self.shape, matvec=multiply, matmat=multiply, rmatvec=multiply, dtype=dtype)

    def __add__(self, other: SymmetricOperator) -> SymmetricOperator:
        if not isinstance(other, SymmetricOperator):
            return NotImplemented
        return Combination([(1.0, self), (1.0, other)])

    def __sub__(self, other: SymmetricOperator) -> SymmetricOperator:
        if not isinstance(other, SymmetricOperator):
            return NotImplemented
        return Combination([(1.0, self), (-1.0, other)])

    def __mul__(self, factor: float) -> SymmetricOperator:
        if not isinstance(factor, (int, float)):
            return NotImplemented
        return Combination([(float(factor), self)])

    __rmul__ = __mul__

    def __neg__(self) -> SymmetricOperator:
        return self * -1.0

    def shift(self, tau: float) -> SymmetricOperator:
        """A + tau·I."""
        return Combination([(1.0, self)], shift=float(tau))

    def _tree_product(self, tree: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.space is None:
            raise TypeError("vector must be a tensor: this operator knows no parameter names")
        if set(tree) != set(self.space.tensors):
            raise ValueError(f"vector must have the names {self.space.names}, got {list(tree)}")
        for name, tensor in self.space.tensors.items():
            if tree[name].shape != tensor.shape:
                raise ValueError(
                    f"vector[{name!r}] must have shape {tuple(tensor.shape)}, got {tuple(tree[name].shape)}"
                )
        return self.space.unflatten(self.matvec(self.space.flatten(tree)))

    def _validate(self, vector: Tensor, *, dims: int) -> None:
        if vector.ndim != dims:
            expected = f"({self.size},)" if dims == 1 else f"({self.size}, K)"
            raise ValueError(f"vector must have shape {expected}, got {tuple(vector.shape)}")
        if vector.shape[0] != self.size:
            raise ValueError(f"vector must have length P = {self.size}, got {vector.shape[0]}")
        if vector.dtype != self.dtype:
            raise TypeError(f"vector must have dtype {self.dtype}, got {vector.dtype}")
        if vector.device != self.device:
            raise ValueError(f"vector must lie on {self.device}, got {vector.device}")


class Combination(SymmetricOperator):
    """Σ_i c_i A_i + tau·I.

    Raises
    ------
    ValueError
        If the operators differ in size, dtype or device.
    """

    def __init__(self, terms: list[tuple[float, SymmetricOperator]], *, shift: float = 0.0) -> None:
        first = terms[0][1]
        for _, operator in terms[1:]:
            for what in ("size", "dtype", "device"):
                if getattr(operator, what) != getattr(first, what):
                    raise ValueError(
                        f"operators must agree in {what}, got {getattr(first, what)} and {getattr(operator, what)}"
                    )
        super().__init__(first.size, first.dtype, first.device, first.space)
        self.terms = terms
        self.tau = shift

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        total = self.tau * rows
        for factor, operator in self.terms:
            total = total.add(operator.apply(rows), alpha=factor)
        return total


class Matrix(SymmetricOperator):
    """An explicit symmetric matrix as an operator.

    Examples
    --------
    >>> import torch
    >>> (Matrix(torch.diag(torch.tensor([1.0, 2.0]))).shift(1.0) @ torch.ones(2)).tolist()
    [2.0, 3.0]
    """

    def __init__(self, matrix: Tensor) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix must be square, got shape {tuple(matrix.shape)}")
        if not matrix.is_floating_point():
            raise TypeError(f"matrix must be real floating point, got {matrix.dtype}")
        if not torch.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-6 * float(matrix.abs().max())):
            raise ValueError("matrix must be symmetric")
        super().__init__(matrix.shape[0], matrix.dtype, matrix.device)
        self.matrix = matrix

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        return rows @ self.matrix


class FromProduct(SymmetricOperator):
    """A symmetric operator given by a function v -> Av on vectors (P,).

    Examples
    --------
    >>> import torch
    >>> twice = FromProduct(lambda v: 2 * v, size=3)
    >>> (twice @ torch.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        product: Callable[[Tensor], Tensor],
        size: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(size, dtype, torch.device(device))
        self.product = product

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        return torch.stack([self.product(row) for row in rows])


def as_operator(operator: SymmetricOperator | Tensor) -> SymmetricOperator:
    """The operator itself, or a dense symmetric matrix as one."""
    if isinstance(operator, SymmetricOperator):
        return operator
    if isinstance(operator, Tensor):
        return Matrix(operator)
    raise TypeError(f"operator must be a SymmetricOperator or a square tensor, got {type(operator).__name__}")
