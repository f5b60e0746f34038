"""Figures: one look for all papers, readable at README width, in grey and for colour-blind eyes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, darkest first, with a dash and a marker each: told apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", "-", "--", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: dict[str, Any] = {
    "figure.figsize": (7.0, 3.2),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES),
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "svg.hashsalt": "reprise",
    "svg.fonttype": "path",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style."""
    with mpl.rc_context(cast(Any, STYLE)):
        yield


def draw(plot: Callable[[pd.DataFrame], Figure], table: pd.DataFrame) -> dict[str, bytes]:
    """Return ``figure.svg`` and ``figure.png`` of a table; the same table gives the same bytes."""
    from matplotlib import pyplot

    with style():
        figure = plot(table)
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", metadata={"Software": None})
        pyplot.close(figure)
    return {"figure.svg": svg.getvalue(), "figure.png": png.getvalue()}


def band(
    axes: Axes, table: pd.DataFrame, x: str, y: str, *, label: str | None = None, log: bool = False, **line: Any
) -> None:
    """Draw the mean of `y` at every `x` with its 95 % interval over the rows as a band.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        Several rows (trials) per value of `x`.
    x, y : str
        Columns.
    label : str, optional
    log : bool
        Average logarithms: for a logarithmic axis of positive values.
    **line
        Passed to ``axes.plot``.
    """
    from scipy import stats

    values = table[[x, y]].astype(float)
    if log:
        values[y] = np.log(values[y].clip(lower=np.finfo(float).tiny))
    grouped = values.groupby(x)[y]
    mean, count = grouped.mean(), grouped.count()
    half = (grouped.std(ddof=1) / np.sqrt(count) * stats.t.ppf(0.975, (count - 1).clip(lower=1))).fillna(0.0)
    centre, low, high = mean.to_numpy(), (mean - half).to_numpy(), (mean + half).to_numpy()
    if log:
        centre, low, high = np.exp(centre), np.exp(low), np.exp(high)
    (drawn,) = axes.plot(mean.index, centre, label=label, **line)
    axes.fill_between(mean.index, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)
