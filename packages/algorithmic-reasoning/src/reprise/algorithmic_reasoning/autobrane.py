"""AutoBRANE: which tasks should share which layers, from gradients of a few networks (Algorithm 2 of the paper).

Layer by layer, every group of tasks that still shares a module is split: a network of these tasks, with all earlier
layers kept as their parent left them, gives gradients; logistic regressions on them say how each task would fare with
random subsets of the others; averaged, that is an affinity, and a semidefinite program splits the group.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reprise.algorithmic_reasoning.affinity import adapted_affinity, estimate_affinity
from reprise.algorithmic_reasoning.linearisation import gradient_features
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.validation import integer
from reprise.tasks import Affinity, Partition, TaskFeatures, affinity_gains, partition_path

State = dict[str, Tensor]
MakeModel = Callable[[Sequence[str]], Any]
Train = Callable[[Any, int], None]
Data = Callable[[str], Any]
Gradients = Callable[[Any, str, Any, int], TaskFeatures]


@dataclass(frozen=True, eq=False)
class Split:
    """One step of the search.

    Attributes
    ----------
    layer : int
        Whose module is split.
    tasks : tuple of str
        The group.
    affinity : Affinity
    partition : Partition
        The groups that the next layer has in the place of this one.
    state : dict of str to Tensor
        Weights of the network that the gradients are of.
    """

    layer: int
    tasks: tuple[str, ...]
    affinity: Affinity
    partition: Partition
    state: State


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    structure : BranchingStructure
    splits : tuple of Split
        In the order in which groups were looked at.
    trainings : int
        Tasks trained, summed over networks: at most n for every layer.
    gradient_passes : int
        Tasks whose gradients were taken, likewise.
    ridges : tuple of float
        Penalties of the path.
    gains : bool
        Whether gains were split, or affinities.
    """

    structure: BranchingStructure
    splits: tuple[Split, ...]
    trainings: int
    gradient_passes: int
    ridges: tuple[float, ...]
    gains: bool


def search(
    algorithms: Sequence[str],
    make_model: MakeModel,
    train: Train,
    data: Data,
    *,
    validation: Data | None = None,
    first_layer: int = 0,
    layers: int | None = None,
    gains: bool = False,
    adapted: bool = False,
    gradients: Gradients | None = None,
    ridges: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    features: Mapping[str, Any] | None = None,
    affinity: Mapping[str, Any] | None = None,
    progress: Callable[[Split], None] | None = None,
) -> Search:
    """Find a tree of modules.

    Parameters
    ----------
    algorithms : sequence of str
        The n tasks.
    make_model : callable
        ``make_model(tasks)`` returns an untrained `Reasoner` of these tasks that shares every layer; with `gradients`,
        any module that has a `structure`.
    train : callable
        ``train(model, layer)`` trains it from `layer` on; what comes before is its parent's and has to stay. The first
        network has no parent: its layer is 0, whatever `first_layer` is.
    data : callable
        ``data(name)`` returns the trajectories whose gradients are fitted; with `gradients`, what that reads.
    validation : callable, optional
        The same for those that are scored on; those fitted when not given. Never those of a test split.
    first_layer : int
        The first layer that may branch; those before are shared by all.
    layers : int, optional
        How many layers to look at from there; the groups found last hold for all that follow.
    gains : bool
        Split gains (`reprise.tasks.affinity_gains`) instead of affinities. Penalties of the authors are for
        accuracies; with losses, which are smaller the easier an algorithm is, they leave every group whole.
    adapted : bool
        Score by networks that are moved to where each fit says (`adapted_affinity`), as the authors' program does,
        instead of by linearised predictions.
    ridges : sequence of float
        Penalties λ of the semidefinite program; the partition with the largest value is kept.
    gradients : callable, optional
        ``gradients(model, name, given, layer)`` returns features of a task from what `data` gives, as
        `text_gradient_features` does for a `BranchingLoRA`; `gradient_features` when not given.
    features, affinity : mapping, optional
        Options of `gradient_features`, and of `estimate_affinity` or `adapted_affinity`.
    progress : callable, optional
        Called with every split.

    Returns
    -------
    Search

    Raises
    ------
    ValueError
        If there is no task, `gradients` is given together with `adapted` or `features`, which need a `Reasoner`, or an
        option is out of range.

    Notes
    -----
    A group at layer l is split by a network that begins from the state of the group it came from: O(n) trainings and
    gradient passes per layer, O(nL) in all.
    """
    if gradients is not None and (adapted or features):
        raise ValueError("gradients must not be given with adapted or features, which are for a Reasoner")
    options = dict(features or {})
    take = gradients or (lambda model, name, given, layer: gradient_features(model, given, layer=layer, **options))
    names = tuple(algorithms)
    depth = len(make_model(names).structure.layers)
    integer("first_layer", first_layer, minimum=0, maximum=depth, limit="the number of layers")
    end = depth if layers is None else min(depth, first_layer + integer("layers", layers))
    found: list[list[tuple[str, ...]]] = [[names] for _ in range(first_layer)] + [
        [] for _ in range(depth - first_layer)
    ]
    queue: deque[tuple[tuple[str, ...], int, State | None]] = deque([(names, first_layer, None)])
    splits: list[Split] = []
    while queue:
        group, layer, parent = queue.popleft()
        if layer == depth:
            continue
        if len(group) == 1 or layer >= end:
            for later in range(layer, depth):
                found[later].append(group)
            continue
        model = make_model(group)
        if parent is not None:
            known = model.state_dict()
            model.load_state_dict(known | {name: value for name, value in parent.items() if name in known})
        train(model, 0 if parent is None else layer)
        model.eval()
        state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        fitted = {name: take(model, name, data(name), layer) for name in group}
        if adapted:
            estimate = adapted_affinity(
                model,
                fitted,
                {name: (validation or data)(name) for name in group},
                layer=layer,
                projection_seed=options.get("seed", 0),
                **(affinity or {}),
            )
        else:
            scored = validation and {name: take(model, name, validation(name), layer) for name in group}
            estimate = estimate_affinity(fitted, validation=scored, **(affinity or {}))
        best = partition_path(affinity_gains(estimate) if gains else estimate, ridges=ridges)[0]
        split = Split(layer, group, estimate, best, state)
        splits.append(split)
        if progress is not None:
            progress(split)
        for part in best.groups:
            members = tuple(str(name) for name in part)
            found[layer].append(members)
            queue.append((members, layer + 1, state))
    work = sum(len(split.tasks) for split in splits)
    return Search(BranchingStructure(found), tuple(splits), work, work, tuple(ridges), gains)
