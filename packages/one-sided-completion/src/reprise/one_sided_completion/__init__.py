"""The second moment of a matrix, and with it the span of its rows, from a few entries per row.

With two or ten entries of each row no row can be filled in, but MᵀM/n can be estimated when there are many rows, by
dividing each entry of the observed second moment by its own count (Hájek), and what was never seen can be completed by
gradient descent (Zhang, Zhang, Nguyen and Lan, TMLR 2026): ``SecondMomentCompletion(rank=10).fit(ratings).moment_``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.one_sided_completion.directions import Directions, bootstrap_directions, principal_directions
    from reprise.one_sided_completion.estimator import SecondMomentCompletion
    from reprise.one_sided_completion.generators import common_means, linear_mixtures, noisy_mixtures
    from reprise.one_sided_completion.imputation import Imputation, completed, impute, spectral_factor
    from reprise.one_sided_completion.loaders import Ratings, load_ratings
    from reprise.one_sided_completion.mixture import Mixture, mixture_moment
    from reprise.one_sided_completion.moment import SecondMoment, second_moment, second_moment_from
    from reprise.one_sided_completion.ratio import RatioMoments, hajek_moments, ratio_moments
    from reprise.one_sided_completion.recovery import recover_rows, recover_rows_by_descent
    from reprise.one_sided_completion.release import release, sensitivity
    from reprise.one_sided_completion.sampling import observe, sample
    from reprise.one_sided_completion.storage import load_moment, merge_moments, save_moment
    from reprise.one_sided_completion.stream import read_blocks, second_moment_of_file, write_blocks

_HOMES = {
    "directions": ["Directions", "bootstrap_directions", "principal_directions"],
    "estimator": ["SecondMomentCompletion"],
    "generators": ["common_means", "linear_mixtures", "noisy_mixtures"],
    "imputation": ["Imputation", "completed", "impute", "spectral_factor"],
    "loaders": ["Ratings", "load_ratings"],
    "mixture": ["Mixture", "mixture_moment"],
    "moment": ["SecondMoment", "second_moment", "second_moment_from"],
    "ratio": ["RatioMoments", "hajek_moments", "ratio_moments"],
    "recovery": ["recover_rows", "recover_rows_by_descent"],
    "release": ["release", "sensitivity"],
    "sampling": ["observe", "sample"],
    "storage": ["load_moment", "merge_moments", "save_moment"],
    "stream": ["read_blocks", "second_moment_of_file", "write_blocks"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Directions",
    "Imputation",
    "Mixture",
    "Ratings",
    "RatioMoments",
    "SecondMoment",
    "SecondMomentCompletion",
    "bootstrap_directions",
    "common_means",
    "completed",
    "hajek_moments",
    "impute",
    "linear_mixtures",
    "load_moment",
    "load_ratings",
    "merge_moments",
    "mixture_moment",
    "noisy_mixtures",
    "observe",
    "principal_directions",
    "ratio_moments",
    "read_blocks",
    "recover_rows",
    "recover_rows_by_descent",
    "release",
    "sample",
    "save_moment",
    "second_moment",
    "second_moment_from",
    "second_moment_of_file",
    "sensitivity",
    "spectral_factor",
    "write_blocks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
