"""The public surface, and that naming it costs nothing."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import reprise.multi_objective_rl as package


def test_every_public_name_loads():
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        package.nope  # noqa: B018


def test_the_paper_is_declared_without_heavy_imports():
    code = "import sys, reprise.multi_objective_rl.paper; print('torch' in sys.modules, 'pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg])
def test_examples_in_docstrings_hold(name):
    found = doctest.testmod(importlib.import_module(f"{package.__name__}.{name}"))
    assert found.failed == 0
