"""One policy for each group of tasks, and the router that sends a task to one of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save_file

from reprise.multi_objective_rl.evaluation import Evaluation, evaluate
from reprise.multi_objective_rl.ppo import PPOConfig, Progress, Trained, train
from reprise.multi_objective_rl.routing import TrajectoryClassifier, initial_values
from reprise.multi_objective_rl.tasks import Task
from reprise.multi_objective_rl.validation import numpy_generator, one_of, whole_number
from reprise.tasks import Partition


@dataclass(frozen=True, eq=False)
class GroupedPolicies:
    """The policies of the groups of a partition.

    Attributes
    ----------
    partition : reprise.tasks.Partition
    members : tuple of Trained
        One for each group, in the order of ``partition.groups``.
    meta : Trained
        Where they started.

    Examples
    --------
    >>> from reprise.multi_objective_rl import PPOConfig, cartpole, given_groups, train
    >>> tasks = [cartpole("forward", force_mag=10), cartpole("backward", force_mag=-10)]
    >>> meta = train(tasks, steps=1024, config=PPOConfig(transitions=256))
    >>> team = GroupedPolicies.train(given_groups([task.name for task in tasks], [0, 1]), meta, steps_per_task=256)
    >>> team.route(cartpole("unseen", gravity=12)) in (0, 1)
    True
    """

    partition: Partition
    members: tuple[Trained, ...]
    meta: Trained

    @classmethod
    def train(
        cls,
        partition: Partition,
        meta: Trained,
        tasks: Sequence[Task] | None = None,
        *,
        steps_per_task: int | None = None,
        from_scratch: bool = False,
        config: PPOConfig | None = None,
        generator: np.random.Generator | int = 0,
        progress: Progress | None = None,
    ) -> Self:
        """Train a policy for every group with the same learner.

        Parameters
        ----------
        partition : reprise.tasks.Partition
            Of the tasks' names.
        meta : Trained
            Where policies start, unless `from_scratch`.
        tasks : sequence of Task, optional
            Those of the meta-policy by default.
        steps_per_task : int, optional
            Transitions of each task; as many as the meta-policy had, by default.
        from_scratch : bool
            Start from fresh weights.
        config : PPOConfig, optional
            That of the meta-policy by default.
        generator : numpy.random.Generator or int
        progress : callable, optional
            ``progress(groups done, groups)``.

        Returns
        -------
        GroupedPolicies

        Raises
        ------
        ValueError
            If the partition names tasks that aren't there.
        """
        if not isinstance(partition, Partition) or not isinstance(meta, Trained):
            raise TypeError(
                "partition must be what PolicyGradEx.partition returns and meta what train does, "
                f"got {type(partition).__name__} and {type(meta).__name__}"
            )
        by_name = {task.name: task for task in (meta.tasks if tasks is None else tasks)}
        missing = [name for name in partition.tasks if name not in by_name]
        if missing:
            raise ValueError(f"partition must be of the tasks {list(by_name)}, got {missing}")
        if steps_per_task is None:
            if not meta.history:
                raise ValueError("steps_per_task must be given: the meta-policy has no history to take it from")
            steps_per_task = meta.history[-1]["steps"] // len(meta.tasks)
        steps = whole_number("steps_per_task", steps_per_task)
        generator = numpy_generator(generator)
        config = config or meta.config
        members = []
        for index, names in enumerate(partition.groups):
            chosen = [by_name[str(name)] for name in names]
            start = None if from_scratch else meta
            seed = int(generator.integers(2**31))
            members.append(train(chosen, steps=steps * len(chosen), policy=start, config=config, generator=seed))
            if progress is not None:
                progress(index + 1, len(partition.groups))
        return cls(partition, tuple(members), meta)

    def evaluate(
        self, tasks: Sequence[Task] | None = None, episodes: int = 16, *, generator: np.random.Generator | int = 0
    ) -> Evaluation:
        """Returns of every task under its group's policy (deterministic actions).

        Parameters
        ----------
        tasks : sequence of Task, optional
            Tasks of the partition; those the groups were trained on by default.
        episodes : int
            Of each task.
        generator : numpy.random.Generator or int

        Returns
        -------
        Evaluation
            In the order of the tasks.
        """
        chosen = [task for member in self.members for task in member.tasks] if tasks is None else list(tasks)
        owner = dict(zip(self.partition.tasks, self.partition.labels.tolist()))
        strangers = [task.name for task in chosen if task.name not in owner]
        if strangers:
            raise ValueError(f"tasks must be of the partition, got {strangers}; use route for new ones")
        seed = int(numpy_generator(generator).integers(2**31))
        rows: dict[str, Any] = {}
        for group, member in enumerate(self.members):
            part = [task for task in chosen if owner[task.name] == group]
            if part:
                found = evaluate(member.policy, part, episodes, generator=seed)
                for index, task in enumerate(part):
                    vectors = None if found.vectors is None else found.vectors[index]
                    rows[task.name] = (found.returns[index], found.lengths[index], found.success[index], vectors)
        names = [task.name for task in chosen] if tasks is not None else list(map(str, self.partition.tasks))
        returns, lengths, success, vectors = zip(*(rows[name] for name in names))
        stacked = None if vectors[0] is None else np.stack(vectors)
        return Evaluation(tuple(names), np.stack(returns), np.stack(lengths), np.stack(success), stacked)

    def route(
        self,
        env: Task | gymnasium.Env[Any, Any],
        method: str = "best_return",
        *,
        episodes: int = 1,
        classifier: TrajectoryClassifier | None = None,
        generator: np.random.Generator | int = 0,
    ) -> int:
        """The group whose policy a new task or environment should follow.

        Parameters
        ----------
        env : Task or gymnasium.Env
        method : {"best_return", "critic", "classifier"}
            Play `episodes` episodes with each policy and take the best; ask every group's critic for V(s₀); or classify
            a short trajectory of the meta-policy.
        episodes : int
            Of each policy, or initial states whose values are averaged.
        classifier : TrajectoryClassifier, optional
            For ``method="classifier"``; fitted on the groups' own tasks by default.
        generator : numpy.random.Generator or int

        Returns
        -------
        int
            Index of the group.
        """
        with _as_task(env) as task:
            found = self.route_tasks([task], method, episodes=episodes, classifier=classifier, generator=generator)
        return int(found[0])

    def route_tasks(
        self,
        tasks: Sequence[Task],
        method: str = "best_return",
        *,
        episodes: int = 1,
        classifier: TrajectoryClassifier | None = None,
        generator: np.random.Generator | int = 0,
    ) -> npt.NDArray[np.int64]:
        """The same for many tasks at once, shape (n,)."""
        one_of("method", method, ("best_return", "critic", "classifier"))
        generator = numpy_generator(generator)
        if method == "classifier":
            seed = int(generator.integers(2**31))
            return (classifier or self.classifier(generator=seed)).predict(tasks, generator=generator)
        seed = int(generator.integers(2**31))
        if method == "best_return":
            scores = [
                evaluate(member.policy, tasks, episodes, generator=seed).returns.mean(1) for member in self.members
            ]
        else:
            scores = [initial_values(member, tasks, episodes, seed) for member in self.members]
        return np.asarray(np.stack(scores).argmax(axis=0))

    def classifier(
        self, *, trajectories: int = 8, horizon: int = 32, generator: np.random.Generator | int = 0
    ) -> TrajectoryClassifier:
        """A classifier of short trajectories, fitted on the groups' tasks with the group of largest return as label."""
        tasks = [task for member in self.members for task in member.tasks]
        labels = self.route_tasks(tasks, "best_return", episodes=4, generator=generator)
        fitted = TrajectoryClassifier(self.meta, horizon=horizon)
        return fitted.fit(tasks, labels, trajectories=trajectories, generator=generator)

    def save(self, folder: str | Path) -> None:
        """Write policies and critics as safetensors, and the partition as JSON, to an existing or new folder."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        for index, member in enumerate((*self.members, self.meta)):
            name = "meta" if index == len(self.members) else f"group{index}"
            tensors = {f"policy.{key}": value for key, value in member.policy.state_dict().items()}
            tensors |= {f"critic.{key}": value for key, value in member.critic.state_dict().items()}
            save_file({key: value.contiguous() for key, value in tensors.items()}, path / f"{name}.safetensors")
        text = {"tasks": list(self.partition.tasks), "labels": self.partition.labels.tolist()}
        (path / "partition.json").write_text(json.dumps(text), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, meta: Trained, tasks: Sequence[Task] | None = None) -> Self:
        """Policies, critics and partition that `save` wrote.

        Parameters
        ----------
        folder : str or Path
        meta : Trained
            Of the form that was saved; its own weights are not used, and left as they are.
        tasks : sequence of Task, optional
            Those of the partition; those of `meta` by default.

        Returns
        -------
        GroupedPolicies

        Raises
        ------
        ValueError
            If the partition in the folder is of other tasks.
        """
        path = Path(folder)
        text = json.loads((path / "partition.json").read_text(encoding="utf-8"))
        by_name = {task.name: task for task in (meta.tasks if tasks is None else tasks)}
        missing = [name for name in text["tasks"] if name not in by_name]
        if missing:
            raise ValueError(f"tasks must be those of the folder, {text['tasks']}, but {missing} are absent")
        partition = Partition(tuple(text["tasks"]), np.array(text["labels"], dtype=np.int64), float("nan"))
        members = [
            _loaded(meta, path / f"group{index}.safetensors", tuple(by_name[str(name)] for name in names))
            for index, names in enumerate(partition.groups)
        ]
        return cls(partition, tuple(members), _loaded(meta, path / "meta.safetensors", meta.tasks))


def _loaded(like: Trained, file: Path, tasks: tuple[Task, ...]) -> Trained:
    tensors = load_file(file)
    policy, critic = like.policy.copy(), copy.deepcopy(like.critic)
    for prefix, network in (("policy.", policy), ("critic.", critic)):
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    return Trained(policy, critic, tasks, [], like.config)


class _Open(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment of the caller, which stays open."""

    def close(self) -> None:
        """Leave the caller's environment as it is."""


@contextmanager
def _as_task(env: Task | gymnasium.Env[Any, Any]) -> Iterator[Task]:
    if isinstance(env, Task):
        yield env
    elif isinstance(env, gymnasium.Env):
        yield Task("environment", lambda: _Open(env))
    else:
        raise TypeError(f"env must be a Task or a gymnasium environment, got {type(env).__name__}")
