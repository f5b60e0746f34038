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


def kernel_options(known: Callable[..., bool] = is_known, *, inlined: bool = False) -> dict[str, Any]:
    """Return the options with which kernels are compiled.

    Kernels never allocate, so that they need no reference counts; numba's, atomic ones for every array of every call,
    would take four fifths of the time of an update. ``_nrt=False`` leaves them out. A call passes every field of every
    array, a hundred numbers for a graph with its columns, which would take half of what remains: ``forceinline=True``
    copies a kernel into its callers. Both are options of numba's own code, which may go: then kernels are compiled
    without them, slower and with the same results.
    """
    options: dict[str, Any] = {"cache": True}
    for name, value in {"_nrt": False, **({"forceinline": True} if inlined else {})}.items():
        if known(**{name: value}):
            options[name] = value
    return options


# A kernel becomes part of its callers; one that is long, or seldom called, stays on its own.
kernel: Any = njit(**kernel_options(inlined=True))
long_kernel: Any = njit(**kernel_options())
