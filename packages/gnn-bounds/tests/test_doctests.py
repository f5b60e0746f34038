"""The examples in docstrings run, and print what they say."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import reprise.gnn_bounds

MODULES = [
    found.name
    for found in pkgutil.walk_packages(reprise.gnn_bounds.__path__, "reprise.gnn_bounds.")
    if not found.ispkg and ".experiments" not in found.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = import_module(name)
    assert doctest.testmod(module, extraglobs={"np": import_module("numpy")}).failed == 0
