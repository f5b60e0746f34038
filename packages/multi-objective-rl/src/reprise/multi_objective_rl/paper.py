"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "multi-objective-rl",
    (
        "linearisation",
        "grouping",
        "recovery",
        "speedup",
        "groups",
        "meta",
        "hessian",
        "preferences",
    ),
)
