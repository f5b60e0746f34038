import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["claims", "checks"])
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(import_module(f"reprise.core.{module}"))
    assert result.attempted > 0 and result.failed == 0
