"""Benchmark B: the affinity of ten tasks by estimation, beside fine-tuning every one of the 120 subsets."""

import torch

from reprise.core.ratios import seconds, summary, write
from reprise.multi_objective_rl import PolicyGradEx, PPOConfig, cartpole_families, fine_tuned_outcomes, train
from reprise.tasks import random_subsets

ITERATIONS = 2  # of fine-tuning a subset: far fewer than a group is trained for

if __name__ == "__main__":
    torch.set_num_threads(1)
    tasks, _ = cartpole_families(generator=0)
    meta = train(tasks, steps=8 * 20480, config=PPOConfig(step_size=1e-3))
    names = [task.name for task in tasks]
    pairs = []
    for turn in range(5):
        ours = seconds(lambda: PolicyGradEx().fit(meta))
        some = random_subsets(names, count=4, size=3, seed=turn, cover=False)
        tuning = seconds(
            lambda some=some: fine_tuned_outcomes(meta, some, steps_per_task=ITERATIONS * 2048, episodes=1)
        )
        pairs.append((ours, tuning * 120 / len(some)))
    results = [
        summary(
            "affinity of 10 tasks, against fine-tuning 120 subsets for 2 iterations (from the time of 4)",
            pairs,
            goal=10,
            our_steps=10 * 2048,
            peer_steps=120 * 3 * ITERATIONS * 2048,
            ratio_steps=120 * 3 * ITERATIONS / 10,
        )
    ]
    write(__file__, results, libraries=("torch", "gymnasium"))
