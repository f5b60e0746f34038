"""Compilation of kernels: functions that never allocate."""

# mypy: allow-untyped-calls
# numba's own parts have no types.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def is_known(**options: Any) -> bool:
    """Return whether this version of numba takes these options of `njit`."""
    try:
        from numba.core.compiler import Flags
        from numba.core.registry import cpu_target

        cpu_target.options.parse_as_flags(Flags(), options)
    except (ImportError, AttributeError, KeyError, TypeError):
        return False
    return True


def kernel_options(known: Callable[..., bool] = is_known) -> dict[str, Any]:
    """Return the options with which kernels are compiled.

    Kernels never allocate, so that they need no reference counts; numba's, atomic ones for every array of every call,
    would take four fifths of the time of an update. ``_nrt=False`` leaves them out. It is an option of numba's own
    code, which may go: then kernels are compiled with the counts, slower and with the same results.
    """
    without_counts = {"_nrt": False}
    return {"cache": True, **without_counts} if known(**without_counts) else {"cache": True}


kernel: Any = njit(**kernel_options())
