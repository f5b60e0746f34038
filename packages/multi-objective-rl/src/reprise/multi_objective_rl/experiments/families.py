"""Families of tasks that the experiments share, and what is trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reprise.multi_objective_rl.cart_poles import cartpole_families
from reprise.multi_objective_rl.contextual import soft_modularization
from reprise.multi_objective_rl.environments import highway_tasks, lunar_lander_tasks, metaworld_mt10
from reprise.multi_objective_rl.ppo import PPOConfig, Trained, train
from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.vector_rewards import preferences, simplex_weights


@dataclass(frozen=True)
class Family:
    """Ten tasks, which planted group each is in (all -1 where nothing was planted), and the learner's constants."""

    tasks: list[Task]
    planted: npt.NDArray[np.int64]
    config: PPOConfig
    observed: bool = False  # whether policies are told the task


def family(name: str, seed: int, *, transitions: int = 2048, hidden: tuple[int, ...] = (64, 64)) -> Family:
    """The source tasks of a family, drawn with a seed.

    Parameters
    ----------
    name : str
        ``cartpole`` (planted: +10 N, -10 N, +3 N), ``lunar-lander``, ``halfcheetah`` (weightings of its two rewards),
        ``highway`` or ``mt10``.
    seed : int
    transitions : int
        Of each task and iteration.
    hidden : tuple of int
        Widths of the networks.
    """
    generator = np.random.default_rng(seed)
    config = PPOConfig(transitions=transitions, hidden=hidden)
    if name == "cartpole":
        tasks, planted = cartpole_families(generator=generator)
        return Family(tasks, planted, PPOConfig(transitions=transitions, hidden=hidden, step_size=1e-3))
    nothing = np.full(10, -1)
    if name == "lunar-lander":
        return Family(lunar_lander_tasks(generator=generator), nothing, config)
    if name == "highway":
        return Family(highway_tasks(generator=generator), nothing, config)
    if name == "halfcheetah":
        weights = simplex_weights(10, 2, generator=generator)
        return Family(preferences("mo-halfcheetah-v5", weights), nothing, config)
    if name == "mt10":
        return Family(metaworld_mt10(seed=seed), nothing, config, observed=True)
    raise ValueError(f"name must be cartpole, lunar-lander, halfcheetah, highway or mt10, got {name!r}")


def meta_policy(source: Family, iterations: int, seed: int, device: str) -> Trained:
    """One policy on all tasks of a family; Soft Modularization where it is told the task."""
    generator = np.random.default_rng(seed)
    policy = soft_modularization(source.tasks, generator=generator) if source.observed else None
    steps = iterations * len(source.tasks) * source.config.transitions
    return train(source.tasks, steps=steps, policy=policy, config=source.config, generator=generator, device=device)
