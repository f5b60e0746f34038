"""Graph classification sets of the TU collection, in both text formats in which they are published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reprise.gnn_bounds.graphs import Graph

Array = np.ndarray[Any, Any]


# how the files of the text form are called, where it is not like the set
ALIASES = {
    "IMDB-B": "IMDBBINARY",
    "IMDB-BINARY": "IMDBBINARY",
    "IMDB-M": "IMDBMULTI",
    "IMDB-MULTI": "IMDBMULTI",
    "REDDIT-B": "REDDIT-BINARY",
    "REDDIT-M5K": "REDDIT-MULTI-5K",
}


def load_tu(name: str | Path) -> list[Graph]:
    """Graphs of a TU set.

    Parameters
    ----------
    name : str or path
        The name of a set (``"MUTAG"``, ``"IMDB-B"``), which is looked for in ``$REPRISE_DATA/gnn-bounds``;
        or a file in the form of DGCNN and GIN (``MUTAG.txt``: the number of graphs; per graph a line ``n y`` and n
        lines ``tag m j_1 … j_m``), or a folder of the Dortmund form (``MUTAG/`` with ``MUTAG_A.txt``,
        ``MUTAG_graph_indicator.txt``, ``MUTAG_graph_labels.txt`` and perhaps ``MUTAG_node_labels.txt``).

    Returns
    -------
    list of Graph
        Labels and tags are numbered from 0 in the order of their values; no features (see `with_features`).

    Raises
    ------
    FileNotFoundError
        If the file, or one of the folder, is absent.
    ValueError
        If it is malformed; the message names the line.
    TypeError
        If `name` is neither.
    """
    place = _find(name)
    sizes, labels, tags, edges = _dortmund(place) if place.is_dir() else _dgcnn(place)
    labels = np.unique(labels, return_inverse=True)[1]
    tags = np.unique(tags, return_inverse=True)[1]
    starts = np.cumsum([0, *sizes])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(owner[edges[:, 0]], kind="stable")
    edges = edges[order]
    cuts = np.searchsorted(owner[edges[:, 0]], np.arange(len(sizes) + 1))
    graphs = []
    for index, size in enumerate(sizes):
        own = edges[cuts[index] : cuts[index + 1]] - starts[index]
        adjacency = sparse.csr_array((np.ones(len(own)), (own[:, 0], own[:, 1])), shape=(size, size))
        adjacency.sum_duplicates()
        adjacency.data[:] = 1.0
        part = tags[starts[index] : starts[index + 1]]
        try:
            graphs.append(Graph(adjacency, label=int(labels[index]), tags=part))
        except ValueError as error:
            raise ValueError(f"{place.name}: graph {index}: {error}") from error
    return graphs


def _find(name: str | Path) -> Path:
    """The file or folder of a set."""
    if not isinstance(name, (str, Path)):
        raise TypeError(f"name must be the name of a set or a path, got {type(name).__name__}")
    place = Path(name)
    if place.exists():
        return place
    if place.name != str(name) or place.suffix:
        raise FileNotFoundError(f"there is no TU set at {place}")
    home = os.environ.get("REPRISE_DATA")
    if home is None:
        raise FileNotFoundError(f"there is no TU set at {place}; to find one by name, set REPRISE_DATA")
    folder, stem = Path(home) / "gnn-bounds", ALIASES.get(place.name, place.name)
    found = next((path for path in (folder / f"{stem}.txt", folder / stem, folder / place.name) if path.exists()), None)
    if found is None:
        raise FileNotFoundError(f"there is no TU set at {place}, nor {stem}.txt or a folder {stem} in {folder}")
    return found


def _dgcnn(path: Path) -> tuple[Array, Array, Array, Array]:
    """Sizes (G,), labels (G,), tags (Σn,) and edges (m, 2) with global numbers."""
    lines = path.read_text(encoding="utf-8").splitlines()
    place = 0

    def numbers(least: int) -> list[int]:
        nonlocal place
        if place >= len(lines):
            raise ValueError(f"{path.name} ends at line {place}, before its last graph does")
        place += 1
        try:
            row = [int(word) for word in lines[place - 1].split()]
        except ValueError as error:
            raise ValueError(f"{path.name}, line {place}: expected whole numbers") from error
        if len(row) < least:
            raise ValueError(f"{path.name}, line {place}: expected at least {least} numbers, got {len(row)}")
        return row

    sizes, labels, tags, edges = [], [], [], []
    offset = 0
    for _ in range(numbers(1)[0]):
        size, label = numbers(2)[:2]
        if size < 1:
            raise ValueError(f"{path.name}, line {place}: a graph must have at least one node, got {size}")
        sizes.append(size)
        labels.append(label)
        for node in range(size):
            tag, degree, *neighbours = numbers(2)
            neighbours = neighbours[:degree]
            if len(neighbours) < degree or any(not 0 <= other < size for other in neighbours):
                raise ValueError(f"{path.name}, line {place}: expected {degree} neighbours between 0 and {size - 1}")
            tags.append(tag)
            edges += [(offset + node, offset + other) for other in neighbours]
        offset += size
    if not sizes:
        raise ValueError(f"{path.name} holds no graph")
    return np.array(sizes), np.array(labels), np.array(tags), np.array(edges, dtype=np.int64).reshape(-1, 2)


def _dortmund(folder: Path) -> tuple[Array, Array, Array, Array]:
    def read(part: str, columns: int) -> Array:
        file = folder / f"{folder.name}_{part}.txt"
        if not file.is_file():
            raise FileNotFoundError(f"there is no {file.name} in {folder}")
        try:
            rows = np.loadtxt(file, delimiter=",", dtype=np.int64, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
        if rows.shape[1] < columns:
            raise ValueError(f"{file.name}: expected {columns} columns, got {rows.shape[1]}")
        return rows

    indicator = read("graph_indicator", 1)[:, 0]
    labels = read("graph_labels", 1)[:, 0]
    edges = read("A", 2)[:, :2] - 1
    if (np.diff(indicator) < 0).any() or indicator[0] != 1 or indicator[-1] != len(labels):
        raise ValueError(f"{folder.name}_graph_indicator.txt must number the graphs 1 to {len(labels)} in order")
    nodes = len(indicator)
    sizes = np.bincount(indicator - 1, minlength=len(labels))
    if (sizes == 0).any():
        raise ValueError(f"{folder.name}: graph {int((sizes == 0).argmax()) + 1} must have at least one node")
    if edges.size and (
        edges.min() < 0 or edges.max() >= nodes or (indicator[edges[:, 0]] != indicator[edges[:, 1]]).any()
    ):
        raise ValueError(f"{folder.name}_A.txt: an edge names a node that is absent, or of another graph")
    has_tags = (folder / f"{folder.name}_node_labels.txt").is_file()
    tags = read("node_labels", 1)[:, 0] if has_tags else np.zeros(nodes, dtype=np.int64)
    if len(tags) != nodes:
        raise ValueError(f"{folder.name}_node_labels.txt must have a line per node ({nodes}), got {len(tags)}")
    return sizes, labels, tags, edges
