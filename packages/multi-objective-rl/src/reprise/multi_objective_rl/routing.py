"""Ways to choose a group's policy without whole episodes: the critics' values, and a classifier of trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from reprise.multi_objective_rl.ppo import Trained
from reprise.multi_objective_rl.tasks import Task, vector_env
from reprise.multi_objective_rl.validation import numpy_generator, torch_generator, whole_number

Array = npt.NDArray[np.float64]


def initial_values(member: Trained, tasks: Sequence[Task], states: int, seed: int) -> Array:
    """Mean of V(s₀) over initial states of each task, shape (n,)."""
    env: Any = vector_env(tasks, states)
    seeds = np.random.default_rng(seed).integers(2**31, size=env.num_envs)
    observation, _ = env.reset(seed=[int(value) for value in seeds])
    env.close()
    flat = torch.from_numpy(np.asarray(observation, dtype=np.float32).reshape(env.num_envs, -1))
    context = member.policy.context([task.name for task in tasks for _ in range(states)])
    inputs = flat if context is None else torch.cat((flat, torch.from_numpy(context)), dim=1)
    with torch.no_grad():
        values = member.critic(inputs.to(member.policy.shift.device)).cpu().double().numpy()
    return np.asarray(values.reshape(len(tasks), states).mean(axis=1))


class TrajectoryClassifier:
    """Logistic regression from a short trajectory of the meta-policy to the group whose policy earns most.

    Parameters
    ----------
    meta : Trained
        Its policy acts, with random actions.
    horizon : int
        Steps of a trajectory, H. Features are mean and standard deviation of the observations, of the actions, of the
        rewards, and of the change of the observation that goes with each action.

    Attributes
    ----------
    model_ : sklearn.pipeline.Pipeline
        After `fit`.
    """

    model_: Pipeline | None
    only_: int

    def __init__(self, meta: Trained, *, horizon: int = 32) -> None:
        self.meta = meta
        self.horizon = whole_number("horizon", horizon, minimum=2)

    def fit(
        self,
        tasks: Sequence[Task],
        labels: npt.ArrayLike,
        *,
        trajectories: int = 8,
        generator: np.random.Generator | int = 0,
    ) -> Self:
        """Learn from trajectories of tasks whose groups are known.

        Parameters
        ----------
        tasks : sequence of Task
        labels : int array, shape (n,)
        trajectories : int
            Of each task.
        generator : numpy.random.Generator or int
        """
        wanted = np.asarray(labels)
        if wanted.shape != (len(tasks),):
            raise ValueError(f"labels must have shape ({len(tasks)},), got {wanted.shape}")
        features = self.features(tasks, trajectories, generator=generator)
        self.only_ = int(wanted[0])
        if len(np.unique(wanted)) == 1:  # one group earns most everywhere: nothing to tell apart
            self.model_ = None
            return self
        self.model_ = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        self.model_.fit(features.reshape(len(tasks) * trajectories, -1), np.repeat(wanted, trajectories))
        return self

    def predict(self, tasks: Sequence[Task], *, generator: np.random.Generator | int = 0) -> npt.NDArray[np.int64]:
        """The likeliest group of each task, shape (n,), from one trajectory."""
        if self.model_ is None:
            return np.full(len(tasks), self.only_)
        return np.asarray(self.model_.predict(self.features(tasks, 1, generator=generator)[:, 0]), dtype=np.int64)

    def features(self, tasks: Sequence[Task], trajectories: int, *, generator: np.random.Generator | int = 0) -> Array:
        """Features of trajectories, shape (n, trajectories, features)."""
        generator = numpy_generator(generator)
        policy = self.meta.policy
        env: Any = vector_env(tasks, whole_number("trajectories", trajectories))
        draws = torch_generator(generator, policy.shift.device)
        context = policy.context([task.name for task in tasks for _ in range(trajectories)])
        observation, _ = env.reset(seed=[int(seed) for seed in generator.integers(2**31, size=env.num_envs)])
        states, actions, rewards, over = [], [], [], []
        for _ in range(self.horizon):
            flat = np.asarray(observation, dtype=np.float32).reshape(env.num_envs, -1)
            inputs = flat if context is None else np.concatenate((flat, context), axis=1)
            with torch.no_grad():
                action = policy.sample_of(policy(torch.from_numpy(inputs).to(policy.shift.device)), draws)
            observation, reward, terminated, truncated, _ = env.step(policy.for_environment(action))
            one_hot = (
                action.cpu() if not policy.discrete else torch.nn.functional.one_hot(action.cpu(), policy.outputs_size)
            )
            states.append(flat)
            actions.append(one_hot.double().numpy())
            rewards.append(np.asarray(reward, dtype=float)[:, None])
            over.append(terminated | truncated)
        env.close()
        s, a, r = (np.stack(part).astype(float) for part in (states, actions, rewards))
        change = np.where(np.stack(over)[:-1, :, None], 0.0, s[1:] - s[:-1])  # a reset is no dynamics
        response = np.einsum("tea,tes->eas", a[:-1], change).reshape(env.num_envs, -1) / self.horizon
        parts = [moment for values in (s, a, r) for moment in (values.mean(0), values.std(0))]
        return np.concatenate((*parts, response), axis=1).reshape(len(tasks), trajectories, -1)
