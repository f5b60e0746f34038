"""Vector rewards: every weighting of them is a task, and policies are judged by the set of returns they reach.

Environments of MO-Gymnasium (extra ``vector-rewards``), or any whose ``unwrapped.reward_space`` is a vector. Felten et
al. (2023), "A toolkit for reliable benchmarking and research in multi-objective reinforcement learning".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt

from reprise.multi_objective_rl.extras import load, maker
from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.validation import numpy_generator, real_array, whole_number

Array = npt.NDArray[np.float64]


class WeightedReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The inner product of a vector reward with weights; the vector itself is ``info["vector_reward"]``.

    Parameters
    ----------
    env : gymnasium.Env
    weights : array, shape (r,)
    """

    scalar_reward = True

    def __init__(self, env: gymnasium.Env[Any, Any], weights: Array) -> None:
        super().__init__(env)
        self.weights = weights

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """One step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        vector = np.asarray(reward, dtype=np.float64)
        return observation, float(vector @ self.weights), terminated, truncated, {**info, "vector_reward": vector}


def preferences(env_id: str | Callable[[], gymnasium.Env[Any, Any]], weights: npt.ArrayLike) -> list[Task]:
    """One task for each weighting of an environment's vector reward.

    Parameters
    ----------
    env_id : str or callable
        A name that MO-Gymnasium registers, such as "mo-lunar-lander-v3"; or a function that makes an environment.
    weights : array, shape (n, r)
        A weighting in each row.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If the weights have another number of columns than the reward has entries, are not finite, or two rows are
        equal.

    Examples
    --------
    >>> [task.name for task in preferences("deep-sea-treasure-v0", [[1, 0], [0.5, 0.5]])]
    ['(1, 0)', '(0.5, 0.5)']
    """
    rows = real_array("weights", weights, dimensions=2)
    make = env_id if callable(env_id) else maker(env_id, "mo_gymnasium", "vector-rewards")
    env = make()
    space = getattr(env.unwrapped, "reward_space", None)
    env.close()
    size = 1 if space is None else int(np.prod(space.shape))
    if rows.shape[1] != size:
        raise ValueError(f"weights must have shape (n, {size}), one for each entry of the reward, got {rows.shape}")
    names = [f"({', '.join(f'{value:.4g}' for value in row)})" for row in rows]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"weights must differ (to four digits) between rows, got twice: {', '.join(repeated)}")

    def weighted(row: Array) -> Callable[[], gymnasium.Env[Any, Any]]:
        return lambda: WeightedReward(make(), row)

    return [Task(name, weighted(row), {"weights": row.tolist()}) for name, row in zip(names, rows)]


def simplex_weights(count: int, entries: int, *, generator: np.random.Generator | int = 0) -> Array:
    """Weightings that sum to 1: the corners of the simplex first, then uniform draws from it.

    Parameters
    ----------
    count : int
        n, at least `entries`.
    entries : int
        r.
    generator : numpy.random.Generator or int

    Returns
    -------
    array, shape (n, r)

    Examples
    --------
    >>> simplex_weights(3, 2).round(1)
    array([[1. , 0. ],
           [0. , 1. ],
           [0.4, 0.6]])
    """
    entries = whole_number("entries", entries, minimum=2)
    count = whole_number("count", count, minimum=entries)
    drawn = numpy_generator(generator).dirichlet(np.ones(entries), count - entries)
    return np.concatenate((np.eye(entries), drawn))


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Volume that points dominate above a reference point, by pymoo; higher is better in every coordinate.

    Parameters
    ----------
    points : array, shape (n, r)
        Returns, one point for each policy.
    reference : array, shape (r,)
        Worse than what counts; points below it add nothing.

    Returns
    -------
    float

    Examples
    --------
    >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0])
    3.0
    """
    values, corner = real_array("points", points, dimensions=2), real_array("reference", reference, dimensions=1)
    if values.shape[1:] != corner.shape:
        raise ValueError(f"reference must have shape ({values.shape[1]},), got {corner.shape}")
    indicators = load("pymoo.indicators.hv", "vector-rewards")
    return float(indicators.HV(ref_point=-corner)(-values))


def expected_utility(points: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """Mean over weightings of the largest weighted return that some policy reaches (EUM).

    Parameters
    ----------
    points : array, shape (n, r)
    weights : array, shape (m, r)

    Returns
    -------
    float

    Examples
    --------
    >>> expected_utility([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    1.5
    """
    values, rows = real_array("points", points, dimensions=2), real_array("weights", weights, dimensions=2)
    if values.shape[1] != rows.shape[1]:
        raise ValueError(f"weights must have shape (m, {values.shape[1]}), got {rows.shape}")
    return float((rows @ values.T).max(axis=1).mean())
