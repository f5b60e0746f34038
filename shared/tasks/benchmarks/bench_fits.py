"""200 weighted logistic regressions over subsets of tasks, d = 400: all together, and one by one in scikit-learn.

Both minimise the same objectives. Ours solves all 200 to a relative gradient norm of 1e-8, statistics included. The
peer is scikit-learn's LogisticRegression with lbfgs at its default tolerance of 1e-4, with lbfgs at 1e-8, and with its
second-order solver (newton-cholesky); as one fit takes long, it is timed on 8 of the 200 and scaled by 25, in each of
three repeats. Times are CPU seconds on one thread, which a busy machine changes less than the clock's.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from record import record, spread
from sklearn.linear_model import LogisticRegression

from reprise.tasks import TaskFeatures, fit_logistic, random_subsets

TASKS, ROWS, DIM, SUBSETS, RIDGE, REPEATS, SAMPLED = 12, 2048, 400, 200, 2e-2, 3, 8
PEERS = {
    "lbfgs 1e-4": {"solver": "lbfgs"},
    "lbfgs 1e-8": {"solver": "lbfgs", "tol": 1e-8, "max_iter": 1000},
    "newton-cholesky 1e-4": {"solver": "newton-cholesky"},
}


def make_tasks(seed: int) -> dict[int, TaskFeatures]:
    """Gradient features with decaying spectrum and labels that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, DIM + 1, dtype=torch.float64) ** -0.5
    tasks = {}
    for name in range(TASKS):
        features = torch.randn(ROWS, DIM, generator=generator, dtype=torch.float64) * scales
        truth = torch.randn(DIM, generator=generator, dtype=torch.float64)
        labels = (features @ truth + torch.randn(ROWS, generator=generator, dtype=torch.float64)).sign()
        tasks[name] = TaskFeatures(features, labels, torch.rand(ROWS, generator=generator, dtype=torch.float64))
    return tasks


def main() -> None:
    """Time both, compare solutions."""
    torch.set_num_threads(1)
    subsets = random_subsets(TASKS, count=SUBSETS, size=3, seed=0)
    first_ratios: dict[str, list[float]] = {name: [] for name in PEERS}
    ours, first, ratios, differences = [], [], {name: [] for name in PEERS}, {}
    for repeat in range(REPEATS):
        tasks = make_tasks(repeat)
        start = time.process_time()
        fits = fit_logistic(tasks, subsets, ridge=RIDGE)
        ours.append(time.process_time() - start)
        start = time.process_time()
        step = fit_logistic(tasks, subsets, ridge=RIDGE, exact=False)
        first.append(time.process_time() - start)
        cosine = torch.cosine_similarity(fits.coefficients, step.coefficients).min().item()
        chosen = np.random.default_rng(repeat).choice(len(subsets), SAMPLED, replace=False)
        for name, options in PEERS.items():
            start, worst = time.process_time(), 0.0
            for index in chosen:
                members = [tasks[task] for task in subsets.names(index)]
                features, labels, weights = (
                    torch.cat([getattr(task, part) for task in members]).numpy()
                    for part in ("features", "labels", "weights")
                )
                peer = LogisticRegression(C=1 / (RIDGE * len(labels)), fit_intercept=False, **options)
                peer.fit(features, labels, sample_weight=weights)
                gap = np.linalg.norm(peer.coef_[0] - fits.coefficients[index].numpy())
                worst = max(worst, gap / np.linalg.norm(peer.coef_[0]))
            seconds = (time.process_time() - start) * len(subsets) / SAMPLED
            ratios[name].append(seconds / ours[-1])
            first_ratios[name].append(seconds / first[-1])
            differences[name] = worst
    record(
        "bench_fits",
        {
            "setting": {"tasks": TASKS, "rows": ROWS, "dim": DIM, "subsets": len(subsets), "ridge": RIDGE},
            "ours_seconds": spread(ours),
            "first_step_only_seconds": spread(first),
            "first_step_smallest_cosine_with_minimiser": cosine,
            "newton_steps": fits.steps,
            "ratio_to_scikit_learn": {name: spread(values) for name, values in ratios.items()},
            "first_step_ratio_to_scikit_learn": {name: spread(values) for name, values in first_ratios.items()},
            "largest_relative_difference_of_solutions": differences,
        },
    )


if __name__ == "__main__":
    main()
