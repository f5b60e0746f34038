"""CartPoles with different physics, and a thousand of them stepped at once.

The planted families of `cartpole_families` are tasks of which the experimenter knows which belong together: in one of
them the cart answers to the reversed action, in another it hardly answers at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.validation import numpy_generator, real_number, whole_number

PHYSICS = {"force_mag": 10.0, "gravity": 9.8, "length": 0.5, "masspole": 0.1}  # of CartPole-v1
_POSITIVE = ("length", "masspole", "gravity")
_CART, _TAU, _STEPS = 1.0, 0.02, 500
_EDGE, _TILT = 2.4, 12 * 2 * np.pi / 360

Array = npt.NDArray[np.float64]


def cartpole(name: str, **physics: float) -> Task:
    """CartPole-v1 with other physics.

    Parameters
    ----------
    name : str
    **physics
        ``force_mag`` (newton; negative: actions are reversed), ``gravity`` (m/s²), ``length`` (half the pole's,
        metres), ``masspole`` (kilograms). Those of CartPole-v1 by default.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        For an unknown quantity, or one out of range.

    Examples
    --------
    >>> cartpole("reversed", force_mag=-10).make().unwrapped.force_mag
    -10.0
    """
    unknown = sorted(set(physics) - set(PHYSICS))
    if unknown:
        raise ValueError(f"physics must be among {', '.join(PHYSICS)}, got {', '.join(unknown)}")
    chosen = {key: real_number(key, physics.get(key, value), minimum=-np.inf) for key, value in PHYSICS.items()}
    for key in _POSITIVE:
        real_number(key, chosen[key], above=True)

    def make() -> gymnasium.Env[Any, Any]:
        env = gymnasium.make("CartPole-v1")
        bare: Any = env.unwrapped
        for key, value in chosen.items():
            setattr(bare, key, value)
        bare.total_mass = bare.masspole + bare.masscart
        bare.polemass_length = bare.masspole * bare.length
        return env

    return Task(name, make, chosen, CartPoles)


def cartpole_families(
    *, sizes: Sequence[int] = (4, 3, 3), forces: Sequence[float] = (10.0, -10.0, 3.0), generator: Any = 0
) -> tuple[list[Task], npt.NDArray[np.int64]]:
    """Planted families of CartPoles: within one, force ± 1, gravity 9.8 ± 1, half-length and pole mass × U(0.8, 1.2).

    Parameters
    ----------
    sizes : sequence of int
        Tasks in each family.
    forces : sequence of float
        Force of each family, in newton; a negative one reverses the actions.
    generator : numpy.random.Generator or int

    Returns
    -------
    tasks : list of Task
    families : int array
        The family of each task.

    Raises
    ------
    ValueError
        If there is not one force for each size.

    Examples
    --------
    >>> tasks, families = cartpole_families(generator=1)
    >>> len(tasks), families.tolist()
    (10, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    """
    if len(sizes) != len(forces):
        raise ValueError(f"forces must be one for each of {len(sizes)} families, got {len(forces)}")
    generator = numpy_generator(generator)
    tasks = []
    for size, force in zip(sizes, forces):
        for member in range(whole_number("sizes", size)):
            physics = {
                "force_mag": force + generator.uniform(-1, 1),
                "gravity": 9.8 + generator.uniform(-1, 1),
                "length": 0.5 * generator.uniform(0.8, 1.2),
                "masspole": 0.1 * generator.uniform(0.8, 1.2),
            }
            tasks.append(cartpole(f"{force:+g} N, {member}", **physics))
    return tasks, np.repeat(np.arange(len(sizes)), sizes)


def cartpole_tasks(count: int = 10, *, generator: Any = 0, prefix: str = "cartpole") -> list[Task]:
    """CartPoles with force U(5, 15), gravity U(5, 15) and half-length U(0.25, 1).

    Parameters
    ----------
    count : int
    generator : numpy.random.Generator or int
    prefix : str
        Of the names.

    Returns
    -------
    list of Task
    """
    generator = numpy_generator(generator)
    ranges = {"force_mag": (5.0, 15.0), "gravity": (5.0, 15.0), "length": (0.25, 1.0)}
    return [
        cartpole(f"{prefix} {index}", **{key: generator.uniform(*span) for key, span in ranges.items()})
        for index in range(whole_number("count", count))
    ]


class CartPoles(VectorEnv):
    """Many CartPoles in one batch of arrays: what gymnasium's CartPole-v1 does, step for step.

    Parameters
    ----------
    settings : sequence of mappings
        Physics of each environment: the keys of `cartpole`.

    Notes
    -----
    The arithmetic is that of CartPole-v1 in float64 with its time limit of 500 steps; environments that end start
    again in the same step. Initial states come from one generator for the whole batch.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, settings: Sequence[Mapping[str, float]]) -> None:
        self.num_envs = len(settings)
        bound = np.array([2 * _EDGE, np.inf, 2 * _TILT, np.inf], dtype=np.float32)
        self.single_observation_space = spaces.Box(-bound, bound, dtype=np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.force, self.gravity, self.length, self.mass = (
            np.array([each[key] for each in settings]) for key in PHYSICS
        )
        self.total, self.moment = self.mass + _CART, self.mass * self.length
        self.state: Array = np.zeros((4, self.num_envs))
        self.elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._generator = np.random.default_rng()

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Start all episodes anew; a seed (or list of seeds) starts the generator anew, too."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self.state = self._generator.uniform(-0.05, 0.05, (4, self.num_envs))
        self.elapsed[:] = 0
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[npt.NDArray[np.float32], Array, Any, Any, dict[str, Any]]:
        """One step of all environments."""
        x, speed, angle, spin = self.state
        force = np.where(np.asarray(actions) == 1, self.force, -self.force)
        cosine, sine = np.cos(angle), np.sin(angle)
        pull = (force + self.moment * spin**2 * sine) / self.total
        turn = (self.gravity * sine - cosine * pull) / (self.length * (4.0 / 3.0 - self.mass * cosine**2 / self.total))
        push = pull - self.moment * turn * cosine / self.total
        self.state = np.stack((x + _TAU * speed, speed + _TAU * push, angle + _TAU * spin, spin + _TAU * turn))
        self.elapsed += 1
        terminated = (np.abs(self.state[0]) > _EDGE) | (np.abs(self.state[2]) > _TILT)
        truncated = self.elapsed >= _STEPS
        over = terminated | truncated
        infos: dict[str, Any] = {}
        if over.any():
            infos = {"final_obs": self._observation(), "_final_obs": over}
            self.state[:, over] = self._generator.uniform(-0.05, 0.05, (4, int(over.sum())))
            self.elapsed[over] = 0
        return self._observation(), np.ones(self.num_envs), terminated, truncated, infos

    def _observation(self) -> npt.NDArray[np.float32]:
        return self.state.T.astype(np.float32)
