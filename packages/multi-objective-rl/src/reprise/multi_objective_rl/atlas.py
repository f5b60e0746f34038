"""A map of preferences: which weightings of a vector reward one policy can serve, and which policy serves a new one.

The vector return of each group's policy is measured once. The return under any weighting is then an inner product, so
that the atlas answers a weighting that nobody trained on without playing an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from reprise.multi_objective_rl.evaluation import evaluate
from reprise.multi_objective_rl.grouped import GroupedPolicies
from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.validation import real_array
from reprise.multi_objective_rl.vector_rewards import expected_utility, hypervolume, simplex_weights

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PreferenceAtlas:
    """Policies over the simplex of weightings.

    Attributes
    ----------
    policies : tuple of Policy
    returns : float64 array, shape (policies, r)
        Mean vector return of each.
    """

    policies: tuple[Policy, ...]
    returns: Array

    @classmethod
    def chart(cls, team: GroupedPolicies, *, episodes: int = 16, generator: np.random.Generator | int = 0) -> Self:
        """Measure the vector returns of the groups' policies.

        Parameters
        ----------
        team : GroupedPolicies
            Of tasks made by `preferences`, which share one environment.
        episodes : int
            With each policy.
        generator : numpy.random.Generator or int

        Returns
        -------
        PreferenceAtlas

        Raises
        ------
        ValueError
            If the tasks' environments do not tell their vector reward.
        """
        found = []
        for member in team.members:
            vectors = evaluate(member.policy, member.tasks[:1], episodes, generator=generator).vectors
            if vectors is None:
                raise ValueError("team must be of tasks made by preferences: their infos lack vector_reward")
            found.append(vectors[0].mean(axis=0))
        return cls(tuple(member.policy for member in team.members), np.stack(found))

    def route(self, weights: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Index of the best policy for each weighting, shape (m,) for weights of shape (m, r)."""
        return np.asarray((self._rows(weights) @ self.returns.T).argmax(axis=1))

    def policy(self, weights: npt.ArrayLike) -> Policy:
        """The policy for one weighting, shape (r,)."""
        return self.policies[int(self.route(np.atleast_2d(np.asarray(weights)))[0])]

    def map(self, count: int = 500, *, generator: np.random.Generator | int = 0) -> tuple[Array, npt.NDArray[np.int64]]:
        """Weightings all over the simplex, (count, r), and the policy of each: the regions of the atlas."""
        weights = simplex_weights(count, self.returns.shape[1], generator=generator)
        return weights, self.route(weights)

    def expected_utility(self, weights: npt.ArrayLike) -> float:
        """Mean over weightings of the return of the policy they are sent to."""
        return expected_utility(self.returns, weights)

    def hypervolume(self, reference: Sequence[float] | Array) -> float:
        """Volume that the policies' returns dominate above a reference point."""
        return hypervolume(self.returns, reference)

    def _rows(self, weights: npt.ArrayLike) -> Array:
        rows = real_array("weights", weights, dimensions=2)
        if rows.shape[1] != self.returns.shape[1]:
            raise ValueError(f"weights must have shape (m, {self.returns.shape[1]}), got {rows.shape}")
        return rows
