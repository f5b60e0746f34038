"""Sampling: transitions of many tasks in one vectorised batch, with generalised advantages.

    δ_t = r_t + γ V(s'_t)(1 - terminated_t) - V(s_t),        Â_t = δ_t + γλ (1 - done_t) Â_{t+1}

Truncation bootstraps and termination does not: s'_t is the last observation of a truncated episode, never that after
its reset. Schulman et al. (2016), "High-dimensional continuous control using generalized advantage estimation".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.tasks import Task, check_tasks, vector_env
from reprise.multi_objective_rl.validation import numpy_generator, whole_number

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Transitions:
    """Steps that a policy took in tasks.

    Attributes
    ----------
    observations : Tensor, shape (N, s)
        With the one-hot vector of the task at the end where the policy sees it.
    actions : Tensor, shape (N,) or (N, a)
        Unclipped.
    log_probs, advantages, returns : Tensor, shape (N,)
        Log π(a | s) of the policy that acted, Â, and Â + V(s), what the critic is to learn.
    tasks : int64 Tensor, shape (N,)
        Index of the task of each.
    names : tuple of str
        Of the tasks.
    """

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor
    tasks: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of transitions, N."""
        return len(self.observations)

    def select(self, rows: Tensor) -> Transitions:
        """Those of the given indices or mask."""
        fields = ("observations", "actions", "log_probs", "advantages", "returns", "tasks")
        return replace(self, **{name: getattr(self, name)[rows] for name in fields})

    def of(self, task: str) -> Transitions:
        """Those of one task."""
        if task not in self.names:
            raise ValueError(f"task must be one of {list(self.names)}, got {task!r}")
        return self.select(self.tasks == self.names.index(task))

    def standardised(self) -> Transitions:
        """The same with advantages of mean 0 and (unbiased) standard deviation 1 in each task.

        Over all tasks together, those with small rewards would vanish beside the others.
        """
        advantages = self.advantages.clone()
        for index in range(len(self.names)):
            chosen = self.tasks == index
            part = advantages[chosen]
            if len(part) > 1:
                advantages[chosen] = (part - part.mean()) / part.std().clamp_min(1e-8)
        return replace(self, advantages=advantages)


@dataclass(frozen=True)
class Episode:
    """A finished episode: which task, and the sum of its rewards."""

    task: int
    total: float
    length: int


