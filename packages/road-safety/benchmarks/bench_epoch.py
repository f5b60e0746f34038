"""Training at the size of Delaware: months kept as tensors against files read anew for every month.

The graph is synthetic, of the state's size, with three months: an epoch of a year takes four times as long on both
sides. The published trainers read a month's node features (CSV) and its edge
features in every epoch; the network and the step are the same on both sides.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from reprise.core.ratios import seconds, summary, write
from reprise.road_safety import FLAGS, WEATHER, RoadDataset, RoadGNN
from reprise.road_safety.layout import read_tensors
from reprise.road_safety.training import Inputs, _step

NODES, EDGES, HIDDEN, YEAR = 49_023, 116_196, 256, 2020


def delaware(months=3, seed=0):
    """A random network of the state's size, in which neighbours are near; 0.23 % of edges have accidents."""
    generator = np.random.default_rng(seed)
    u = generator.integers(NODES, size=EDGES)
    v = (u + generator.choice([1, 2, 221, 222], EDGES)) % NODES
    counts = sparse.random_array((months, EDGES), density=0.0023, rng=generator, format="csr")
    counts.data[:] = 1
    return RoadDataset(
        name="DE",
        node_id=np.arange(NODES),
        lon=-75.5 + generator.random(NODES),
        lat=38.5 + generator.random(NODES),
        edge_index=np.stack([u, v]),
        flags=np.concatenate([np.ones((EDGES, 1)), generator.random((EDGES, len(FLAGS) - 1)) < 0.1], axis=1) > 0,
        length=generator.exponential(213, EDGES),
        months=tuple((YEAR, month + 1) for month in range(months)),
        counts=sparse.csr_array(counts.astype(np.int64)),
        weather=generator.standard_normal((months, NODES, len(WEATHER))).astype(np.float32),
        volume={YEAR: generator.exponential(5000, EDGES)},
        node_static=generator.standard_normal((NODES, 17)),
        observed=np.ones(months, dtype=bool),
    )


class FromFiles(Inputs):
    """The same inputs, of which a month is read from its files."""

    def __init__(self, dataset, folder):
        super().__init__(dataset, (YEAR,), history=False)
        self.folder = folder
        for row, (year, month) in enumerate(dataset.months):
            table = pd.DataFrame(np.column_stack([dataset.node_id, dataset.lon, dataset.lat, self.weather[row]]))
            table.columns = ["node_id", "lat", "lon", *WEATHER]
            table.to_csv(folder / f"node_features_{year}_{month}.csv", index=False)
        torch.save({"flags": self.flags, "AADT": self.volume[YEAR]}, folder / "edge_features.pt")

    def month(self, row):
        """Features of nodes and edges, from the disk."""
        year, month = self.dataset.months[row]
        table = pd.read_csv(self.folder / f"node_features_{year}_{month}.csv")
        weather = table.groupby("node_id")[list(WEATHER)].mean().reindex(self.dataset.node_id).to_numpy(np.float32)
        edges = read_tensors(self.folder / "edge_features.pt")
        x = torch.cat([self.static, torch.as_tensor(weather)], dim=1)
        return x, torch.cat([edges["flags"], edges["AADT"][:, None]], dim=1)


def epoch(inputs, model, optimizer):
    """One step per month."""
    generator = np.random.default_rng(0)
    for row in range(len(inputs.dataset.months)):
        _step(model, inputs, optimizer, "classification", "all", row, generator)


def features(inputs):
    """The months alone."""
    return [inputs.month(row)[0].shape for row in range(len(inputs.dataset.months))]


def both(work, kept, read):
    """Seconds of a piece of work with months kept and with months read."""
    return seconds(lambda: work(kept), 1, process_time), seconds(lambda: work(read), 1, process_time)


if __name__ == "__main__":
    torch.set_num_threads(1)
    dataset = delaware()
    with tempfile.TemporaryDirectory() as folder:
        kept, read = Inputs(dataset, (YEAR,), False), FromFiles(dataset, Path(folder))
        model = RoadGNN(kept.in_node, kept.in_edge, HIDDEN)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        epoch(kept, model, optimizer)  # the first is slower
        pairs = [both(lambda inputs: epoch(inputs, model, optimizer), kept, read) for _ in range(3)]
        alone = [both(features, kept, read) for _ in range(3)]
    size = f"{NODES:,} nodes, {EDGES:,} edges, {len(dataset.months)} months"
    results = [
        summary(f"training steps, {size}, GCN of width {HIDDEN}, one core", pairs, goal=5),
        summary(f"features of the months alone, {size}", alone),
    ]
    write(__file__, results, libraries=("numpy", "pandas", "torch", "torch-geometric"))
