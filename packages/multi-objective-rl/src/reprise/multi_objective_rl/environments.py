"""Families of tasks in environments that need an extra: LunarLander, Highway, Meta-World's MT10.

Nothing is imported before a task is made. The ranges are our choice; the paper's were not found.
"""

from __future__ import annotations

from typing import Any

from reprise.multi_objective_rl.extras import maker
from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.validation import numpy_generator, whole_number

MT10 = (
    "reach-v3",
    "push-v3",
    "pick-place-v3",
    "door-open-v3",
    "drawer-open-v3",
    "drawer-close-v3",
    "button-press-topdown-v3",
    "peg-insert-side-v3",
    "window-open-v3",
    "window-close-v3",
)


def lunar_lander_tasks(count: int = 10, *, generator: Any = 0, prefix: str = "lander") -> list[Task]:
    """LunarLander-v3 with gravity U(-12, -4) and wind of power U(0, 15); extra ``box2d``.

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
    tasks = []
    for index in range(whole_number("count", count)):
        options = {
            "gravity": float(generator.uniform(-12, -4)),
            "enable_wind": True,
            "wind_power": float(generator.uniform(0, 15)),
        }
        tasks.append(Task(f"{prefix} {index}", maker("LunarLander-v3", "Box2D", "box2d", **options), options))
    return tasks


def highway_tasks(count: int = 10, *, generator: Any = 0, prefix: str = "highway") -> list[Task]:
    """highway-fast-v0 with 10 to 50 vehicles of density U(0.5, 2) on 2 to 4 lanes; extra ``highway``.

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
    tasks = []
    for index in range(whole_number("count", count)):
        config = {
            "vehicles_count": int(generator.integers(10, 51)),
            "vehicles_density": float(generator.uniform(0.5, 2)),
            "lanes_count": int(generator.integers(2, 5)),
        }
        tasks.append(
            Task(f"{prefix} {index}", maker("highway-fast-v0", "highway_env", "highway", config=config), config)
        )
    return tasks


def metaworld_mt10(*, seed: int = 0) -> list[Task]:
    """The ten manipulation tasks of Meta-World's MT10 (version 3); extra ``metaworld``.

    Parameters
    ----------
    seed : int
        Of the goals.

    Returns
    -------
    list of Task
        Rewards are Meta-World's; ``info["success"]`` says whether the goal was reached.
    """
    seed = whole_number("seed", seed, minimum=0)
    return [
        Task(name, maker("Meta-World/MT1", "metaworld", "metaworld", env_name=name, seed=seed), {"env_name": name})
        for name in MT10
    ]
