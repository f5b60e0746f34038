"""A map as one HTML file that needs no network: drawn on a canvas, with layers, zoom, and values under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reprise.road_safety.geometry import Projection
from reprise.road_safety.maps import QUIET, WIDTHS, MapLayer, colours, legend_ticks, segment_lines

TEMPLATE = "map.html"


def html_map(
    streets: Any,
    layers: MapLayer | Sequence[MapLayer],
    *,
    names: Sequence[str] | None = None,
    title: str = "Streets",
    path: Any = None,
) -> str:
    """Return an interactive map as a self-contained page.

    Parameters
    ----------
    streets : RoadDataset, Streets, or sequence of arrays, shapes (k, 2)
        Longitude and latitude along each segment.
    layers : MapLayer or sequence of MapLayer
        One of them is shown; a menu changes it. Intervals appear under the pointer.
    names : sequence of str, optional
        Of the segments; those of `Streets` by default.
    title : str
    path : path, optional
        Also written there.

    Returns
    -------
    str
        The page. Nothing in it refers to another address.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> page = html_map([[[-71.0, 42.0], [-71.0, 42.01]]], MapLayer("risk", [2.0]), names=["Elm St"])
    >>> "Elm St" in page, "http" in page
    (True, False)
    """
    from jinja2 import Environment, PackageLoader

    lines = segment_lines(streets)
    given = [layers] if isinstance(layers, MapLayer) else list(layers)
    if not given or not all(isinstance(layer, MapLayer) for layer in given):
        raise TypeError("layers must be a MapLayer or several of them")
    for layer in given:
        if len(layer.values) != len(lines):
            raise ValueError(
                f"layer {layer.name!r} must have {len(lines)} values, one per segment, got {len(layer.values)}"
            )
    called = getattr(streets, "names", None) if names is None else names
    if called is not None and len(called) != len(lines):
        raise ValueError(f"names must have one name per segment, {len(lines)}, got {len(called)}")
    points = np.concatenate(lines)
    plane = Projection.around(points[:, 0], points[:, 1])
    data = {
        # Decimetres are as fine as a street is known.
        "lines": [plane.metres(*line.T).round(1).ravel().tolist() for line in lines],
        "names": [str(name) for name in called] if called is not None else [""] * len(lines),
        "quiet": QUIET,
        "widths": WIDTHS,
        "layers": [_layer(layer) for layer in given],
    }
    environment = Environment(loader=PackageLoader("reprise.road_safety"), autoescape=True)
    page = environment.get_template(TEMPLATE).render(title=title, data=data)
    if path is not None:
        Path(path).write_text(page, encoding="utf-8")
    return page


def _layer(layer: MapLayer) -> dict[str, Any]:
    """Values, and where in the colours each lies: 0 to 255, −1 for grey."""
    from matplotlib.colors import to_hex

    norm, told = layer.norm(), layer.told
    place = np.full(len(layer.values), -1)
    place[told] = np.round(np.asarray(norm(layer.values[told])) * 255).astype(int)
    palette = colours()
    return {
        "name": layer.name,
        "unit": layer.unit,
        "values": _rounded(layer.values),
        "low": None if layer.low is None else _rounded(layer.low),
        "high": None if layer.high is None else _rounded(layer.high),
        "place": place.tolist(),
        "palette": [to_hex(palette(index)) for index in range(256)],
        "ticks": [[float(norm(tick)), f"{tick:g}"] for tick in legend_ticks(norm, layer.scale)],
        "grey": "interval holds no effect" if layer.reference is not None else "none",
    }


def _rounded(values: np.ndarray) -> list[float | None]:
    """Four digits, None for NaN: what JSON can hold."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
