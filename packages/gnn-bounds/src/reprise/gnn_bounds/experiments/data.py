"""Where the graphs and weights of the experiments lie, and what they are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reprise.core import DataSet, RemoteFile
from reprise.gnn_bounds.graphs import Graph, with_features
from reprise.gnn_bounds.tu import load_tu

FILES = {"IMDB-B": "IMDBBINARY", "IMDB-M": "IMDBMULTI", "MUTAG": "MUTAG", "PTC": "PTC"}
FEATURES = {"IMDB-B": "degree", "IMDB-M": "degree", "COLLAB": "degree", "MUTAG": "tag", "PTC": "tag"}
TU = DataSet(
    "gnn-bounds",
    tuple(RemoteFile(f"{file}.txt") for file in FILES.values()),
    "text form of the TU sets: repository muhanzhang/pytorch_DGCNN, folder data",
    "4 MB",
    "MIT; graphs free for research",
)
COLLAB = DataSet(
    "gnn-bounds/COLLAB",
    tuple(RemoteFile(f"COLLAB_{part}.txt") for part in ("A", "graph_indicator", "graph_labels")),
    "TU Dortmund graph collection: graphlearning.io, COLLAB.zip, unpacked into that folder",
    "180 MB",
    "free for research",
)
BACE = DataSet(
    "gnn-bounds",
    (RemoteFile("bace.npz"), RemoteFile("gcn_supervised_contextpred.safetensors")),
    "MoleculeNet's BACE as arrays, and a GCN of repository snap-stanford/pretrain-gnns as safetensors",
    "3 MB",
    "MIT",
)
CLINTOX = DataSet(
    "gnn-bounds", (RemoteFile("clintox.npz"),), "MoleculeNet's ClinTox as arrays (see `load_molecules`)", "1 MB", "MIT"
)


@cache
def graphs_of(folder: Path, name: str) -> list[Graph]:
    """Graphs of a TU set with their usual features."""
    place = folder / f"{FILES[name]}.txt" if name in FILES else folder
    return with_features(load_tu(place), FEATURES[name])  # type: ignore[arg-type]