class Sampler:
    """Copies of all tasks, stepped together; episodes go on from one call to the next.

    Parameters
    ----------
    tasks : sequence of Task
    copies : int
        Environments of each task.
    generator : numpy.random.Generator or int
        Of the environments and of the actions.
    """

    def __init__(self, tasks: Sequence[Task], *, copies: int = 8, generator: np.random.Generator | int = 0) -> None:
        check_tasks(tasks)
        generator = numpy_generator(generator)
        self.names = tuple(task.name for task in tasks)
        self.copies = whole_number("copies", copies)
        self.owners = np.repeat(np.arange(len(tasks)), self.copies)
        env: Any = vector_env(tasks, self.copies)  # its reset takes lists of seeds, whatever its type says
        self.env = env
        self._seed = int(generator.integers(2**62))
        self._draws: torch.Generator | None = None
        seeds = [int(seed) for seed in generator.integers(2**31, size=self.env.num_envs)]
        self._observation = _flat(self.env.reset(seed=seeds)[0])
        self._total = np.zeros(self.env.num_envs)
        self._length = np.zeros(self.env.num_envs, dtype=np.int64)
        self._steps = 0

    def sample(
        self, policy: Policy, critic: nn.Module, steps: int, *, discount: float = 0.99, decay: float = 0.95
    ) -> tuple[Transitions, list[Episode]]:
        """Steps of every environment, with advantages by the critic.

        Parameters
        ----------
        policy : Policy
        critic : nn.Module
        steps : int
            Of each copy: ``steps * copies`` transitions of each task.
        discount, decay : float
            γ and λ.

        Returns
        -------
        transitions : Transitions
            In the order of time within each copy; copies of a task side by side.
        episodes : list of Episode
            Those that ended meanwhile.

        Raises
        ------
        ValueError
            If a reward is not finite: the message names task and step.
        """
        device, count = policy.shift.device, self.env.num_envs
        context = policy.context([self.names[owner] for owner in self.owners])
        if self._draws is None or self._draws.device.type != device.type:
            self._draws = torch.Generator(device).manual_seed(self._seed)
        draws = self._draws
        observations, actions, episodes = [], [], []
        rewards, terminated, truncated = (np.zeros((steps, count), dtype) for dtype in (np.float64, bool, bool))
        cut: list[tuple[int, Array, Array]] = []  # (step, environments, last observations) of truncated episodes
        for step in range(steps):
            seen = _seen(self._observation, context)
            inputs = torch.from_numpy(seen).to(device)
            with torch.no_grad():
                action = policy.sample_of(policy(inputs), draws)
            following, rewards[step], terminated[step], truncated[step], infos = self.env.step(
                policy.for_environment(action)
            )
            observations.append(inputs)
            actions.append(action)
            self._total += rewards[step]
            self._length += 1
            over = terminated[step] | truncated[step]
            if over.any():
                open_ended = np.flatnonzero(truncated[step] & ~terminated[step])
                if len(open_ended):
                    last = np.stack([np.asarray(infos["final_obs"][index]) for index in open_ended])
                    cut.append((step, open_ended, _flat(last)))
                episodes += [
                    Episode(int(self.owners[index]), float(self._total[index]), int(self._length[index]))
                    for index in np.flatnonzero(over)
                ]
                self._total[over], self._length[over] = 0.0, 0
            self._observation = _flat(following)
        self._check(rewards)
        self._steps += steps
        stacked, taken = torch.stack(observations), torch.stack(actions)
        with torch.no_grad():
            log_probs = policy.log_prob_of(policy(stacked), taken)
            ahead = torch.from_numpy(_seen(self._observation, context)).to(device)
            values = critic(torch.cat((stacked, ahead[None]))).cpu().numpy().astype(np.float64)
            following_values = values[1:].copy()
            for step, where, last in cut:
                final = torch.from_numpy(_seen(last, None if context is None else context[where])).to(device)
                following_values[step, where] = critic(final).cpu().numpy()
        advantages = generalised_advantages(
            rewards, values[:-1], following_values, terminated, terminated | truncated, discount=discount, decay=decay
        )
        return (
            Transitions(
                observations=stacked.transpose(0, 1).flatten(0, 1),
                actions=taken.transpose(0, 1).flatten(0, 1),
                log_probs=log_probs.T.flatten(),
                advantages=_tensor(advantages, device),
                returns=_tensor(advantages + values[:-1], device),
                tasks=torch.from_numpy(np.repeat(self.owners, steps)).to(device),
                names=self.names,
            ),
            episodes,
        )

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    def _check(self, rewards: Array) -> None:
        if not np.isfinite(rewards).all():
            step, index = (int(number) for number in np.argwhere(~np.isfinite(rewards))[0])
            raise ValueError(
                f"rewards must be finite, got {rewards[step, index]} in task {self.names[self.owners[index]]!r} "
                f"at step {self._steps + step}"
            )


def generalised_advantages(
    rewards: Array,
    values: Array,
    following: Array,
    terminated: Array,
    done: Array,
    *,
    discount: float = 0.99,
    decay: float = 0.95,
) -> Array:
    """Generalised advantage estimates, backwards in time.

    Parameters
    ----------
    rewards, values, following : array, shape (T, B)
        r_t, V(s_t), and V(s'_t) of the true following observation.
    terminated, done : bool array, shape (T, B)
        Whether the episode ended in a terminal state, and whether it ended at all.
    discount, decay : float
        γ and λ.

    Returns
    -------
    array, shape (T, B)

    Examples
    --------
    >>> one, no = np.ones((2, 1)), np.zeros((2, 1), bool)
    >>> generalised_advantages(one, 0 * one, 0 * one, no, no, discount=1.0, decay=1.0).ravel()
    array([2., 1.])
    """
    deltas = rewards + discount * following * ~terminated - values
    advantages = np.zeros_like(deltas)
    running = np.zeros(deltas.shape[1])
    for step in range(len(deltas) - 1, -1, -1):
        running = deltas[step] + discount * decay * ~done[step] * running
        advantages[step] = running
    return advantages


def _flat(observations: Any) -> npt.NDArray[np.float32]:
    return np.asarray(observations, dtype=np.float32).reshape(len(observations), -1)


def _seen(observations: npt.NDArray[np.float32], context: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    return observations.copy() if context is None else np.concatenate((observations, context), axis=1)


def _tensor(values: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.T, dtype=np.float32)).to(device).flatten()
