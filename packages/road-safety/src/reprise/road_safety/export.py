"""Write a data set in the published layout, traps included, so that the authors' programs can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reprise.road_safety.dataset import FLAGS, WEATHER, RoadDataset


def export_ml4roadsafety(dataset: RoadDataset, folder: Any) -> Path:
    """Write a data set as a state of ML4RoadSafety.

    Parameters
    ----------
    dataset : RoadDataset
    folder : path
        The state's folder `folder/<name>` is made below it.

    Returns
    -------
    Path
        The state's folder.

    Notes
    -----
    Of parallel edges the layout holds one: the last, with the accidents of all. As the published writer does, two-way
    edges stand in the adjacency matrix in both directions, and the columns lat and lon of the nodes are swapped.
    """
    state = Path(folder) / dataset.name
    (state / "Edges").mkdir(parents=True, exist_ok=True)
    (state / "Nodes").mkdir(exist_ok=True)
    n = dataset.num_nodes
    u, v = dataset.edge_index
    kept = np.unique(dataset.edge_id(u, v))
    two_way = kept[~dataset.flags[kept, 0]]
    # The list of roads holds a two-way one in both directions, unless the other direction is a road of its own.
    mirrored = two_way[dataset.edge_id(v[two_way], u[two_way]) < 0]
    roads = np.concatenate([kept, mirrored])
    rows = np.concatenate([u[kept], v[mirrored]])
    columns = np.concatenate([v[kept], u[mirrored]])

    def matrix(rows: Any, columns: Any, values: Any) -> torch.Tensor:
        indices = torch.as_tensor(np.stack([rows, columns]), dtype=torch.int64)
        return torch.sparse_coo_tensor(
            indices, torch.as_tensor(values, dtype=torch.float32), (n, n), check_invariants=True
        )

    # The adjacency matrix adds both directions of two-way roads once more, so that their lengths are summed.
    again = ~dataset.flags[roads, 0]
    torch.save(
        matrix(
            np.concatenate([rows, columns[again]]),
            np.concatenate([columns, rows[again]]),
            np.concatenate([dataset.length[roads], dataset.length[roads][again]]),
        ).coalesce(),
        state / "adj_matrix.pt",
    )
    features = {"length": matrix(rows, columns, dataset.length[roads])}
    for column, name in enumerate(FLAGS):
        on = dataset.flags[roads, column]
        features[name] = matrix(rows[on], columns[on], np.ones(int(on.sum())))
    torch.save(features, state / "Edges" / "edge_features.pt")
    for year, volume in dataset.volume.items():
        traffic = {"AADT": matrix(rows, columns, volume[roads])}
        torch.save(traffic, state / "Edges" / f"edge_features_traffic_{year}.pt")
    for row, (year, month) in enumerate(dataset.months):
        weather = np.broadcast_to(dataset.weather[row], (n, len(WEATHER)))
        table = pd.DataFrame({"node_id": dataset.node_id, "lat": dataset.lon, "lon": dataset.lat})
        pd.concat([table, pd.DataFrame(weather, columns=list(WEATHER))], axis=1).to_csv(
            state / "Nodes" / f"node_features_{year}_{month}.csv", index=False
        )
    _accidents(dataset).to_csv(state / "accidents_monthly.csv", index=False)
    centrality = Path(folder) / "embeddings" / "centrality"
    centrality.mkdir(parents=True, exist_ok=True)
    np.save(centrality / f"{dataset.name}.npy", dataset.node_static.astype(np.float32))
    return state


def _accidents(dataset: RoadDataset) -> pd.DataFrame:
    table = dataset.counts.tocoo()
    row, edge = table.coords
    u, v = dataset.edge_index[:, edge]
    months = np.array(dataset.months).reshape(-1, 2)
    return pd.DataFrame(
        {
            "year": months[row, 0],
            "month": months[row, 1],
            "node_1": dataset.node_id[u],
            "node_2": dataset.node_id[v],
            "acc_count": table.data,
            "node_1_idx": u,
            "node_2_idx": v,
        }
    )
