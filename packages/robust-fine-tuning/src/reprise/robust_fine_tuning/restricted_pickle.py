"""Reading the arrays of a pickle file that somebody else made, and nothing else."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

# What arrays of numbers and strings need; everything else could run code.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"refused {module}.{name}: the file may hold arrays, numbers and strings only")
        return super().find_class(module, name)


def load_arrays(path: Path | str) -> Any:
    """What a pickle file holds, if it is made of arrays, numbers, strings and containers of them.

    Raises
    ------
    ValueError
        If the file asks for any other class or function, or is damaged.

    Examples
    --------
    >>> import pickle, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "data.pkl"
    ...     _ = path.write_bytes(pickle.dumps({"labels": ["cat", "dog"]}))
    ...     load_arrays(path)
    {'labels': ['cat', 'dog']}
    """
    path = Path(path)
    try:
        return _Restricted(io.BytesIO(path.read_bytes()), encoding="latin1").load()  # Python 2 wrote some
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, ImportError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read as arrays: {error}") from None
