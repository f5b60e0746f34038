"""Small matrices are slower on several threads than on one; small tasks that several tests share."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from reprise.multi_objective_rl import PPOConfig, Task, cartpole, train


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


class Counter(gymnasium.Env):
    """Counts steps: the observation is how many were taken; the reward is what it is told to be."""

    observation_space = spaces.Box(-1e6, 1e6, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, terminal=None, limit=None, reward=1.0, bad_step=None):
        self.terminal, self.limit, self.reward, self.bad_step, self.count = terminal, limit, reward, bad_step, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        reward = float("nan") if self.count == self.bad_step else self.reward
        return np.array([self.count], np.float32), reward, self.count == self.terminal, self.count == self.limit, {}


class Target(gymnasium.Env):
    """One-step episodes in which the action should be 0.7 in both entries; a Box of actions."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Box(-2, 2, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = -float(np.square(action - 0.7).sum())
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), reward, True, False, {}


@pytest.fixture
def counter():
    return lambda name="counter", **options: Task(name, lambda: Counter(**options))


@pytest.fixture
def target():
    return Task("target", Target)


@pytest.fixture(scope="session")
def small_meta():
    """Four CartPoles, two of them reversed, and a policy of little training."""
    forces = {"forward": 10, "forward too": 9, "backward": -10, "backward too": -11}
    tasks = [cartpole(name, force_mag=force) for name, force in forces.items()]
    return train(tasks, steps=4 * 1024, config=PPOConfig(transitions=512, step_size=1e-3, hidden=(16, 16)), generator=3)
