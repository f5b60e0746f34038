"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "matrix-sensing",
    (
        "initialisation",
        "subspace",
        "sample-complexity",
        "overparameterisation",
        "quadratic-network",
        "flatness",
        "conditioning",
        "phase-diagram",
        "rank-path",
    ),
)
