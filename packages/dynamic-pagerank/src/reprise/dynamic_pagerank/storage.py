"""Saving and loading: graph and state in one .npz file, from which a stream goes on exactly where it was."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reprise.dynamic_pagerank.adjacency import Adjacency
from reprise.dynamic_pagerank.graph import DynamicGraph
from reprise.dynamic_pagerank.pagerank import DynamicPageRank

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 1


def save(ranked: DynamicPageRank, path: str | Path) -> None:
    """Write a `DynamicPageRank` and its graph.

    Parameters
    ----------
    ranked : DynamicPageRank
    path : str or Path
        The file, ``.npz``; replaced at once, so that a stopped program leaves the old one or the new one.

    Raises
    ------
    TypeError
        If node labels are neither all integers nor all strings.
    """
    ranked._check_in_step()
    graph, path = ranked.graph, Path(path)
    labels = graph.nodes.labels
    if labels is not None and not (
        all(type(label) is int for label in labels) or all(type(label) is str for label in labels)
    ):
        raise TypeError("node labels must be all integers or all strings to be saved")
    columns = ranked._columns
    facts = {
        "format": _FORMAT,
        "directed": graph.directed,
        "weighted": graph.weighted,
        "nodes": len(graph.nodes) if labels is None else labels,
        "alpha": ranked.alpha,
        "epsilon": ranked.epsilon,
        "forward": ranked.forward,
        "many": ranked.many,
        "uniform": ranked._uniform,
        "updates": ranked._updates,
        "known": ranked._known,
    }
    arrays: dict[str, Any] = {f"graph_{name}": getattr(graph.arrays, name) for name in Adjacency._fields}
    kept = ("estimate", "residual", "origins", "restart", "counts")
    arrays |= {f"column_{name}": getattr(columns, name) for name in kept}
    scratch = path.with_name(path.name + ".part")
    try:
        with open(scratch, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def load(path: str | Path) -> DynamicPageRank:
    """Read what `save` wrote; pickled objects are refused.

    Raises
    ------
    ValueError
        If the file is not of this kind.
    FileNotFoundError
        If there is none.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            arrays = {name: file[name] for name in file.files if name != "facts"}
    except (KeyError, json.JSONDecodeError, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no saved DynamicPageRank: {error}") from error
    if facts.get("format") != _FORMAT:
        raise ValueError(f"{path} has format {facts.get('format')}, expected {_FORMAT}")
    graph = DynamicGraph(directed=facts["directed"], weighted=facts["weighted"], nodes=facts["nodes"])
    graph.arrays = Adjacency(*(arrays[f"graph_{name}"] for name in Adjacency._fields))
    return _resumed(graph, facts, arrays)


def _resumed(graph: DynamicGraph, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> DynamicPageRank:
    from reprise.dynamic_pagerank.push import empty_columns

    ranked = DynamicPageRank.__new__(DynamicPageRank)
    ranked.graph = graph
    ranked.alpha, ranked.epsilon = facts["alpha"], facts["epsilon"]
    ranked.forward, ranked.many = facts["forward"], facts["many"]
    ranked._uniform, ranked._updates, ranked._known = facts["uniform"], facts["updates"], facts["known"]
    ranked._version = graph.version
    origins = arrays["column_origins"]
    ranked.origins = [graph.nodes.label(int(origin)) for origin in origins if origin >= 0]
    estimate = arrays["column_estimate"]
    ranked._columns = empty_columns(origins, estimate.shape[1], arrays["column_restart"])._replace(
        estimate=estimate, residual=arrays["column_residual"], counts=arrays["column_counts"]
    )
    return ranked
