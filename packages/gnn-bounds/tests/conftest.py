"""Small products are slower on several threads than on one; real files are read where they lie."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data():
    """The folder of real files, or a skip that says what is missing."""
    from reprise.core import MissingData
    from reprise.gnn_bounds.experiments.data import BACE, TU

    try:
        folder = TU.find()
        BACE.find()
    except MissingData as error:
        pytest.skip(str(error))
    assert os.listdir(folder)
    return Path(folder)
