"""Edge features of a million roads aligned with the adjacency matrix; AUROC of 100,000 segments month by month.

The published way to build the table goes through the roads one by one and looks every node up in its data frame; it is
rewritten from its description and timed on some rows, since it takes the same time for each.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from reprise.core.ratios import compare, seconds, summary, write
from reprise.road_safety import FLAGS, auc
from reprise.road_safety.dataset import find_edges

ROADS, NODES, SAMPLE = 1_000_000, 400_000, 200


def tables(seed=0):
    """Nodes with ids of their own, and roads between them: ends, length, class."""
    generator = np.random.default_rng(seed)
    node_id = generator.permutation(10 * NODES)[:NODES]
    nodes = pd.DataFrame({"node_id": node_id, "x": generator.random(NODES), "y": generator.random(NODES)})
    ends = generator.integers(NODES, size=(2, ROADS))
    roads = pd.DataFrame(
        {
            "node_1": node_id[ends[0]],
            "node_2": node_id[ends[1]],
            "oneway": generator.integers(2, size=ROADS),
            "highway": generator.choice(FLAGS[1:], ROADS),
            "length": generator.exponential(200, ROADS),
        }
    )
    return nodes, roads


def aligned(nodes, roads):
    """Rows of the ends, features in the order of the coalesced adjacency matrix."""
    node_id = nodes["node_id"].to_numpy()
    order = np.argsort(node_id)
    u, v = (order[np.searchsorted(node_id[order], roads[name].to_numpy())] for name in ("node_1", "node_2"))
    keys = np.unique(u * len(nodes) + v)
    edge_index = np.stack([keys // len(nodes), keys % len(nodes)])
    at = find_edges(edge_index, len(nodes), u, v)
    table = np.zeros((len(keys), len(FLAGS) + 1), dtype=np.float32)
    table[at, 0] = roads["oneway"]
    table[at, pd.Categorical(roads["highway"], FLAGS).codes] = 1
    table[at, -1] = roads["length"]
    return edge_index, table


def published(nodes, roads):
    """The same, one road at a time."""
    rows, columns, features = [], [], {name: [] for name in (*FLAGS, "length")}
    for _, road in roads.iterrows():
        rows.append(nodes.index[nodes["node_id"] == road["node_1"]][0])
        columns.append(nodes.index[nodes["node_id"] == road["node_2"]][0])
        for name in FLAGS[1:]:
            features[name].append(1.0 if name in road["highway"] else 0.0)
        features["oneway"].append(float(road["oneway"]))
        features["length"].append(road["length"])
    return rows, columns, features


def million_roads(repeats=3):
    """Pairs of seconds for all roads, the published way scaled from a sample."""
    nodes, roads = tables()
    some = roads.iloc[:SAMPLE]
    pairs = [
        (
            seconds(lambda: aligned(nodes, roads), 1, process_time),
            seconds(lambda: published(nodes, some), 1, process_time) * ROADS / SAMPLE,
        )
        for _ in range(repeats)
    ]
    return summary(f"edge features of {ROADS:,} roads, {NODES:,} nodes", pairs, peer_timed_on=SAMPLE)


def monthly_auroc(edges=100_000, months=12, seed=0):
    """By ranks, beside scikit-learn, which sorts too."""
    generator = np.random.default_rng(seed)
    scores = generator.random((months, edges))
    positive = generator.random((months, edges)) < 0.002 + 0.01 * scores
    differ = max(abs(auc(s, p) - roc_auc_score(p, s)) for s, p in zip(scores, positive))
    return compare(
        f"AUROC of {edges:,} segments in {months} months",
        lambda: [auc(s, p) for s, p in zip(scores, positive)],
        lambda: [roc_auc_score(p, s) for s, p in zip(scores, positive)],
        clock=process_time,
        largest_difference=differ,
    )


if __name__ == "__main__":
    write(__file__, [million_roads(), monthly_auroc()], libraries=("numpy", "pandas", "scikit-learn"))
