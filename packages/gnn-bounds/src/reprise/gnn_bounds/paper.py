"""The reproduced paper and its experiments, in the order of the paper."""

from reprise.core import Paper

PAPER = Paper(
    "gnn-bounds",
    (
        "graph-norms",
        "bound-comparison",
        "degree-scaling",
        "lower-bound",
        "hessian-vs-gap",
        "noise-stable-fine-tuning",
    ),
)
