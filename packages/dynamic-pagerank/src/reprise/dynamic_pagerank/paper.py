"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "dynamic-pagerank",
    (
        "invariants",
        "drift",
        "forward-cost",
        "reverse-cost",
        "adversarial",
        "speedup",
        "real-streams",
        "batching",
    ),
)
