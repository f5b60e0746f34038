"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "algorithmic-reasoning",
    ("traces", "transfer", "single", "linearisation", "affinity", "branching", "scaling", "text"),
)
