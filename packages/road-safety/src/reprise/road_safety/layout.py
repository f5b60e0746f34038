"""The published layout of ML4RoadSafety and MMTraCE, read as it is downloaded, with its traps.

A folder per state holds ``adj_matrix.pt``, ``Edges/edge_features.pt``, ``Edges/edge_features_traffic_{year}.pt`` (or
``edge_features_{year}.pt``), ``Nodes/node_features_{year}_{month}.csv`` and ``accidents_monthly.csv``. The traps:
the adjacency matrix sums the lengths of doubled edges, edge features are fewer than edges and in their own order, and
the columns ``lat`` and ``lon`` of the nodes are swapped.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reprise.road_safety.dataset import FLAGS, WEATHER, Month, RoadDataset, find_edges, monthly_counts
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.features import structural_features

NODE_FEATURES = ("centrality", "node2vec", "deepwalk", "none")
# Where the embeddings of a state may lie, below the folder of all states or that of the state.
EMBEDDINGS = ("embeddings/{kind}/{state}.npy", "{kind}/{state}.npy", "{state}/embeddings/{kind}/{state}.npy")
LARGEST_UNKNOWN = 0.01


def from_ml4roadsafety(root: Any, state: str, node_features: Any = "centrality") -> RoadDataset:
    """Read a state as downloaded.

    Parameters
    ----------
    root : path
        Folder that holds the state's folder, or ``ML4RoadSafety_graphs_<STATE>`` with it.
    state : str
        ``DE``.
    node_features : {"centrality", "node2vec", "deepwalk", "none"} or ndarray, shape (N, p)
        From the file of the authors; centrality is computed where there is none, and for an embedding there is
        `walk_embedding`.

    Returns
    -------
    RoadDataset
        `report` says what was repaired: edges without features, accidents on unknown or reversed edges, swapped
        coordinates, values of the weather that are missing (scaled features have the mean there).

    Raises
    ------
    DatasetLayoutError
        Listing what is expected and what was found; or if over 1 % of the accidents lie on no edge.
    """
    folder = _state_folder(Path(root), state)
    report: dict[str, Any] = {}
    edge_index, n = _edges(folder)
    length, flags = _edge_features(folder, edge_index, n, report)
    tables = _node_tables(folder)
    node_id, lon, lat = _nodes(folder, state, tables, n, report)
    accidents = _accidents(folder)
    months = tuple(sorted({*tables, *zip(accidents["year"], accidents["month"])}))
    weather = np.full((len(months), n, len(WEATHER)), np.nan, dtype=np.float32)
    for row, month in enumerate(months):
        if month in tables:
            weather[row] = _weather(_table(tables[month]), node_id)
    report["weather_missing"] = int(np.isnan(weather).sum())
    counts = _counts(accidents, months, edge_index, n, report)
    return RoadDataset(
        name=state,
        node_id=node_id,
        lon=lon,
        lat=lat,
        edge_index=edge_index,
        flags=flags,
        length=length,
        months=months,
        counts=counts,
        weather=weather,
        volume=_volumes(folder, edge_index, n),
        node_static=_static(Path(root), folder, state, node_features, edge_index, n, report),
        observed=np.asarray(counts.sum(axis=1)).ravel() > 0,
        report=report,
    )


def from_mmtrace(root: Any, state: str, node_features: Any = "centrality", images: str = "vit_image") -> RoadDataset:
    """Read a state of MMTraCE: the same, with an image embedding of every node.

    Parameters
    ----------
    root, state, node_features
    images : {"vit_image", "clip_image"}

    Raises
    ------
    DatasetLayoutError
    """
    dataset = from_ml4roadsafety(root, state, node_features)
    found = _embedding(Path(root), state, images)
    if found is None:
        raise DatasetLayoutError(f"{state} must have image embeddings at one of {_places(images, state)}, found none")
    if found.ndim != 2 or len(found) != dataset.num_nodes:
        raise DatasetLayoutError(f"{images} of {state} must have shape ({dataset.num_nodes}, d), got {found.shape}")
    return replace(dataset, images=np.nan_to_num(found.astype(np.float64)))


def _state_folder(root: Path, state: str) -> Path:
    candidates = [root / state, root / f"ML4RoadSafety_graphs_{state}" / state, root / f"ML4RoadSafety_graphs_{state}"]
    for folder in candidates:
        if (folder / "adj_matrix.pt").is_file():
            break
    else:
        found = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else "no folder"
        raise DatasetLayoutError(f"{root.name} must hold {state}/adj_matrix.pt, found {found}")
    missing = [
        name for name in ("Edges/edge_features.pt", "accidents_monthly.csv", "Nodes") if not (folder / name).exists()
    ]
    if missing:
        found = sorted(path.name for path in folder.iterdir())
        raise DatasetLayoutError(f"{state} must hold {', '.join(missing)}, found {found}")
    return folder


def read_tensors(path: Path) -> Any:
    """Read a file of tensors, without running anything in it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Validating sparse tensor invariants")
            return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise DatasetLayoutError(f"{path.name} must be a file of tensors that torch reads: {error}") from error


