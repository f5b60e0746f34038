"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "one-sided-completion",
    (
        "bias-variance",
        "movielens",
        "per-row",
        "uniform",
        "gap",
        "sample-complexity",
        "noise",
        "weighting",
        "scaling",
    ),
)
