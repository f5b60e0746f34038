"""Reference arrays, where the data folder is."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def reference_file():
    """Return a function that finds a file of the reference data, or skips with its name."""

    def find(name):
        path = Path(os.environ.get("REPRISE_DATA", "")) / "algorithmic-reasoning" / name
        if not path.is_file():
            pytest.skip(f"{name} is missing: put it into $REPRISE_DATA/algorithmic-reasoning")
        return path

    return find


@pytest.fixture(scope="session")
def reference(reference_file):
    """Trajectories of the reference library by key."""
    with np.load(reference_file("clrs_reference.npz")) as file:
        return dict(file)
