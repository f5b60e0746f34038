import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import reprise.one_sided_completion as package

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if ".experiments" not in name and not name.endswith(("objective_torch", "command", "paper"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_public_names_exist():
    assert all(getattr(package, name) for name in package.__all__)
    assert set(dir(package)) == set(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = package.absent


def test_it_needs_no_torch_and_loads_nothing_on_import():
    code = (
        "import sys, reprise.one_sided_completion as p; assert 'numba' not in sys.modules;"
        "M = p.linear_mixtures(500, 8, 2, seed=0); p.SecondMomentCompletion(2).fit(p.sample(M, p=0.5, seed=0));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_absent_torch_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "reprise.one_sided_completion.objective_torch", raising=False)
    moment = package.second_moment(package.sample(package.linear_mixtures(50, 5, 2, seed=0), p=0.8, seed=0))
    with pytest.raises(ValueError, match=r"install reprise-one-sided-completion\[torch\]"):
        package.impute(moment, 2, backend="torch")
