"""What the tests of every package share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--slow``."""
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked slow unless ``--slow`` is given."""
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def run_readme(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict]:
    """Run the python blocks of the package's README in order, in one namespace, in an empty folder."""
    readme = next(parent / "README.md" for parent in request.path.parents if (parent / "pyproject.toml").exists())

    def run() -> dict:
        monkeypatch.chdir(tmp_path)
        blocks = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        assert blocks, f"{readme} holds no python block"
        namespace: dict = {}
        for block in blocks:
            exec(compile(block, str(readme), "exec"), namespace)
        return namespace

    return run
