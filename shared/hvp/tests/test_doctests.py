"""The examples of all docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import reprise.hvp

MODULES = [module.name for module in pkgutil.iter_modules(reprise.hvp.__path__, "reprise.hvp.")]


@pytest.mark.parametrize("name", ["reprise.hvp", *MODULES])
def test_examples_run(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.failed == 0
