"""Evaluation: whole episodes of a policy in many tasks at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.tasks import Task, check_tasks, vector_env
from reprise.multi_objective_rl.validation import numpy_generator, torch_generator, whole_number

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Returns of whole episodes.

    Attributes
    ----------
    names : tuple of str, length n
    returns : float64 array, shape (n, episodes)
        Sums of rewards.
    lengths : int64 array, shape (n, episodes)
    success : float64 array, shape (n, episodes)
        1 where ``info["success"]`` was true at some step, 0 where it never was; NaN where an environment says nothing
        of success.
    vectors : float64 array, shape (n, episodes, r), or None
        Sums of ``info["vector_reward"]``, where there is one.
    """

    names: tuple[str, ...]
    returns: Array
    lengths: npt.NDArray[np.int64]
    success: Array
    vectors: Array | None = None

    @property
    def mean(self) -> float:
        """Mean return over tasks and episodes."""
        return float(self.returns.mean())

    def per_task(self) -> dict[str, float]:
        """Mean return of each task."""
        return dict(zip(self.names, self.returns.mean(axis=1).tolist()))


def evaluate(
    policy: Policy,
    tasks: Sequence[Task],
    episodes: int = 16,
    *,
    deterministic: bool = True,
    generator: np.random.Generator | int = 0,
    limit: int = 10_000,
) -> Evaluation:
    """Play whole episodes of every task, all at once.

    Parameters
    ----------
    policy : Policy
    tasks : sequence of Task
    episodes : int
        Of each task.
    deterministic : bool
        Take the most probable action; draw otherwise.
    generator : numpy.random.Generator or int
        Of initial states and actions.
    limit : int
        Steps after which an episode that has not ended counts as it stands.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError
        If `policy` is something else.
    ValueError
        If tasks don't fit the policy or a reward is not finite (task and step are named).

    Examples
    --------
    >>> from reprise.multi_objective_rl import cartpole
    >>> task = cartpole("plain")
    >>> env = task.make()
    >>> found = evaluate(Policy(env.observation_space, env.action_space), [task], episodes=2)
    >>> found.returns.shape, bool((found.returns == found.lengths).all())
    ((1, 2), True)
    """
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, such as trained.policy, got {type(policy).__name__}")
    check_tasks(tasks)
    episodes, limit = whole_number("episodes", episodes), whole_number("limit", limit)
    generator = numpy_generator(generator)
    names = [task.name for task in tasks]
    env: Any = vector_env(tasks, episodes)
    context = policy.context([name for name in names for _ in range(episodes)])
    draws = torch_generator(generator, policy.shift.device)
    count = env.num_envs
    observation, _ = env.reset(seed=[int(seed) for seed in generator.integers(2**31, size=count)])
    returns, lengths, success = np.zeros(count), np.zeros(count, dtype=np.int64), np.full(count, np.nan)
    vectors: Array | None = None
    running = np.ones(count, dtype=bool)
    for step in range(limit):
        inputs = np.asarray(observation, dtype=np.float32).reshape(count, -1)
        inputs = inputs if context is None else np.concatenate((inputs, context), axis=1)
        with torch.no_grad():
            outputs = policy(torch.from_numpy(inputs).to(policy.shift.device))
            action = policy.mode_of(outputs) if deterministic else policy.sample_of(outputs, draws)
        observation, reward, terminated, truncated, infos = env.step(policy.for_environment(action))
        wrong = running & ~np.isfinite(reward)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"rewards must be finite, got {reward[index]} in task {names[index // episodes]!r} at step {step}"
            )
        returns[running] += reward[running]
        lengths[running] += 1
        said = _info(infos, "success", count)
        if said is not None:
            seen = running & np.isfinite(said)
            success[seen] = np.fmax(success[seen], said[seen])
        rewards = _info(infos, "vector_reward", count)
        if rewards is not None:
            vectors = np.zeros((count, rewards.shape[1])) if vectors is None else vectors
            vectors[running] += rewards[running]
        running &= ~(terminated | truncated)
        if not running.any():
            break
    env.close()
    shape = (len(tasks), episodes)
    return Evaluation(
        tuple(names),
        returns.reshape(shape),
        lengths.reshape(shape),
        success.reshape(shape),
        None if vectors is None else vectors.reshape(*shape, -1),
    )


def _info(infos: dict[str, object], key: str, count: int) -> Array | None:
    """A quantity of all environments: of those that ended it lies in the info of the finished episode."""
    places = [part for part in (infos, infos.get("final_info")) if isinstance(part, dict) and key in part]
    found: Array | None = None
    for part in places:
        given = np.asarray(
            part[key].tolist() if getattr(part[key], "dtype", None) == np.dtype(object) else part[key], dtype=float
        )
        mask = np.asarray(part.get(f"_{key}", np.ones(count, dtype=bool)))
        if found is None:
            found = np.full_like(given, np.nan)
        found[mask] = given[mask]
    return found
