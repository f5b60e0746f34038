"""The reproduced papers and their experiments, in the order of the papers."""

from reprise.core import Paper

PAPER = Paper(
    "road-safety",
    (
        "loader-roundtrip",
        "cambridge-build",
        "cambridge-auroc",
        "cambridge-count",
        "cambridge-map",
        "spatio-temporal",
        "mtl-synthetic",
        "states",
        "multimodal-synthetic",
        "rain-effect",
        "causal-synthetic",
    ),
)
