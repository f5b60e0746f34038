"""Where reference data lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Path]:
    """Return the path of a file under $REPRISE_DATA, or skip with its name."""

    def find(name: str) -> Path:
        path = Path(os.environ.get("REPRISE_DATA", "")) / name
        if "REPRISE_DATA" not in os.environ or not path.is_file():
            pytest.skip(f"the reference file {name} is missing: set REPRISE_DATA to the folder that holds it")
        return path

    return find
