"""Time of the relaxation against the number of tasks, and its slope on log-log axes, for each solver.

Planted groups (k = 5) with unit noise; the general solvers up to where they stay below half a minute or so, the
low-rank solver up to 2 000. Its value is set beside its own upper bound and, where that ran, the general solver's.
"""

from __future__ import annotations

import time

import numpy as np
from record import record
from scipy.stats import linregress
from sklearn.metrics import adjusted_rand_score

from reprise.tasks import round_relaxation, solve_low_rank, solve_relaxation

SIZES = {"clarabel": (10, 20, 40, 60), "scs": (60, 100, 150, 200), "lowrank": (60, 100, 200, 500, 1000, 2000)}
GROUPS = 5


def planted(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of unit affinity with noise of unit deviation."""
    generator = np.random.default_rng(n)
    labels = generator.integers(0, GROUPS, n)
    matrix = (labels[:, None] == labels) + generator.standard_normal((n, n))
    return (matrix + matrix.T) / 2, labels


def main() -> None:
    """Solve, time and fit slopes."""
    solve_relaxation(np.eye(4) + np.eye(4)[::-1], k=2)  # loads the solver
    results: dict[str, object] = {}
    for solver, sizes in SIZES.items():
        rows = []
        for n in sizes:
            matrix, labels = planted(n)
            start = time.perf_counter()
            if solver == "lowrank":
                found = solve_low_rank(matrix, k=GROUPS)
            else:
                found = solve_relaxation(matrix, k=GROUPS, solver=solver)
            rows.append(
                {
                    "n": n,
                    "seconds": round(time.perf_counter() - start, 3),
                    "value": found.value,
                    "bound": None if np.isnan(found.bound) else found.bound,
                    "adjusted_rand_with_planted": adjusted_rand_score(labels, round_relaxation(found.matrix)),
                }
            )
            print(solver, rows[-1], flush=True)
        slope = linregress(np.log([row["n"] for row in rows]), np.log([row["seconds"] for row in rows]))
        results[solver] = {"rows": rows, "slope": slope.slope, "slope_standard_error": slope.stderr}
    record("bench_clustering", results)


if __name__ == "__main__":
    main()
