"""Which tasks share which module: a partition of the tasks per layer, each finer than the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Group = frozenset[str]


@dataclass(frozen=True)
class BranchingStructure:
    """A tree of modules.

    Parameters
    ----------
    layers : sequence of sequences of sets of str
        Groups of tasks at every layer; each group has a module of its own.

    Raises
    ------
    ValueError
        If a layer misses a task or has it twice, or joins tasks that an earlier layer separates.

    Examples
    --------
    >>> tree = BranchingStructure([[{"bfs", "dfs"}], [{"bfs"}, {"dfs"}]])
    >>> tree.num_modules, tree.module(1, "dfs")
    (3, 1)
    """

    layers: tuple[tuple[Group, ...], ...]

    def __init__(self, layers: Sequence[Sequence[Iterable[str]]]) -> None:
        found = tuple(tuple(frozenset(group) for group in groups) for groups in layers)
        object.__setattr__(self, "layers", found)
        self.validate()

    @classmethod
    def shared(cls, tasks: Iterable[str], layers: int) -> BranchingStructure:
        """One module per layer, for all tasks."""
        group = frozenset(tasks)
        return cls([[group]] * layers)

    @classmethod
    def separate(cls, tasks: Iterable[str], layers: int) -> BranchingStructure:
        """One module per layer and task."""
        return cls([[{task} for task in tasks]] * layers)

    @classmethod
    def from_partitions(cls, partitions: Sequence[Mapping[str, int]]) -> BranchingStructure:
        """From one label per task and layer."""
        layers: list[list[set[str]]] = []
        for labels in partitions:
            groups: dict[int, set[str]] = {}
            for task, label in labels.items():
                groups.setdefault(label, set()).add(task)
            layers.append(list(groups.values()))
        return cls(layers)

    @classmethod
    def from_text(cls, text: str, tasks: Iterable[str], layers: int) -> BranchingStructure:
        """Read lines ``layer: task task …``, one per group; a layer without lines is shared by all.

        Raises
        ------
        ValueError
            If a line is malformed, or the groups are no tree of the tasks.
        """
        everything = frozenset(tasks)
        found: list[list[Group]] = [[] for _ in range(layers)]
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            place, _, names = line.partition(":")
            if not place.strip().isdigit() or not 0 <= int(place) < layers:
                raise ValueError(
                    f"line {number} must begin with a layer from 0 to {layers - 1} and a colon, got {line!r}"
                )
            found[int(place)].append(frozenset(names.split()))
        return cls([groups or [everything] for groups in found])

    def to_text(self) -> str:
        """Lines ``layer: task task …`` of the layers that branch, which `from_text` reads."""
        lines = [
            f"{layer}: {' '.join(sorted(group))}"
            for layer, groups in enumerate(self.layers)
            if len(groups) > 1
            for group in groups
        ]
        return "\n".join(lines) + "\n" if lines else ""

    @property
    def tasks(self) -> Group:
        """All tasks."""
        return frozenset().union(*self.layers[0]) if self.layers else frozenset()

    @property
    def counts(self) -> tuple[int, ...]:
        """Modules of each layer."""
        return tuple(len(groups) for groups in self.layers)

    @property
    def num_modules(self) -> int:
        """Modules in all."""
        return sum(self.counts)

    def module(self, layer: int, task: str) -> int:
        """Place of the module that a task takes at a layer.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        for place, group in enumerate(self.layers[layer]):
            if task in group:
                return place
        raise ValueError(f"task must be one of {', '.join(sorted(self.tasks))}, got {task!r}")

    def route(self, task: str) -> tuple[int, ...]:
        """Modules that a task takes, layer by layer."""
        return tuple(self.module(layer, task) for layer in range(len(self.layers)))

    def validate(self) -> None:
        """Check that every layer covers every task once, and refines the layer before.

        Raises
        ------
        ValueError
            If not.
        """
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        tasks = self.tasks
        before: tuple[Group, ...] | None = None
        for layer, groups in enumerate(self.layers):
            names = [task for group in groups for task in group]
            twice = sorted({name for name in names if names.count(name) > 1})
            missing = sorted(tasks.symmetric_difference(names))
            if twice or missing or not all(groups):
                what = (
                    f"{', '.join(twice)} twice"
                    if twice
                    else f"not {', '.join(missing)}"
                    if missing
                    else "an empty group"
                )
                raise ValueError(f"layer {layer} must have every task in one group, got {what}")
            for group in groups:
                if before is not None and not any(group <= larger for larger in before):
                    raise ValueError(
                        f"layer {layer} must refine the one before, but joins {', '.join(sorted(group))} again"
                    )
            before = groups
