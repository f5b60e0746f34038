"""Features as the method meets them: gradients of a policy's log-probabilities on twelve variants of CartPole.

One policy (2 x 64 tanh, 4,610 parameters) is trained on all variants together by a few iterations of PPO. Then 2,048
transitions of each are collected with it; a transition's feature is the gradient of the log-probability of its action,
projected to d numbers, its label the sign of its advantage, normalised per task, and its weight the advantage's size.
Nothing here was chosen by looking at a ratio: the variants are those of three families (force +10, -10 and +3), the
constants PPO's customary ones.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from torch import nn

from reprise.tasks import RandomProjection, TaskFeatures, parameter_count, sample_gradients

FORCES = (10.0, -10.0, 3.0)
DISCOUNT, TRACE, CLIP, EPOCHS, BATCH, STEP_SIZE = 0.99, 0.95, 0.2, 4, 2048, 1e-3


def policy_features(*, tasks: int, transitions: int, dim: int, iterations: int, seed: int) -> dict[int, TaskFeatures]:
    """Train a policy on all tasks and return each task's projected features, labels and weights."""
    torch.manual_seed(seed)
    policy, critic = _network(2), _network(1)
    environments = _cartpoles(tasks, seed)
    optimizer = torch.optim.Adam([*policy.parameters(), *critic.parameters()], lr=STEP_SIZE)
    for iteration in range(iterations):
        _update(policy, critic, optimizer, *_collect(policy, critic, environments, transitions, seed + iteration))
    observations, actions, advantages, _ = _collect(policy, critic, environments, transitions, seed + iterations)
    projection = RandomProjection(parameter_count(policy), dim, seed=seed, kind="gaussian")
    features = {}
    for task in range(tasks):
        gained = (advantages[task] - advantages[task].mean()) / advantages[task].std()
        gradients = sample_gradients(
            policy, log_probability, (observations[task], actions[task]), projection=projection
        )
        features[task] = TaskFeatures(gradients.features, gained.sign(), gained.abs())
    return features


def log_probability(policy: nn.Module, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Log-probability of actions."""
    return policy(observation).log_softmax(-1).gather(-1, action[..., None]).squeeze(-1)


def _network(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


def _cartpoles(tasks: int, seed: int) -> list[gymnasium.Env]:
    generator = np.random.default_rng(seed)
    environments = []
    for task in range(tasks):
        environment = gymnasium.make("CartPole-v1")
        physics = environment.unwrapped
        physics.force_mag = FORCES[task % len(FORCES)] + generator.uniform(-1, 1)
        physics.gravity = 9.8 + generator.uniform(-1, 1)
        physics.length *= generator.uniform(0.8, 1.2)
        physics.masspole *= generator.uniform(0.8, 1.2)
        physics.total_mass = physics.masspole + physics.masscart
        physics.polemass_length = physics.masspole * physics.length
        environments.append(environment)
    return environments


@torch.no_grad()
def _collect(
    policy: nn.Module, critic: nn.Module, environments: list[gymnasium.Env], transitions: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return observations (n, N, 4), actions, advantages by generalised estimation, and returns, (n, N)."""
    tasks = len(environments)
    observations, following = torch.empty(2, tasks, transitions, 4)
    actions = torch.empty(tasks, transitions, dtype=torch.int64)
    terminated, ended = torch.zeros(2, tasks, transitions)
    current = torch.stack([_tensor(environment.reset(seed=seed)[0]) for environment in environments])
    for time in range(transitions):
        observations[:, time] = current
        actions[:, time] = torch.distributions.Categorical(logits=policy(current)).sample()
        for task, environment in enumerate(environments):
            state, _, terminal, truncated, _ = environment.step(actions[task, time].item())
            following[task, time], terminated[task, time] = _tensor(state), terminal
            ended[task, time] = terminal or truncated
            current[task] = _tensor(environment.reset()[0] if terminal or truncated else state)
    values = critic(observations).squeeze(-1)
    surprise = 1 + DISCOUNT * critic(following).squeeze(-1) * (1 - terminated) - values
    advantages, carried = torch.empty_like(values), torch.zeros(tasks)
    for time in reversed(range(transitions)):
        carried = surprise[:, time] + DISCOUNT * TRACE * (1 - ended[:, time]) * carried
        advantages[:, time] = carried
    return observations, actions, advantages, advantages + values


def _update(policy: nn.Module, critic: nn.Module, optimizer: torch.optim.Optimizer, *collected: torch.Tensor) -> None:
    observations, actions, advantages, returns = (values.flatten(0, 1) for values in collected)
    advantages = (advantages - advantages.mean()) / advantages.std()
    before = log_probability(policy, observations, actions).detach()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(actions)).split(BATCH):
            ratios = (log_probability(policy, observations[rows], actions[rows]) - before[rows]).exp()
            gains = torch.minimum(ratios * advantages[rows], ratios.clamp(1 - CLIP, 1 + CLIP) * advantages[rows]).mean()
            misses = nn.functional.mse_loss(critic(observations[rows]).squeeze(-1), returns[rows])
            optimizer.zero_grad()
            (misses - gains).backward()
            optimizer.step()


def _tensor(state: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(state, dtype=torch.float32)
