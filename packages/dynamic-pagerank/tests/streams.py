"""Random streams of possible events, and dense solutions to compare with."""

import numpy as np


def random_events(seed, *, nodes, length, directed=False, weighted=False, deletions=0.45, spread=1.0):
    """Insertions and deletions, in an order in which all are possible."""
    rng = np.random.default_rng(seed)
    live, events = [], []
    present = set()
    while len(events) < length:
        if live and rng.random() < deletions:
            u, v = live.pop(rng.integers(len(live)))
            present.remove((u, v))
            events.append((u, v, -1))
            continue
        u, v = map(int, rng.integers(0, nodes, 2))
        key = (u, v) if directed else (min(u, v), max(u, v))
        if key in present:
            continue
        present.add(key)
        live.append(key)
        # An undirected edge may come from either side.
        ends = key if directed or rng.random() < 0.5 else key[::-1]
        events.append((*ends, 1, float(10 ** rng.uniform(-spread, spread))) if weighted else (*ends, 1))
    return events


def dense(graph, alpha=0.15):
    """Matrix of all scores, row s holding those from s, by a dense solve with the virtual self-loops."""
    ends, weights = graph.edges()
    n = graph.number_of_nodes()
    A = np.zeros((n, n))
    for (u, v), w in zip(ends, weights):
        A[u, v] = w
        if not graph.directed:
            A[v, u] = w
    dangling = A.sum(axis=1) == 0
    A[dangling, dangling] = 1.0
    P = A / A.sum(axis=1, keepdims=True)
    # Rounding leaves -1e-18 where nothing can be reached.
    return np.maximum(alpha * np.linalg.inv(np.eye(n) - (1 - alpha) * P), 0.0)
