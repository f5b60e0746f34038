"""Where the graphs and weights of the experiments lie, and what they are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reprise.core import DataSet, RemoteFile
from reprise.gnn_bounds.graphs import Graph, with_features
from reprise.gnn_bounds.tu import load_tu

FILES = {"IMDB-B": "IMDBBINARY", "IMDB-M": "IMDBMULTI", "MUTAG": "MUTAG", "PTC": "PTC"}
TU = DataSet(
    "gnn-bounds",
    tuple(RemoteFile(f"{file}.txt") for file in FILES.values()),
    "text form of the TU sets: repository muhanzhang/pytorch_DGCNN, folder data",
    "4 MB",
    "MIT; graphs free for research",
)


def _dortmund(name: str, size: str, *, tags: bool = False) -> DataSet:
    """A set of the TU collection in the form in which it is published there."""
    parts = ("A", "graph_indicator", "graph_labels", *(("node_labels",) if tags else ()))
    return DataSet(
        f"gnn-bounds/{name}",
        tuple(RemoteFile(f"{name}_{part}.txt") for part in parts),
        f"TU Dortmund graph collection: graphlearning.io, {name}.zip, unpacked into that folder",
        size,
        "free for research",
    )


LARGE = {
    "COLLAB": _dortmund("COLLAB", "180 MB"),
    "REDDIT-B": _dortmund("REDDIT-BINARY", "20 MB"),
    "REDDIT-M5K": _dortmund("REDDIT-MULTI-5K", "50 MB"),
    "NCI1": _dortmund("NCI1", "4 MB", tags=True),
    "PROTEINS": _dortmund("PROTEINS", "3 MB", tags=True),
}
FEATURES = {"REDDIT-B": "constant", "REDDIT-M5K": "constant"} | dict.fromkeys(
    ("MUTAG", "PTC", "NCI1", "PROTEINS"), "tag"
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


MOLECULES = {
    name: DataSet(
        "gnn-bounds",
        (RemoteFile(f"{name.lower()}.npz"),),
        f"MoleculeNet's {name} as arrays (see `load_molecules`), from chem_dataset.zip of snap-stanford/pretrain-gnns",
        "1 to 10 MB",
        "MIT",
    )
    for name in ("SIDER", "ClinTox", "BACE", "BBBP", "Tox21")
}
# which pretrained GIN the authors fine-tune on which set
CHECKPOINTS = {
    "SIDER": "supervised_masking.pth",
    "ClinTox": "supervised_masking.pth",
    "BACE": "supervised_contextpred.pth",
    "BBBP": "supervised_contextpred.pth",
    "Tox21": "supervised_edgepred.pth",
}
GIN = DataSet(
    "gnn-bounds/model_gin",
    tuple(RemoteFile(name) for name in sorted(set(CHECKPOINTS.values()))),
    "folder chem/model_gin of repository snap-stanford/pretrain-gnns",
    "8 MB each",
    "MIT",
)


def data_of(name: str) -> DataSet:
    """The data set that holds a set of graphs."""
    return LARGE.get(name, TU)


@cache
def graphs_of(folder: Path, name: str) -> list[Graph]:
    """Graphs of a TU set with their usual features: one-hot node labels or degrees, or a constant."""
    place = folder / f"{FILES[name]}.txt" if name in FILES else folder
    return with_features(load_tu(place), FEATURES.get(name, "degree"))  # type: ignore[arg-type]
