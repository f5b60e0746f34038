"""200 weighted logistic regressions over subsets of tasks, d = 400: all together, and one by one in scikit-learn.

Two sets of features: gradients of a policy as the method meets them (`policy_features`), and Gaussian features with a
spectrum that decays like j^(-1/2). Both sides minimise the same objectives. Ours is timed to a relative gradient norm
of 1e-8 and to 1e-3, statistics included, and for Newton's first step alone. The peer is scikit-learn's
LogisticRegression with its default solver (lbfgs) at its default tolerance of 1e-4 (in float32, which it keeps, and in
float64), the same at 1e-8, and its second-order solver (newton-cholesky). As one fit takes long, it is timed on 8 of
the 200 and scaled by 25, in each of three repeats. Times are CPU seconds on one thread, which a busy machine changes
less than the clock's. Errors of solutions are relative to ours at 1e-12, the largest over fits and repeats.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch
from policy_features import policy_features
from record import record, spread
from sklearn.linear_model import LogisticRegression

from reprise.tasks import SubsetFits, Subsets, TaskFeatures, fit_logistic, random_subsets

TASKS, ROWS, DIM, SUBSETS, RIDGE, REPEATS, SAMPLED = 12, 2048, 400, 200, 2e-2, 3, 8
OURS = {"ours to 1e-8": {}, "ours to 1e-3": {"tolerance": 1e-3}, "ours, first step only": {"exact": False}}
PEERS = {
    "lbfgs 1e-4 in float32": (np.float32, {"solver": "lbfgs"}),
    "lbfgs 1e-4": (np.float64, {"solver": "lbfgs"}),
    "lbfgs 1e-8": (np.float64, {"solver": "lbfgs", "tol": 1e-8, "max_iter": 1000}),
    "newton-cholesky 1e-4": (np.float64, {"solver": "newton-cholesky"}),
}


def gaussian_features(seed: int) -> dict[int, TaskFeatures]:
    """Features with decaying spectrum and labels that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, DIM + 1) ** -0.5
    tasks = {}
    for name in range(TASKS):
        features = torch.randn(ROWS, DIM, generator=generator) * scales
        truth = torch.randn(DIM, generator=generator)
        labels = (features @ truth + torch.randn(ROWS, generator=generator)).sign()
        tasks[name] = TaskFeatures(features, labels, torch.rand(ROWS, generator=generator))
    return tasks


def error(solution: np.ndarray, truth: np.ndarray) -> float:
    """Relative error of a solution."""
    return float(np.linalg.norm(solution - truth) / np.linalg.norm(truth))


def time_ours(tasks: Mapping[int, TaskFeatures], subsets: Subsets, truth: SubsetFits) -> dict[str, dict[str, float]]:
    """Seconds, largest error and most steps of all fits, for each way to make them."""
    rows = {}
    for name, options in OURS.items():
        start = time.process_time()
        fits = fit_logistic(tasks, subsets, ridge=RIDGE, **options)
        seconds = time.process_time() - start
        errors = [error(*pair) for pair in zip(fits.coefficients.numpy(), truth.coefficients.numpy())]
        rows[name] = {"seconds": seconds, "error": max(errors), "steps": fits.steps}
    return rows


def time_peers(
    tasks: Mapping[int, TaskFeatures], subsets: Subsets, truth: SubsetFits, chosen: np.ndarray
) -> dict[str, dict[str, float]]:
    """Seconds for all fits, largest error and most iterations of those chosen, for each solver."""
    rows = {}
    for name, (dtype, options) in PEERS.items():
        errors, iterations, start = [], [], time.process_time()
        for index in chosen:
            members = [tasks[task] for task in subsets.names(index)]
            features, labels, weights = (
                torch.cat([getattr(task, part) for task in members]).numpy().astype(dtype)
                for part in ("features", "labels", "weights")
            )
            peer = LogisticRegression(C=1 / (RIDGE * len(labels)), fit_intercept=False, **options)
            peer.fit(features, labels, sample_weight=weights)
            errors.append(error(peer.coef_[0], truth.coefficients[index].numpy()))
            iterations.append(int(peer.n_iter_[0]))
        seconds = (time.process_time() - start) * len(subsets) / len(chosen)
        rows[name] = {"seconds": seconds, "error": max(errors), "steps": max(iterations)}
    return rows


def summary(runs: list[dict[str, dict[str, float]]]) -> dict[str, object]:
    """Spread of seconds and of ratios over the repeats, and the worst errors and steps."""
    ways: dict[str, object] = {
        name: {
            "seconds": spread([run[name]["seconds"] for run in runs]),
            "largest_relative_error": max(run[name]["error"] for run in runs),
            "most_steps": max(run[name]["steps"] for run in runs),
        }
        for name in runs[0]
    }
    ratios = {
        peer: {ours: spread([run[peer]["seconds"] / run[ours]["seconds"] for run in runs]) for ours in OURS}
        for peer in PEERS
    }
    return {"ways": ways, "ratio_of": ratios}


def main() -> None:
    """Time both, compare solutions."""
    torch.set_num_threads(1)
    subsets = random_subsets(TASKS, count=SUBSETS, size=3, seed=0)
    setting = {"tasks": TASKS, "rows": ROWS, "dim": DIM, "subsets": len(subsets), "ridge": RIDGE}
    results: dict[str, object] = {"setting": setting}
    for kind in ("policy", "gaussian"):
        runs = []
        for repeat in range(REPEATS):
            if kind == "policy":
                tasks = policy_features(tasks=TASKS, transitions=ROWS, dim=DIM, iterations=8, seed=repeat)
            else:
                tasks = gaussian_features(repeat)
            truth = fit_logistic(tasks, subsets, ridge=RIDGE, tolerance=1e-12)  # also loads what first calls load
            chosen = np.random.default_rng(repeat).choice(len(subsets), SAMPLED, replace=False)
            runs.append(time_ours(tasks, subsets, truth) | time_peers(tasks, subsets, truth, chosen))
        results[f"{kind}_features"] = summary(runs)
    record("bench_fits", results)


if __name__ == "__main__":
    main()
