"""Environments from optional packages: imported when one is made, with a clear word where the package is absent."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import gymnasium

Make = Callable[[], gymnasium.Env[Any, Any]]


def load(module: str, extra: str) -> ModuleType:
    """Import a module that an extra brings.

    Raises
    ------
    ModuleNotFoundError
        If it is absent: the message names the extra.
    """
    with _quiet():
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{module} is absent: install reprise-multi-objective-rl[{extra}] ({error})"
            ) from error


def maker(env_id: str, module: str, extra: str, **options: Any) -> Make:
    """A function that makes a registered environment, by MO-Gymnasium where the module is that."""

    def make() -> gymnasium.Env[Any, Any]:
        loaded = load(module, extra)
        with _quiet():
            create = loaded.make if module == "mo_gymnasium" else gymnasium.make
            env: gymnasium.Env[Any, Any] = create(env_id, disable_env_checker=True, **options)
        return env

    return make


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what these packages warn of on loading.

    Bounds are rounded to float32; and SWIG's types lack an attribute, a DeprecationWarning that ends the interpreter
    where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
