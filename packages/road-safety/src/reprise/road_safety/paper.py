"""The reproduced papers and their experiments, in the order of the papers."""

from reprise.core import Paper

PAPER = Paper(
    "road-safety",
    ("cambridge-build", "cambridge-auroc", "cambridge-count", "rain-effect", "causal-synthetic", "cambridge-map"),
)
