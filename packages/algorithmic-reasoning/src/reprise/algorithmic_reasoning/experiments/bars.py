"""Bars in groups, one dot for every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from reprise.core.figures import COLOURS

HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")


def grouped_bars(axes: Axes, series: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Draw means side by side, with the trials that they are of.

    Parameters
    ----------
    axes : Axes
    series : mapping of str to sequence of sequences of float
        By label: for every group in turn, the values of the trials.
    """
    width = 0.8 / len(series)
    for index, (label, groups) in enumerate(series.items()):
        places = np.arange(len(groups)) + (index - (len(series) - 1) / 2) * width
        axes.bar(
            places,
            [float(np.mean(values)) for values in groups],
            width * 0.9,
            color=COLOURS[index],
            alpha=0.6,
            hatch=HATCHES[index],
            edgecolor="white",
            label=label,
        )
        for place, values in zip(places, groups):
            axes.plot([place] * len(values), values, "o", color="black", ms=2.5, ls="")
    axes.grid(visible=False, axis="x")
