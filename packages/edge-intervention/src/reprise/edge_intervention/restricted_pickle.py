"""Reading a pickle of sparse matrices without running what else a pickle may hold.

A pickle can name any function to be called. This reader finds five names (how numpy rebuilds arrays, and the CSR matrix
of scipy) and refuses every other.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

# As written by old and new versions of the two libraries.
_RECONSTRUCT = {"numpy.core.multiarray", "numpy._core.multiarray"}
_CSR = {"scipy.sparse.csr", "scipy.sparse._csr"}


class _Csr:
    """Receives the state of a pickled CSR matrix; becomes a matrix only after its parts are checked."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _RECONSTRUCT and name in ("_reconstruct", "scalar"):
            from numpy._core import multiarray

            return getattr(multiarray, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in _CSR and name in ("csr_matrix", "csr_array"):
            return _Csr
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def load_csr_list(path: str | Path) -> list[sparse.csr_array]:
    """Read a pickled list of CSR matrices.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of csr_array

    Raises
    ------
    ValueError
        If the file holds anything but a list of CSR matrices of numbers.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            found = _Reader(opened).load()
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{file.name} is no pickled list of CSR matrices: {error}") from error
    if not isinstance(found, list) or not found or not all(isinstance(part, _Csr) for part in found):
        raise ValueError(f"{file.name} must hold a list of CSR matrices, got {type(found).__name__}")
    return [_matrix(part, f"{file.name}, matrix {t}") for t, part in enumerate(found)]


def _matrix(part: _Csr, name: str) -> sparse.csr_array:
    state = vars(part)
    arrays = [state.get(key) for key in ("data", "indices", "indptr")]
    shape = state.get("_shape")
    if not all(isinstance(array, np.ndarray) and array.dtype.kind in "iuf" for array in arrays) or not shape:
        raise ValueError(f"{name} lacks numbers in data, indices, indptr or shape")
    try:
        matrix = sparse.csr_array(tuple(arrays), shape=tuple(int(side) for side in shape))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} is no CSR matrix: {error}") from error
    return matrix
