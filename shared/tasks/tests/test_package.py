import doctest
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import reprise.tasks

MODULES = sorted(module.name for module in pkgutil.iter_modules(reprise.tasks.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"reprise.tasks.{name}")
    public = {name: getattr(reprise.tasks, name) for name in reprise.tasks.__all__}
    scope = {"np": np, "torch": torch, "nn": torch.nn, **public, **vars(module)}
    torch.set_printoptions(profile="default")
    assert doctest.testmod(module, extraglobs=scope, optionflags=doctest.ELLIPSIS).failed == 0


def test_every_public_name_is_there_and_documented():
    for name in reprise.tasks.__all__:
        assert getattr(reprise.tasks, name).__doc__
    assert dir(reprise.tasks) == sorted(reprise.tasks.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = reprise.tasks.nothing


def test_importing_the_package_imports_nothing_heavy():
    script = "import sys, reprise.tasks; print(sorted({'torch', 'cvxpy', 'sklearn', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_readme_runs(run_readme):
    names = run_readme()
    assert names["groups"].k == 2
