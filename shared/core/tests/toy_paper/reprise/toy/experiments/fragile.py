"""An experiment that fails in one cell, and whose larger scale needs a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from matplotlib.figure import Figure

from reprise.core import Claim, DataSet, Experiment, RemoteFile, at_least


@dataclass(frozen=True)
class Settings:
    fail: bool = True


def cells(settings):
    yield {"part": 0}
    yield {"part": 1}


def measure(settings, cell, context):
    trouble = os.environ.get("TOY_TROUBLE") if cell["part"] == 1 else None
    if trouble == "death":
        os._exit(9)
    if trouble == "nothing":
        return None
    if trouble == "object":
        return [{"value": object()}]
    if trouble == "mixed":
        return [{"value": "one"}]
    if trouble == "clash":
        return [{"part": 2, "value": 1.0}]
    if settings.fail and cell["part"] == 1 and trouble is None:
        raise ZeroDivisionError("by zero")
    return [{"value": 1.0}]


def prepare(settings, context):
    if os.environ.get("TOY_TROUBLE") == "prepare":
        raise ZeroDivisionError("by zero")


def plot(table):
    if os.environ.get("TOY_TROUBLE") == "plot":
        raise ZeroDivisionError("by zero")
    return Figure()


DATA = DataSet(
    name="toy",
    files=(RemoteFile("numbers.csv"),),
    source="Toy Numbers, the toy owner's page",
    size="1 kB",
    licence="CC0",
)

EXPERIMENT = Experiment(
    name="fragile",
    title="One cell fails",
    scales={"laptop": Settings(), "paper": Settings(fail=False)},
    cells=cells,
    measure=measure,
    plot=plot,
    prepare=prepare,
    claims=(Claim("T5", "it is one", "Table 3", 1.0, "number", at_least("value", 1.0)),),
    data={"paper": (DATA,)},
)
