"""Two of the algorithms in plain Python and numpy, as a benchmark library writes them: each step copies every hint."""

from __future__ import annotations

import numpy as np


def floyd_warshall(A):
    """Distances and pointers through one more node at a time; returns the hints."""
    n = len(A)
    D, mask = A.copy(), ((A + np.eye(n)) != 0).astype(int)
    Pi = np.tile(np.arange(n)[:, None], (1, n))
    hints = []
    for k in range(n):
        before, seen = D.copy(), mask.copy()
        hints.append((Pi.copy(), before, seen, k))
        for i in range(n):
            for j in range(n):
                if seen[i, k] > 0 and seen[k, j] > 0:
                    through = before[i, k] + before[k, j]
                    if mask[i, j] == 0 or through < D[i, j]:
                        D[i, j] = through
                        Pi[i, j] = Pi[k, j]
                    else:
                        D[i, j] = before[i, j]
                    mask[i, j] = 1
    return hints, Pi


def bridges(A):
    """Depth-first search with low points; returns the hints."""
    n = len(A)
    state = {
        "is_bridge": ((A + np.eye(n)) != 0).astype(int) - 1,
        "pi": np.arange(n),
        "color": np.zeros(n, dtype=int),
        "d": np.zeros(n),
        "f": np.zeros(n),
        "low": np.zeros(n),
        "s_prev": np.arange(n),
    }
    time, hints = 0.0, []

    def push(*place):
        hints.append(({name: values.copy() for name, values in state.items()}, place, time))

    color, d, f, low, s_prev, pi = (state[name] for name in ("color", "d", "f", "low", "s_prev", "pi"))
    for s in range(n):
        if color[s] != 0:
            continue
        u = v = last = s
        push(s, u, v, last)
        while True:
            if color[u] == 0 or d[u] == 0.0:
                time += 0.01
                d[u] = low[u] = time
                color[u] = 1
                push(s, u, v, last)
            for v in range(n):
                if A[u, v] != 0:
                    if color[v] == 0:
                        pi[v], color[v], s_prev[v] = u, 1, last
                        last = v
                        push(s, u, v, last)
                        break
                    if v != pi[u]:
                        low[u] = min(low[u], d[v])
                        push(s, u, v, last)
            if last == u:
                color[u] = 2
                time += 0.01
                f[u] = time
                for v in range(n):
                    if pi[v] == u:
                        low[u] = min(low[u], low[v])
                        if low[v] > d[u]:
                            state["is_bridge"][u, v] = state["is_bridge"][v, u] = 1
                push(s, u, v, last)
                if s_prev[u] == u:
                    break
                before = s_prev[last]
                s_prev[last] = last
                last = before
            u = last
    return hints, state["is_bridge"]
