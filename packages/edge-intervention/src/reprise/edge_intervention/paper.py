"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "edge-intervention",
    (
        "certify",
        "mobility-static",
        "models",
        "budget-sweep",
        "graphs",
        "temporal",
        "scaling",
    ),
)
