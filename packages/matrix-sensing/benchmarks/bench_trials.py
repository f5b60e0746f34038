"""Many trials: one batch against one run after another; on a GPU where there is one."""

import time
from functools import partial

import torch

from reprise.core.ratios import compare, write
from reprise.matrix_sensing import SensingProblem, gradient_descent, gradient_descent_batch


def clock():
    """Wall time, once the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def one_by_one(runs, **options):
    """Run gradient descent once per problem and scale."""
    return [gradient_descent(problem, scale=scale, **options) for problem, scale in runs]


if __name__ == "__main__":
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trials = 64 if device == "cuda" else 16
    results = []
    options = {"steps": 200, "record_every": 200}
    scales = [10.0**-power for power in range(1, 7)]
    for d, m in ((15, 75), (50, 750)):
        problems = [
            SensingProblem.gaussian(d, 3, m, seed=seed, dtype=torch.float32, device=device) for seed in range(trials)
        ]
        results.append(
            compare(
                f"{trials} trials of d = {d}, m = {m} as a batch on {device}",
                partial(gradient_descent_batch, problems, **options),
                partial(one_by_one, [(problem, 1e-3) for problem in problems], **options),
                clock=clock,
            )
        )
        results.append(
            compare(
                f"6 starts on one problem of d = {d}, m = {m} as a batch on {device}",
                partial(gradient_descent_batch, problems[0], scales=scales, **options),
                partial(one_by_one, [(problems[0], scale) for scale in scales], **options),
                clock=clock,
            )
        )
    write(__file__, results, libraries=["torch"])
