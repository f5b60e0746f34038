"""The second moment of a matrix, and with it the span of its rows, from a few entries per row.

With two or ten entries of each row no row can be filled in, but MᵀM/n can be estimated when there are many rows, by
dividing each entry of the observed second moment by its own count (Hájek), and what was never seen can be completed by
gradient descent (Zhang, Zhang, Nguyen and Lan, TMLR 2026): ``SecondMomentCompletion(rank=10).fit(ratings).moment_``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.one_sided_completion.generators import common_means, linear_mixtures, noisy_mixtures
    from reprise.one_sided_completion.imputation import Imputation, completed, impute, spectral_factor
    from reprise.one_sided_completion.moment import SecondMoment, second_moment, second_moment_from
    from reprise.one_sided_completion.sampling import observe, sample

_HOMES = {
    "generators": ["common_means", "linear_mixtures", "noisy_mixtures"],
    "imputation": ["Imputation", "completed", "impute", "spectral_factor"],
    "moment": ["SecondMoment", "second_moment", "second_moment_from"],
    "sampling": ["observe", "sample"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Imputation",
    "SecondMoment",
    "common_means",
    "completed",
    "impute",
    "linear_mixtures",
    "noisy_mixtures",
    "observe",
    "sample",
    "second_moment",
    "second_moment_from",
    "spectral_factor",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