def _pairs(tensor: Any, n: int, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of a sparse matrix of shape (n, n)."""
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.sparse_coo or tensor.shape[0] != tensor.shape[1]:
        raise DatasetLayoutError(f"{what} must be a square sparse COO tensor")
    if n and tensor.shape[0] != n:
        raise DatasetLayoutError(f"{what} must have shape ({n}, {n}) as adj_matrix.pt has, got {tuple(tensor.shape)}")
    indices = tensor._indices().numpy()
    return indices[0], indices[1], tensor._values().numpy()


def _edges(folder: Path) -> tuple[np.ndarray, int]:
    """Edges in the order of the coalesced matrix. Its values are not lengths: doubled edges have been summed."""
    matrix = read_tensors(folder / "adj_matrix.pt")
    u, v, _ = _pairs(matrix, 0, "adj_matrix.pt")
    n = int(matrix.shape[0])
    keys = np.unique(u.astype(np.int64) * n + v)
    return np.stack([keys // n, keys % n]), n


def _edge_features(
    folder: Path, edge_index: np.ndarray, n: int, report: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    table = read_tensors(folder / "Edges" / "edge_features.pt")
    if not isinstance(table, dict) or "length" not in table:
        raise DatasetLayoutError("edge_features.pt must be a dict of sparse tensors with 'length'")
    edges = edge_index.shape[1]
    length, flags = np.full(edges, np.nan), np.zeros((edges, len(FLAGS)), dtype=bool)
    u, v, value = _pairs(table["length"], n, "length")
    at = find_edges(edge_index, n, u, v)
    length[at[at >= 0]] = value[at >= 0]
    for column, name in enumerate(FLAGS):
        if name in table:
            u, v, value = _pairs(table[name], n, name)
            at = find_edges(edge_index, n, u, v)
            flags[at[at >= 0], column] = value[at >= 0] != 0
    report["edges_without_features"] = int(np.isnan(length).sum())
    return length, flags


def _node_tables(folder: Path) -> dict[Month, Path]:
    """Files of node features by month; csv and pt are both in use."""
    found: dict[Month, Path] = {}
    for path in sorted((folder / "Nodes").iterdir()):
        given = re.fullmatch(r"node_features_(\d{4})_(\d{1,2})\.(csv|pt)", path.name)
        if given:
            found.setdefault((int(given[1]), int(given[2])), path)
    if not found:
        raise DatasetLayoutError("Nodes must hold node_features_{year}_{month}.csv, found none")
    return found


def _table(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        table = pd.read_csv(path)
    else:
        given = read_tensors(path)
        if not isinstance(given, dict):
            raise DatasetLayoutError(f"{path.name} must be a dict of columns")
        table = pd.DataFrame({name: np.asarray(column) for name, column in given.items()})
    if "node_id" not in table:
        raise DatasetLayoutError(f"{path.name} must have a column node_id, got {list(table.columns)[:6]}")
    return table


def _nodes(
    folder: Path, state: str, tables: dict[Month, Path], n: int, report: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids and places of the nodes, in the order of the nodes file, or of the first month's table."""
    published = folder / f"Road_Network_Nodes_{state}.csv"
    if published.is_file():
        table = pd.read_csv(published).rename(columns={"x": "lon", "y": "lat"})
        table = table.drop_duplicates("node_id")
        swapped = False
    else:
        table = _table(tables[min(tables)]).drop_duplicates("node_id")
        swapped = _swapped(table)
    if len(table) != n:
        raise DatasetLayoutError(
            f"{state} must have {n} nodes as adj_matrix.pt has, got {len(table)} different node_id"
        )
    missing = [name for name in ("lat", "lon") if name not in table]
    if missing:
        raise DatasetLayoutError(f"the nodes of {state} must have columns lat and lon, got {list(table.columns)[:8]}")
    lon, lat = (table[name].to_numpy(float) for name in (("lat", "lon") if swapped else ("lon", "lat")))
    report["coordinates_swapped"] = swapped
    return table["node_id"].to_numpy(), lon, lat


def _swapped(table: pd.DataFrame) -> bool:
    """Whether the column lat holds longitudes, as the published writer leaves it.

    Certain beyond ±90°; else by where the United States lie: longitudes of −180 to −60, latitudes of 15 to 72.
    """
    if "lat" not in table or "lon" not in table:
        return False
    lat, lon = table["lat"].to_numpy(float), table["lon"].to_numpy(float)
    if np.nanmax(np.abs(lat)) > 90:
        return True
    american = np.nanmin(lat) >= -180 and np.nanmax(lat) <= -60 and np.nanmin(lon) >= 15 and np.nanmax(lon) <= 72
    return bool(american)


def _weather(table: pd.DataFrame, node_id: np.ndarray) -> np.ndarray:
    """Weather of the nodes in order, shape (N, 6); means where a node has several rows."""
    columns = [name for name in WEATHER if name in table]
    found = table.groupby("node_id")[columns].mean().reindex(index=node_id, columns=list(WEATHER))
    return found.to_numpy(np.float32)


def _accidents(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "accidents_monthly.csv")
    needed = ("year", "month", "acc_count", "node_1_idx", "node_2_idx")
    missing = [name for name in needed if name not in table]
    if missing:
        raise DatasetLayoutError(f"accidents_monthly.csv must have columns {', '.join(needed)}, but lacks {missing}")
    return table


def _counts(
    table: pd.DataFrame, months: tuple[Month, ...], edge_index: np.ndarray, n: int, report: dict[str, Any]
) -> Any:
    u, v = table["node_1_idx"].to_numpy(np.int64), table["node_2_idx"].to_numpy(np.int64)
    edge = find_edges(edge_index, n, u, v)
    back = find_edges(edge_index, n, v, u)
    reversed_ = (edge < 0) & (back >= 0)
    edge = np.where(edge >= 0, edge, back)
    known = edge >= 0
    report["accidents_on_reversed_edges"] = int(reversed_.sum())
    report["accidents_on_unknown_edges"] = int((~known).sum())
    if len(table) and (~known).mean() > LARGEST_UNKNOWN:
        raise DatasetLayoutError(
            f"accidents_monthly.csv must name edges of adj_matrix.pt, but {(~known).sum()} of {len(table)} rows do not"
        )
    row_of = {month: row for row, month in enumerate(months)}
    month = np.array([row_of[pair] for pair in zip(table["year"], table["month"])], dtype=int)
    return monthly_counts(months, edge_index.shape[1], month[known], edge[known], table["acc_count"].to_numpy()[known])


def _volumes(folder: Path, edge_index: np.ndarray, n: int) -> dict[int, np.ndarray]:
    found = {}
    for path in sorted((folder / "Edges").iterdir()):
        given = re.fullmatch(r"edge_features_(?:traffic_)?(\d{4})\.pt", path.name)
        if not given:
            continue
        table = read_tensors(path)
        if not isinstance(table, dict) or "AADT" not in table:
            raise DatasetLayoutError(f"{path.name} must be a dict with a sparse tensor 'AADT'")
        u, v, value = _pairs(table["AADT"], n, f"AADT of {given[1]}")
        at = find_edges(edge_index, n, u, v)
        volume = np.full(edge_index.shape[1], np.nan)
        volume[at[at >= 0]] = value[at >= 0]
        found[int(given[1])] = volume
    return found


def _static(
    root: Path, folder: Path, state: str, wanted: Any, edge_index: np.ndarray, n: int, report: dict[str, Any]
) -> np.ndarray:
    if not isinstance(wanted, str):
        given = np.asarray(wanted, dtype=np.float64)
        if given.ndim != 2 or len(given) != n:
            raise ValueError(f"node_features must have shape ({n}, p), got {given.shape}")
        return given
    if wanted not in NODE_FEATURES:
        raise ValueError(f"node_features must be an array or one of {', '.join(NODE_FEATURES)}, got {wanted!r}")
    if wanted == "none":
        return np.zeros((n, 0))
    found = _embedding(root, state, wanted)
    if found is not None:
        if found.ndim != 2 or len(found) != n:
            raise DatasetLayoutError(f"{wanted} of {state} must have shape ({n}, p), got {found.shape}")
        return found.astype(np.float64)
    if wanted != "centrality":
        raise DatasetLayoutError(
            f"{state} must have {wanted} at one of {_places(wanted, state)}, found none; walk_embedding computes one"
        )
    report["centrality_computed"] = True
    return structural_features(edge_index, n)


def _places(kind: str, state: str) -> list[str]:
    return [place.format(kind=kind, state=state) for place in EMBEDDINGS]


def _embedding(root: Path, state: str, kind: str) -> np.ndarray | None:
    for place in _places(kind, state):
        if (root / place).is_file():
            return np.asarray(np.load(root / place, allow_pickle=False))
    return None
