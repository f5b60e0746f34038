"""Embed aerial images of junctions: by any torch module, or by colour and texture without any weights.

Zhang et al. (KDD 2026) embed satellite images with a frozen vision transformer. `image_features` needs none: the
moments of colours, how much is edge, in which directions (Dalal and Triggs 2005) and what patterns neighbouring pixels
form (Ojala, Pietikäinen and Mäenpää 2002).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.colors import rgb_to_hsv
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.validation import integer

IMAGE_DIM = 64
DIRECTIONS = 8
EDGE = 0.1  # a pixel whose grey changes by more than this is an edge
QUANTILES = (5, 10, 25, 50, 75, 90)
_GREY = np.array([0.2125, 0.7154, 0.0721])  # luminance of linear RGB, Rec. 709


def image_features(images: Any) -> np.ndarray:
    """Describe images by 64 numbers of colour and texture each.

    Parameters
    ----------
    images : array_like, shape (n, height, width, 3)
        RGB: integers from 0 to 255, or floats from 0 to 1. At least 4 pixels a side.

    Returns
    -------
    ndarray, shape (n, 64)
        Means and deviations of red, green, blue, hue, saturation and value (12); share of edge pixels of each quarter
        (4); histogram of oriented gradients, 8 directions for each quarter (32), of length one; histogram of uniform
        local binary patterns of 8 neighbours (10); quantiles of grey (6).

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> image_features(np.full((2, 8, 8, 3), 128, dtype=np.uint8)).shape
    (2, 64)
    """
    rgb = _checked(images)
    parts = [np.empty((0, IMAGE_DIM))]
    for start in range(0, len(rgb), 1024):  # keeps what is computed in between small
        parts.append(_features(rgb[start : start + 1024].astype(np.float64) / (255 if rgb.dtype.kind in "iu" else 1)))
    return np.concatenate(parts)


def embed_images(
    folder: Any,
    node_id: Any,
    encoder: torch.nn.Module | Callable[[Tensor], Tensor] | None = None,
    *,
    size: int = 224,
    batch_size: int = 64,
    device: Any = "cpu",
) -> np.ndarray:
    """Embed a folder that holds one image ``{node_id}.png`` per junction.

    Parameters
    ----------
    folder : path
    node_id : array_like, shape (N,)
        `RoadDataset.node_id`.
    encoder : torch module, or callable from images to embeddings, optional
        Called without gradients on tensors of shape (b, 3, size, size) with values in [0, 1], returns shape (b, d);
        normalise inside of it if it wants that. Without one: `image_features`.
    size : int
        Pixels a side to which images are brought.
    batch_size : int
    device : torch device

    Returns
    -------
    ndarray, shape (N, d)
        Zeros where there is no image: `RoadGNN` flags them.

    Raises
    ------
    DatasetLayoutError
        If no junction has an image, or a file is none.
    ValueError, TypeError
    """
    size, batch_size = integer("size", size, minimum=4), integer("batch_size", batch_size)
    names = np.asarray(node_id)
    if names.ndim != 1:
        raise ValueError(f"node_id must have shape (N,), got {names.shape}")
    found = [row for row, name in enumerate(names) if (Path(folder) / f"{name}.png").is_file()]
    if not found:
        raise DatasetLayoutError(f"{Path(folder).name} must hold images {{node_id}}.png, as {names[:3]}, found none")
    embedded: np.ndarray | None = None
    if isinstance(encoder, torch.nn.Module):
        encoder = encoder.to(device).eval()
    for start in range(0, len(found), batch_size):
        rows = found[start : start + batch_size]
        batch = np.stack([_read(Path(folder) / f"{names[row]}.png", size) for row in rows])
        if encoder is None:
            part = image_features(batch)
        else:
            pixels = torch.as_tensor(batch, device=device).permute(0, 3, 1, 2).to(torch.float32) / 255
            with torch.no_grad():
                part = encoder(pixels).detach().cpu().to(torch.float64).numpy()
        if part.ndim != 2 or len(part) != len(rows):
            raise ValueError(f"encoder must return shape ({len(rows)}, d) for {len(rows)} images, got {part.shape}")
        if embedded is None:
            embedded = np.zeros((len(names), part.shape[1]))
        embedded[rows] = part
    assert embedded is not None
    return embedded


def _read(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetLayoutError(f"{path.name} must be an image: {error}") from error
    return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR))


def _checked(images: Any) -> np.ndarray:
    rgb = np.asarray(images)
    if rgb.dtype.kind not in "iuf":
        raise TypeError(f"images must hold integers from 0 to 255 or floats from 0 to 1, got {rgb.dtype}")
    if rgb.ndim != 4 or rgb.shape[3] != 3 or min(rgb.shape[1:3]) < 4:
        raise ValueError(f"images must have shape (n, height, width, 3) with at least 4 pixels a side, got {rgb.shape}")
    top = 255 if rgb.dtype.kind in "iu" else 1
    if rgb.size and not (rgb.min() >= 0 and rgb.max() <= top):
        raise ValueError(f"images must lie between 0 and {top}, got {rgb.min()} to {rgb.max()}")
    return rgb


def _features(rgb: np.ndarray) -> np.ndarray:
    grey = rgb @ _GREY
    gradient = np.gradient(grey, axis=(1, 2))
    size = np.hypot(*gradient)
    direction = np.arctan2(*gradient) % np.pi  # rows first: the angle of (column, row)
    bins = np.minimum((direction / np.pi * DIRECTIONS).astype(int), DIRECTIONS - 1)
    colours = [part for image in (rgb, rgb_to_hsv(rgb)) for part in (image.mean(axis=(1, 2)), image.std(axis=(1, 2)))]
    quarters = _quarters(*grey.shape[1:])
    density = [(size > EDGE)[:, rows, columns].mean(axis=(1, 2)) for rows, columns in quarters]
    oriented = [
        np.where(bins == index, size, 0.0)[:, rows, columns].sum(axis=(1, 2))
        for rows, columns in quarters
        for index in range(DIRECTIONS)
    ]
    histogram = np.stack(oriented, axis=1)
    histogram /= np.maximum(np.linalg.norm(histogram, axis=1, keepdims=True), 1e-9)
    patterns = local_binary_patterns(grey)
    shares = [(patterns == index).mean(axis=(1, 2)) for index in range(10)]
    quantiles = np.percentile(grey, QUANTILES, axis=(1, 2))
    return np.column_stack([*colours, *density, histogram, *shares, *quantiles])


def local_binary_patterns(grey: np.ndarray) -> np.ndarray:
    """Return uniform patterns of the 8 nearest pixels, 0 to 9, of all but the border, shape (n, h − 2, w − 2).

    The number of neighbours that are at least as bright, if those lie side by side around the pixel; else 9.
    """
    h, w = grey.shape[1:]
    around = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
    centre = grey[:, 1:-1, 1:-1]
    brighter = np.stack([grey[:, 1 + r : h - 1 + r, 1 + c : w - 1 + c] >= centre for r, c in around])
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, brighter.sum(axis=0), 9)


def _quarters(height: int, width: int) -> list[tuple[slice, slice]]:
    rows = (slice(0, height // 2), slice(height // 2, None))
    columns = (slice(0, width // 2), slice(width // 2, None))
    return [(r, c) for r in rows for c in columns]
