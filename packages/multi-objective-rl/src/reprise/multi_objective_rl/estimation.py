"""PolicyGradEx: what training on any subset of tasks would give, from the gradients of one meta-policy.

One rollout of each task and one pass of gradients, projected to a few hundred numbers; then adapting to a subset is a
small weighted logistic regression, and hundreds of subsets are solved together. Averaged over random subsets their
scores are an affinity of tasks, and a semidefinite program splits it into groups. Zhang, Duan, Ye and Zhang (2026),
Algorithms 1 and 2.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reprise.multi_objective_rl.evaluation import evaluate
from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.ppo import Trained
from reprise.multi_objective_rl.sampling import Sampler, Transitions
from reprise.multi_objective_rl.surrogate import features_of, linearisation_error, moved, policy_gradients
from reprise.multi_objective_rl.tasks import Task, check_tasks
from reprise.multi_objective_rl.validation import (
    numpy_generator,
    one_of,
    real_number,
    whole_number,
)
from reprise.tasks import (
    Affinity,
    Partition,
    RandomProjection,
    SubsetFits,
    Subsets,
    TaskFeatures,
    TaskStatistics,
    affinity_matrix,
    fit_logistic,
    given_subsets,
    linearised_scores,
    logistic_statistics,
    parameter_count,
    partition,
    random_subsets,
)

Scores = npt.NDArray[np.float64]


class PolicyGradEx:
    """Estimates, from gradients alone, how tasks fare after adapting a meta-policy to subsets of them.

    Parameters
    ----------
    dim : int
        d of the random projection of gradients (Gaussian entries of variance 1/d).
    subsets, size : int
        Number m of random subsets and tasks in each, α. All subsets of that size where there are no more than m; more
        where some pair would be in none.
    ridge : float
        ρ of the penalty ρ‖Δ̃‖².
    score : {"loss", "return"}
        Minus the surrogate's loss on the task, or the mean return of the moved policy over `episodes` episodes.
    transitions : int
        Of each task, taken with the meta-policy.
    target : {"task", "subset"}
        Whether U_ij averages the score of task i, or the mean score of the subset.
    exact : bool
        False stops at the first Newton step, which needs one Gram matrix per task and nothing else of its transitions.
    episodes : int
        For ``score="return"``.
    projection : RandomProjection, optional
        In place of one of `dim` columns drawn by the generator.
    generator : numpy.random.Generator or int
        Of rollouts, projection and subsets.

    Attributes
    ----------
    affinity_ : Affinity
        ``affinity_.matrix`` is U, shape (n, n), higher is closer.
    features_ : dict from task name to TaskFeatures
        Projected gradients, signs and weights.
    transitions_ : Transitions
        What the gradients were taken on.
    fits_ : SubsetFits
        Δ̃_S of every subset.

    Examples
    --------
    >>> from reprise.multi_objective_rl import PPOConfig, cartpole, train
    >>> tasks = [cartpole(f"{force:+}", force_mag=force) for force in (8, 12, -8, -12)]
    >>> meta = train(tasks, steps=4096, config=PPOConfig(transitions=512))
    >>> estimate = PolicyGradEx(dim=50, size=2, transitions=256).fit(meta, tasks)
    >>> estimate.affinity_.matrix.shape, estimate.partition(k=2).k
    ((4, 4), 2)
    """

    affinity_: Affinity
    features_: dict[Hashable, TaskFeatures]
    transitions_: Transitions
    fits_: SubsetFits

    def __init__(
        self,
        dim: int = 400,
        subsets: int = 200,
        size: int = 3,
        ridge: float = 1e-2,
        score: str = "loss",
        transitions: int = 2048,
        *,
        target: str = "task",
        exact: bool = True,
        episodes: int = 4,
        projection: RandomProjection | None = None,
        generator: np.random.Generator | int = 0,
    ) -> None:
        self.dim = whole_number("dim", dim)
        self.subsets = whole_number("subsets", subsets)
        self.size = whole_number("size", size, minimum=2)
        self.ridge = real_number("ridge", ridge, above=True)
        self.score = one_of("score", score, ("loss", "return"))
        self.transitions = whole_number("transitions", transitions, minimum=2)
        self.target = one_of("target", target, ("task", "subset"))
        self.exact = bool(exact)
        self.episodes = whole_number("episodes", episodes)
        self.projection = projection
        self.generator = generator

    def fit(self, meta: Trained, tasks: Sequence[Task] | None = None) -> Self:
        """Take transitions of all tasks with the meta-policy, and estimate random subsets from their gradients.

        Parameters
        ----------
        meta : Trained
            Policy and critic; left as they are.
        tasks : sequence of Task, optional
            At least two; those of the meta-policy by default.

        Returns
        -------
        PolicyGradEx

        Raises
        ------
        TypeError, ValueError
            If `meta` is no `Trained`, tasks don't fit together, a subset would hold more tasks than there are, or a
            reward is not finite.
        """
        if not isinstance(meta, Trained):
            raise TypeError(f"meta must be what train returns, got {type(meta).__name__}")
        chosen = list(meta.tasks if tasks is None else tasks)
        check_tasks(chosen, minimum=2)
        if self.size > len(chosen):
            raise ValueError(f"size must be at most the number of tasks, {len(chosen)}, got {self.size}")
        generator = numpy_generator(self.generator)
        return self.fit_transitions(meta.policy, self._rollout(meta, chosen, generator), generator, meta, chosen)

    def fit_transitions(
        self,
        policy: Policy,
        transitions: Transitions,
        generator: np.random.Generator | int = 0,
        meta: Trained | None = None,
        tasks: Sequence[Task] = (),
        subsets: Subsets | None = None,
    ) -> Self:
        """The same from transitions that `policy` has taken, and for given subsets.

        Parameters
        ----------
        policy : Policy
        transitions : Transitions
            Of at least two tasks.
        generator : numpy.random.Generator or int
            Of projection and subsets.
        meta, tasks : Trained and sequence of Task, optional
            Without them there is nothing to play: ``score="return"`` and `extend` need them.
        subsets : reprise.tasks.Subsets, optional
            In place of random ones.

        Returns
        -------
        PolicyGradEx
        """
        generator = numpy_generator(generator)
        projection = self.projection or RandomProjection(
            parameter_count(policy), self.dim, seed=int(generator.integers(2**62)), kind="gaussian"
        )
        drawn = subsets or random_subsets(
            transitions.names, count=self.subsets, size=self.size, seed=int(generator.integers(2**31))
        )
        features = features_of(policy_gradients(policy, transitions, projection=projection), transitions)
        statistics = None if self.exact else logistic_statistics(features)
        self.policy_, self.meta_, self.tasks_ = policy, meta, tuple(tasks)
        self.projection_, self.features_, self.transitions_ = projection, features, transitions
        self._statistics, self._generator = statistics, generator
        self.fits_ = self._fit(features, drawn, statistics)
        self.affinity_ = affinity_matrix(self._score(self.fits_), drawn, target=self.target)
        return self

    def estimate(self, subset: Iterable[str]) -> dict[str, float]:
        """Estimated score of every task after adapting to a subset; higher is better.

        Parameters
        ----------
        subset : iterable of task names

        Returns
        -------
        dict from task name to float

        Raises
        ------
        ValueError
            If the subset is empty, names a task twice or one that isn't there.
        """
        fits = self._fit_one(subset)
        scores = self._score(fits, members_only=False)[0]
        return dict(zip(map(str, self.features_), scores.tolist()))

    def partition(self, k: int | None = None, ridge: float | None = None) -> Partition:
        """Groups by the semidefinite relaxation, for a number of groups or a penalty on it.

        Parameters
        ----------
        k : int, optional
            Number of groups; either this or `ridge`.
        ridge : float, optional
            λ, of the affinity standardised to mean 0 and deviation 1 off its diagonal, so that it means the same for
            every set of tasks.

        Returns
        -------
        reprise.tasks.Partition
            `groups`, `labels`, `relaxation`, `value`; `matched` says whether rounding gave k groups.
        """
        if ridge is None:
            return partition(self.affinity_, k=k)
        return partition(self.affinity_.standardized(), k=k, ridge=ridge)

    def adapted_policy(self, subset: Iterable[str]) -> Policy:
        """The policy at θ* + PΔ̃_S: a first-order guess of what training on the subset gives."""
        return self._moved(self._fit_one(subset).coefficients[0])

    def linearisation_error(
        self, distances: Sequence[float], *, subset: Iterable[str] | None = None, measure: str = "squared"
    ) -> Scores:
        """How far log π is from its first-order model, in a random direction or in that of an adapted subset.

        Parameters
        ----------
        distances : sequence of float
            ‖Δ‖ / ‖θ*‖.
        subset : iterable of task names, optional
            Take the direction of PΔ̃_S; a random one by default.
        measure : {"squared", "relative"}
            As in `reprise.multi_objective_rl.linearisation_error`.

        Returns
        -------
        array, shape (distances,)
        """
        direction = None if subset is None else self._change(self._fit_one(subset).coefficients[0])
        return linearisation_error(
            self.policy_, self.transitions_, distances, direction=direction, generator=0, measure=measure
        )

    def extend(self, task: Task) -> PolicyGradEx:
        """The estimate with one task more: one rollout and, without `exact`, one Gram matrix; nothing is retrained.

        Subsets that were solved stay as they are; new ones hold the new task, so many that it is in as large a share of
        subsets as the others, and with each of them at least once.

        Parameters
        ----------
        task : Task
            With the spaces of the others and a new name.

        Returns
        -------
        PolicyGradEx
            A new one; this one is left as it is.

        Raises
        ------
        ValueError
            If the task doesn't fit the others, or this was fitted to transitions without a meta-policy.
        """
        if self.meta_ is None:
            raise ValueError("extend needs the meta-policy: use fit(meta, tasks)")
        tasks = [*self.tasks_, task]
        check_tasks(tasks, minimum=2)
        generator = copy.deepcopy(self._generator)
        fresh = self._rollout(self.meta_, [task], generator)
        gradients = policy_gradients(self.policy_, fresh, projection=self.projection_)
        features = {**self.features_, **features_of(gradients, fresh)}
        found = copy.copy(self)
        found.tasks_, found.features_, found._generator = tuple(tasks), features, generator
        found.transitions_ = _joined(self.transitions_, fresh)
        if self._statistics is not None:
            pair: dict[Hashable, TaskFeatures] = {name: features[name] for name in (task.name, self.tasks_[0].name)}
            found._statistics = self._statistics.joined(_only(logistic_statistics(pair), task.name))
        old = self.affinity_.subsets
        share = old.members.sum() / len(self.tasks_)  # subsets that hold a task, on average
        new = _subsets_with(task.name, tuple(map(str, features)), self.size, round(float(share)), generator)
        fits = found._fit(features, new, found._statistics)
        before = np.hstack([self.affinity_.outcomes, np.full((len(old), 1), np.nan)])
        members = np.vstack([np.hstack([old.members, np.zeros((len(old), 1), dtype=bool)]), new.members])
        subsets = Subsets(tuple(features), members)
        found.affinity_ = affinity_matrix(np.vstack([before, found._score(fits)]), subsets, target=self.target)
        found.fits_ = SubsetFits(
            subsets,
            torch.cat((self.fits_.coefficients, fits.coefficients)),
            torch.cat((self.fits_.intercepts, fits.intercepts)),
            torch.cat((self.fits_.gradient_norms, fits.gradient_norms)),
            max(self.fits_.steps, fits.steps),
        )
        return found

    def _rollout(self, meta: Trained, tasks: Sequence[Task], generator: np.random.Generator) -> Transitions:
        copies = next(count for count in range(8, 0, -1) if self.transitions % count == 0)
        sampler = Sampler(tasks, copies=copies, generator=generator)
        config = meta.config
        steps = self.transitions // copies
        transitions, _ = sampler.sample(meta.policy, meta.critic, steps, discount=config.discount, decay=config.decay)
        sampler.close()
        return transitions

    def _fit(
        self, features: dict[Hashable, TaskFeatures], subsets: Subsets, statistics: TaskStatistics | None
    ) -> SubsetFits:
        # reprise.tasks penalises (ridge / 2) ‖v‖²
        return fit_logistic(features, subsets, ridge=2 * self.ridge, exact=self.exact, statistics=statistics)

    def _fit_one(self, subset: Iterable[str]) -> SubsetFits:
        if not hasattr(self, "features_"):
            raise ValueError("fit must be called first")
        names = (subset,) if isinstance(subset, str) else tuple(subset)
        return self._fit(self.features_, given_subsets(tuple(self.features_), [names]), self._statistics)

    def _score(self, fits: SubsetFits, *, members_only: bool = True) -> Scores:
        if self.score == "loss":
            return linearised_scores(fits, self.features_, members_only=members_only)
        if not self.tasks_:
            raise ValueError('score="return" plays episodes: use fit(meta, tasks)')
        scores = np.full(fits.subsets.members.shape, np.nan)
        for row, coefficients in enumerate(fits.coefficients):
            where = np.flatnonzero(fits.subsets.members[row]) if members_only else np.arange(len(self.tasks_))
            played = [self.tasks_[index] for index in where]
            seed = 0  # the same initial states for all subsets: their differences are of policies
            found = evaluate(self._moved(coefficients), played, self.episodes, generator=seed)
            scores[row][where] = found.returns.mean(axis=1)
        return scores

    def _change(self, coefficients: Tensor) -> Tensor:
        return self.projection_.lift(coefficients)

    def _moved(self, coefficients: Tensor) -> Policy:
        return moved(self.policy_, self._change(coefficients))


def _joined(first: Transitions, second: Transitions) -> Transitions:
    fields = ("observations", "actions", "log_probs", "advantages", "returns")
    return replace(
        first,
        **{name: torch.cat((getattr(first, name), getattr(second, name))) for name in fields},
        tasks=torch.cat((first.tasks, second.tasks + len(first.names))),
        names=(*first.names, *second.names),
    )


def _only(statistics: TaskStatistics, name: str) -> TaskStatistics:
    index = statistics.tasks.index(name)
    part = slice(index, index + 1)
    return TaskStatistics(
        (name,), statistics.hessians[part], statistics.gradients[part], statistics.counts[part], statistics.intercept
    )


def _subsets_with(name: str, names: tuple[str, ...], size: int, count: int, generator: np.random.Generator) -> Subsets:
    """Different random subsets that hold one task, and every pair with it at least once."""
    others = [other for other in names if other != name]
    if size == 2:
        return given_subsets(names, [(name, other) for other in others])
    drawn = random_subsets(others, count=max(1, count), size=size - 1, seed=int(generator.integers(2**31)), cover=False)
    rest = [list(part) for part in drawn]
    for other in others:
        if not any(other in part for part in rest):
            friends = [friend for friend in others if friend != other]
            rest.append([other, *generator.choice(friends, size=size - 2, replace=False).tolist()])
    return given_subsets(names, [(name, *part) for part in rest])
