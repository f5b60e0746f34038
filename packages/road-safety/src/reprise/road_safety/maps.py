"""Maps of streets as figures: predicted risk, past accidents, effects, in grey too.

Lightness falls and lines widen with the value, so that a map reads without colour; what cannot be told from nothing is
a thin grey line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.geometry import Projection
from reprise.road_safety.streets import Streets
from reprise.road_safety.validation import number, one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

SCALES = ("log", "linear")
QUIET = "#c4c4c4"  # segments without a value, or whose interval holds the reference
WIDTHS = (0.7, 3.2)  # points
# Black to light yellow backwards; its lightest fifth would vanish on paper.
_COLOURMAP, _LIGHTEST = "inferno_r", 0.16


@dataclass(frozen=True)
class MapLayer:
    """One quantity of the segments, to be drawn.

    Parameters
    ----------
    name : str
        As the map calls it.
    values : array_like, shape (E,)
        NaN where there is none.
    unit : str
        ``accidents per km and year``.
    low, high : array_like, shape (E,), optional
        Intervals.
    reference : float, optional
        The value that means "nothing": 0 for a difference, 1 for a ratio. Segments whose interval holds it are thin
        and grey.
    scale : {"log", "linear"}
        Of the colours. On a logarithmic one values that are not above 0 are grey.
    limits : tuple of float, optional
        Values of the ends of the colours; by default the 2nd and 98th percentile of what is coloured.
    """

    name: str
    values: Any
    unit: str = ""
    low: Any = None
    high: Any = None
    reference: float | None = None
    scale: str = "log"
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        one_of("scale", self.scale, SCALES)
        for name in ("values", "low", "high"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _column(name, getattr(self, name)))
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high must be given together")
        if self.low is not None and not len(self.low) == len(self.high) == len(self.values):
            raise ValueError(
                f"low and high must have shape ({len(self.values)},), got {self.low.shape} and {self.high.shape}"
            )
        if self.reference is not None:
            number("reference", self.reference)
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits must be (low, high) with low < high, got {self.limits}")

    @property
    def told(self) -> np.ndarray:
        """Which segments are drawn in colour, shape (E,)."""
        told = np.isfinite(self.values)
        if self.scale == "log":
            told &= np.nan_to_num(self.values) > 0
        if self.reference is not None and self.low is not None:
            told &= ~((self.low <= self.reference) & (self.reference <= self.high))
        return np.asarray(told)

    def norm(self) -> Normalize:
        """Return how values become places in the colours."""
        from matplotlib.colors import LogNorm, Normalize

        shown = self.values[self.told]
        low, high = self.limits or (np.percentile(shown, [2, 98]) if len(shown) else (1.0, 10.0))
        if not low < high:
            low, high = (low / 2, low * 2) if self.scale == "log" else (low - 1, low + 1)
        kind = LogNorm if self.scale == "log" else Normalize
        return kind(float(low), float(high), clip=True)


def colours() -> Colormap:
    """Return the colours of all maps, light for little and dark for much."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps[_COLOURMAP](np.linspace(_LIGHTEST, 1.0, 256)))


def risk_map(streets: Any, layer: MapLayer, *, axes: Axes | None = None, width: float = 1.0) -> Figure:
    """Draw a quantity of the segments on their map.

    Parameters
    ----------
    streets : RoadDataset, Streets, or sequence of arrays, shapes (k, 2)
        Longitude and latitude along each segment.
    layer : MapLayer
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.
    width : float
        Of the lines, against those that suit a figure as wide as a page.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError, TypeError
    """
    from matplotlib import pyplot as plt
    from matplotlib.collections import LineCollection

    lines = segment_lines(streets)
    thin, thick = np.array(WIDTHS) * number("width", width, low=0.0, open_low=True)
    if len(layer.values) != len(lines):
        raise ValueError(f"layer must have one value per segment, {len(lines)}, got {len(layer.values)}")
    if axes is None:
        _, axes = plt.subplots(figsize=(7.0, 5.4), layout="constrained")
    points = np.concatenate(lines)
    plane = Projection.around(points[:, 0], points[:, 1])
    metres = [plane.metres(*line.T) for line in lines]
    norm, told = layer.norm(), layer.told
    axes.add_collection(LineCollection([metres[e] for e in np.flatnonzero(~told)], colors=QUIET, linewidths=thin))
    order = np.flatnonzero(told)[np.argsort(layer.values[told], kind="stable")]
    share = np.asarray(norm(layer.values[order]))
    drawn = LineCollection(
        [metres[e] for e in order],
        array=layer.values[order],
        cmap=colours(),
        norm=norm,
        linewidths=thin + (thick - thin) * share,
        capstyle="round",
    )
    axes.add_collection(drawn)
    axes.autoscale()
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(
        drawn, ax=axes, shrink=0.75, pad=0.01, label=", ".join(filter(None, (layer.name, layer.unit)))
    )
    ticks = legend_ticks(norm, layer.scale)
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
    _scale_bar(axes, np.concatenate(metres))
    return figure


def segment_lines(streets: Any) -> tuple[np.ndarray, ...]:
    """Return longitude and latitude along each segment; straight lines for a data set without its streets."""
    if isinstance(streets, RoadDataset):
        if streets.streets:
            return streets.streets
        ends = np.stack([streets.lon, streets.lat], axis=1)[streets.edge_index]
        return tuple(ends.transpose(1, 0, 2))
    given = streets.lines if isinstance(streets, Streets) else streets
    if not isinstance(given, Sequence) or isinstance(given, str) or not len(given):
        raise TypeError(f"streets must be a RoadDataset, Streets, or lines, got {type(streets).__name__}")
    lines = tuple(np.asarray(line, dtype=np.float64) for line in given)
    for line in lines:
        if line.ndim != 2 or line.shape[1] != 2 or len(line) < 2 or not np.isfinite(line).all():
            raise ValueError(f"streets must be finite lines of shape (k, 2) with k of at least 2, got {line.shape}")
    return lines


def legend_ticks(norm: Normalize, scale: str) -> list[float]:
    """Return a few round values between the ends of the colours."""
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    if scale == "linear":
        from matplotlib.ticker import MaxNLocator

        return [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        ticks = [float(f"{10.0**d * s:.6g}") for d in decades for s in steps if low <= 10.0**d * s <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks or [low, high]


def round_length(metres: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is at most so long."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(step * power for step in (1, 2, 5) if step * power <= metres))


def _scale_bar(axes: Axes, points: np.ndarray) -> None:
    """A bar of round length in metres in the lower left corner, and where north is."""
    west, south = points.min(axis=0)
    east, north = points.max(axis=0)
    length = round_length((east - west) / 4)
    label = f"{length / 1e3:g} km" if length >= 1000 else f"{length:g} m"
    lift = 0.015 * (north - south)
    axes.plot([west, west + length], [south, south], color="black", linewidth=2, solid_capstyle="butt")
    axes.text(west + length / 2, south + lift, label, ha="center", va="bottom", fontsize=8)
    axes.annotate(
        "N",
        xy=(west + 0.02 * (east - west), north),
        xytext=(west + 0.02 * (east - west), north - 0.12 * (north - south)),
        ha="center",
        va="top",
        fontsize=8,
        arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1},
    )


def _column(name: str, value: Any) -> np.ndarray:
    """Real numbers of shape (E,), NaN allowed."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (E,), got {array.shape}")
    array = np.array(array, dtype=np.float64)
    if np.isinf(array).any():
        raise ValueError(f"{name} must be finite or NaN, got {array[np.isinf(array)][0]}")
    return array
