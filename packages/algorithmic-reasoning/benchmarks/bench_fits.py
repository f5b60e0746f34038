"""200 logistic regressions over subsets of three of twelve tasks, d = 400, beside scikit-learn one by one.

At the paper's penalty, 10³ on the sum of losses (C = 10⁻³ in scikit-learn), on features like those of gradients:
normal, with a spectrum that decays like j^(-1/2). The peer is timed on 8 of the 200 fits and its time is scaled by 25.
"""

from functools import partial
from time import process_time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from reprise.core.ratios import seconds, summary, write
from reprise.tasks import TaskFeatures, fit_logistic, random_subsets

TASKS, ROWS, DIM, SUBSETS, SAMPLED, RIDGE, REPEATS = 12, 2048, 400, 200, 8, 1e3, 3


def features(seed):
    """Predictions of every task, of which a direction of its own says the sign, with noise."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, DIM + 1) ** -0.5
    tasks = {}
    for name in range(TASKS):
        rows = torch.randn(ROWS, DIM, generator=generator) * scales
        direction = torch.randn(DIM, generator=generator)
        tasks[name] = TaskFeatures(rows, (rows @ direction + torch.randn(ROWS, generator=generator)).sign())
    return tasks


def peers(tasks, subsets, chosen, **options):
    """Solutions of scikit-learn."""
    found = []
    for index in chosen:
        members = [tasks[task] for task in subsets.names(index)]
        X = torch.cat([task.features for task in members]).numpy()
        y = torch.cat([task.labels for task in members]).numpy()
        found.append(LogisticRegression(C=1 / RIDGE, fit_intercept=False, **options).fit(X, y).coef_[0])
    return np.array(found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    subsets = random_subsets(TASKS, count=SUBSETS, size=3, seed=0)
    options = {"ridge": RIDGE, "reduction": "sum"}
    ways = {"to 1e-8": {}, "first Newton step": {"exact": False}}
    solvers = {"lbfgs": {}, "newton-cholesky": {"solver": "newton-cholesky"}}
    pairs, errors = {}, {}
    for repeat in range(REPEATS):
        tasks = features(repeat)
        chosen = np.random.default_rng(repeat).choice(len(subsets), SAMPLED, replace=False)
        truth = fit_logistic(tasks, subsets, tolerance=1e-12, **options).coefficients.numpy()
        ours = {
            name: seconds(partial(fit_logistic, tasks, subsets, **options, **more), clock=process_time)
            for name, more in ways.items()
        }
        for name, more in ways.items():
            found = fit_logistic(tasks, subsets, **options, **more).coefficients.numpy()
            worst = float(np.max(np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)))
            errors[name] = max(worst, errors.get(name, 0.0))
        for solver, more in solvers.items():
            scale = len(subsets) / SAMPLED
            spent = scale * seconds(partial(peers, tasks, subsets, chosen, **more), clock=process_time)
            for name in ways:
                pairs.setdefault((name, solver), []).append((ours[name], spent))
    results = []
    for (name, solver), found in pairs.items():
        work = f"200 fits, d = 400, ours {name}, against scikit-learn's {solver}"
        results.append(summary(work, found, goal=30, largest_error=errors[name]))
    write(__file__, results, libraries=("torch", "scikit-learn"))
