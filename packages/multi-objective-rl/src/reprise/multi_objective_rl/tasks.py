"""Tasks: named environments with one state space and one action space, stepped many at a time.

A task is a name and a function that makes its environment. `vector_env` puts several copies of several tasks into one
gymnasium vector environment that resets in the same step: the observation after an episode's last step is that of the
next episode, and the last one of the finished episode lies in ``infos["final_obs"]``, where a critic can bootstrap from
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from reprise.multi_objective_rl.validation import whole_number


@dataclass(frozen=True)
class Spaces:
    """What all tasks share: observations as flat vectors, and actions.

    Attributes
    ----------
    observation_space : gymnasium.spaces.Box
    action_space : gymnasium.spaces.Discrete or Box
    """

    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]


@dataclass(frozen=True)
class Task:
    """An objective: a name and how its environment is made.

    Parameters
    ----------
    name : str
    make : callable
        Returns a fresh gymnasium environment with a scalar reward.
    settings : mapping
        What sets it apart from its siblings; free, for the reader and for `batch`.
    batch : callable, optional
        ``batch(settings of the copies in order)`` returns one vector environment for them that is faster than stepping
        them one by one. It is used where all tasks of a batch name the same function.

    Examples
    --------
    >>> Task("plain", lambda: gymnasium.make("CartPole-v1")).name
    'plain'
    """

    name: str
    make: Callable[[], gymnasium.Env[Any, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch: Callable[[Sequence[Mapping[str, Any]]], VectorEnv] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a task."""
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string, got {self.name!r}")
        if not callable(self.make):
            raise TypeError(f"make must be a function that returns an environment, got {self.make!r} for {self.name!r}")

    @cached_property
    def spaces(self) -> Spaces:
        """Spaces of the environment, which is made for that once.

        Raises
        ------
        TypeError, ValueError
            If it is no environment, its spaces are of a kind that policies here don't take, or its reward is a vector.
        """
        return _spaces(self)


def tasks_from_env(env_id: str, settings: Mapping[str, Mapping[str, Any]]) -> list[Task]:
    """Tasks that differ in the keyword arguments of one registered environment.

    Parameters
    ----------
    env_id : str
        As `gymnasium.make` takes it.
    settings : mapping of task name to mapping
        Keyword arguments for each task.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If no environment of that name is registered.

    Examples
    --------
    >>> [task.name for task in tasks_from_env("CartPole-v1", {"plain": {}, "bang": {"sutton_barto_reward": True}})]
    ['plain', 'bang']
    """
    try:
        gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        raise ValueError(f"env_id must be registered with gymnasium, got {env_id!r}: {error}") from None

    def maker(options: Mapping[str, Any]) -> Callable[[], gymnasium.Env[Any, Any]]:
        return lambda: gymnasium.make(env_id, **options)

    return [Task(name, maker(dict(options)), dict(options)) for name, options in settings.items()]


def check_tasks(tasks: Sequence[Task], *, minimum: int = 1) -> Spaces:
    """The spaces that all tasks share.

    Parameters
    ----------
    tasks : sequence of Task
    minimum : int
        Least number of tasks.

    Returns
    -------
    Spaces

    Raises
    ------
    TypeError
        If something isn't a `Task`.
    ValueError
        If there are too few, names repeat, spaces differ (both tasks are named) or are of a kind that policies here
        don't take, or a reward is a vector.
    """
    if isinstance(tasks, Task) or not isinstance(tasks, Sequence):
        raise TypeError(f"tasks must be a list of Task, got {type(tasks).__name__}")
    strangers = [task for task in tasks if not isinstance(task, Task)]
    if strangers:
        raise TypeError(f"tasks must be a list of Task, got an item of type {type(strangers[0]).__name__}")
    if len(tasks) < minimum:
        raise ValueError(f"tasks must be at least {minimum}, got {len(tasks)}")
    names = [task.name for task in tasks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"tasks must have different names, got more than once: {', '.join(repeated)}")
    first: Spaces | None = None
    for task in tasks:
        found = task.spaces
        first = first or found
        for kind in ("observation_space", "action_space"):
            ours, theirs = getattr(first, kind), getattr(found, kind)
            if ours != theirs:
                word = kind.replace("_", " ")
                raise ValueError(f"tasks must share one {word}: {tasks[0].name!r} has {ours}, {task.name!r} {theirs}")
    assert first is not None
    return first


def vector_env(tasks: Sequence[Task], copies: int) -> VectorEnv:
    """Copies of all tasks in one vector environment, those of the first task first; resets in the same step.

    Parameters
    ----------
    tasks : sequence of Task
    copies : int
        Of each task.

    Returns
    -------
    gymnasium.vector.VectorEnv
        With ``len(tasks) * copies`` environments.
    """
    copies = whole_number("copies", copies)
    batches = {task.batch for task in tasks}
    batch = batches.pop() if len(batches) == 1 else None
    if batch is not None:
        return batch([task.settings for task in tasks for _ in range(copies)])
    makers = [task.make for task in tasks for _ in range(copies)]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)


def _spaces(task: Task) -> Spaces:
    env = task.make()
    if not isinstance(env, gymnasium.Env):
        raise TypeError(f"make of task {task.name!r} must return a gymnasium.Env, got {type(env).__name__}")
    try:
        reward = getattr(env.unwrapped, "reward_space", None)
        if reward is not None and np.prod(reward.shape) > 1 and not _scalarised(env):
            raise ValueError(
                f"task {task.name!r} has a vector reward of {int(np.prod(reward.shape))} entries: give its weights, "
                "preferences(env_id, weights)"
            )
        observations, actions = env.observation_space, env.action_space
        if not isinstance(observations, spaces.Box):
            raise ValueError(f"task {task.name!r} must have a Box of observations, got {observations}")
        if not isinstance(actions, spaces.Discrete) and not (isinstance(actions, spaces.Box) and actions.shape):
            raise ValueError(f"task {task.name!r} must have Discrete or Box actions, got {actions}")
        return Spaces(observations, actions)
    finally:
        env.close()


def _scalarised(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether a wrapper turns the reward into a number."""
    while isinstance(env, gymnasium.Wrapper):
        if getattr(env, "scalar_reward", False) or type(env).__name__ == "LinearReward":
            return True
        env = env.env
    return False
