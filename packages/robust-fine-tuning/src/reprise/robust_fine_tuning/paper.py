"""The reproduced papers and their experiments, in the order of the papers."""

from reprise.core import Paper

PAPER = Paper(
    "robust-fine-tuning",
    (
        "measure-vs-gap",
        "noisy-labels",
        "layer-distances",
        "nso-flatness",
        "nso-rate",
        "matrix-sensing",
        "label-cleaning",
        "image-tasks",
        "image-noise",
        "few-shot",
    ),
)
