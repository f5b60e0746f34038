"""Benchmark A: fits of all subsets together, beside scikit-learn's one by one on the same features."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from reprise.core.ratios import compare, write
from reprise.multi_objective_rl import PolicyGradEx, PPOConfig, cartpole_families, train
from reprise.tasks import fit_logistic, linearised_scores, random_subsets

RIDGE = 1e-2


def one_by_one(features, subsets):
    """scikit-learn's fits, with its default tolerance; its C weighs the summed losses."""
    columns = {
        name: [part.numpy() for part in (task.features, task.labels, task.weights)] for name, task in features.items()
    }
    solutions = []
    for names in subsets:
        design, labels, weights = (np.concatenate([columns[name][i] for name in names]) for i in range(3))
        model = LogisticRegression(C=1 / (2 * RIDGE * len(labels)), fit_intercept=False)
        solutions.append(model.fit(design, labels, sample_weight=weights).coef_[0])
    return np.stack(solutions)


def together(features, subsets):
    """Ours, with the scores of all members."""
    fits = fit_logistic(features, subsets, ridge=2 * RIDGE)
    return fits, linearised_scores(fits, features)


if __name__ == "__main__":
    torch.set_num_threads(1)
    tasks, _ = cartpole_families(sizes=(5, 4, 3), generator=0)
    meta = train(tasks, steps=2 * 2048 * len(tasks), config=PPOConfig(step_size=1e-3))
    features = PolicyGradEx(subsets=12).fit(meta).features_
    subsets = random_subsets(list(features), count=200, size=3, seed=0)
    exact = together(features, subsets)[0].coefficients.numpy()
    found = one_by_one(features, subsets)
    error = float((np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)).max())
    results = [
        compare(
            "200 fits with scores, against 200 of scikit-learn (lbfgs, its default tolerance)",
            lambda: together(features, subsets),
            lambda: one_by_one(features, subsets),
            repeats=3,
            goal=30,
            peer_error=error,
        )
    ]
    write(__file__, results, libraries=("torch", "scikit-learn", "numpy"))
