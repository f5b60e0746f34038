import doctest
import pkgutil
from importlib import import_module

import pytest

import reprise.edge_intervention as package

MODULES = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__) if not found.ispkg]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name):
    outcome = doctest.testmod(import_module(name))
    assert outcome.failed == 0


def test_every_public_name_is_there_and_documented():
    for name in package.__all__:
        assert getattr(package, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
